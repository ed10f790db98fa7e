"""The seam between text and vectors: whatever turns a turn into numbers, and the version of those numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

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


class Remembering:
    """An encoder that encodes no text twice, for as many texts as fit its memory; for training, where texts recur.

    Args:
        encoder: Gives the vectors.
        limit: Texts to remember, at most; those beyond are encoded each time.
    """

    def __init__(self, encoder: Encoder, limit: int = 50_000) -> None:
        self._encoder = encoder
        self._limit = limit
        self._known: dict[str, NDArray[np.float32]] = {}
        self.version = encoder.version
        self.dim = encoder.dim

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :meth:`Encoder.encode`."""
        fresh = list(dict.fromkeys(text for text in texts if text not in self._known))
        found = dict(zip(fresh, self._encoder.encode(fresh), strict=True))
        for text in fresh[: max(0, self._limit - len(self._known))]:
            self._known[text] = found[text]
        vectors = np.empty((len(texts), self.dim), np.float32)
        for row, text in enumerate(texts):
            vectors[row] = found[text] if text in found else self._known[text]
        return vectors
