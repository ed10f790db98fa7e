"""The seam between text and vectors: whatever turns a turn into numbers, and the version of those numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class Encoder(Protocol):
    """A sentence encoder.

    Equal texts give equal vectors, alone or in any batch, from any thread.
    """

    @property
    def version(self) -> str:
        """Derived from the content of weights and recipe: another version, other vectors."""
        ...

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, dim): one vector per text, of length one; all zeros for a text without words."""
        ...
