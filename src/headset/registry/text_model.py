"""The seam between a registered intent model and whoever runs it: what kind of files it is does not matter to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from headset.core.errors import ArtifactError
from headset.registry.artifact import MANIFEST, check_recorded, read_sealed
from headset.registry.signature import TEXT_SIGNATURE, check_signature

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from headset.registry.scorer import Scores

    Loader = Callable[[Path], "TextModel"]


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


def load_text_model(
    directory: Path, loaders: Mapping[str, Loader], *, recorded: str = "", signature: str = ""
) -> TextModel:
    """The model in a folder of the registry's store, every byte of it checked.

    Args:
        directory: Holds a manifest and the files it names.
        loaders: What loads each format.
        recorded: SHA-256 (hex) of the manifest as registered; empty for files that are not registered yet.
        signature: What the registered model is said to take and give; empty where nothing is said.

    Raises:
        ArtifactError: the folder is not the registered one, a file is missing or was changed, nothing here reads its
            format, or the signature is another.
        ModelFailed: it cannot answer.
    """
    if recorded:
        check_recorded(directory, recorded)
    if signature:
        check_signature(signature, TEXT_SIGNATURE, f"an intent model ({directory})")
    found = read_sealed(directory).format
    if found not in loaders:
        raise ArtifactError(
            f"{directory / MANIFEST} has the format {found[:40]!r}, this Headset reads {', '.join(sorted(loaders))};"
            " train again"
        )
    return loaders[found](directory)
