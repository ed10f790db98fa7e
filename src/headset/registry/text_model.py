"""The seam between a registered intent model and whoever runs it: what kind of files it is does not matter to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from headset.registry.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from headset.registry.scorer import Scores


class TextModel(Protocol):
    """An intent model that is ready to answer; threads may share it."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The k intents, in the order of the columns."""
        ...

    @property
    def threshold(self) -> float:
        """Confidence from which it answers alone; above 1 where it never does."""
        ...

    def score(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> Scores:
        """Score n texts with their (n, d) embeddings by the encoder it was trained with.

        Raises:
            ModelFailed: the embeddings have another shape, or it gave no usable answer.
        """
        ...


def load_text_model(directory: Path) -> TextModel:
    """The model in a folder of the registry's store, every byte of it checked.

    Raises:
        ArtifactError: a file is missing, was changed, or has a format that this Headset does not read.
    """
    return Scorer.load(directory)
