"""An MLflow model from elsewhere that is about to become an artifact. None of its code is run here."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headset.core.errors import ArtifactError, InvalidInput
from headset.registry.artifact import MANIFEST, digests, read_manifest, read_sealed, verify_folder, write_manifest
from headset.registry.hosted import FORMAT, MLFLOW, HostedManifest
from headset.registry.signature import read_signature
from headset.training.intent_job import PORTABLE
from headset.training.plugin.foreign_folder import copy_foreign, leads_out
from headset.training.plugin.pyfunc_columns import columns_of
from headset.training.tracking import read_mlmodel

if TYPE_CHECKING:
    from headset.registry.output import Gives, Output

_PATHS = ("model_path", "python_model", "data", "code", "pickled_model")


class MlflowDraft:
    """A copy of an MLflow model in ``folder``, with its signature looked at.

    Attributes:
        labels: The intents, where the signature names them; else empty.
        gives: What comes out.
        pickled: Names of the files that are pickles, or may be.

    Args:
        source: Folder of the MLflow model.
        folder: Where the artifact is made.
        trust_pickle: Why pickles in it may be loaded; empty where none may.

    Raises:
        InvalidInput: it is no MLflow model, has no signature that fits, holds pickles nobody vouches for, or anything
            that leads out of it.
    """

    def __init__(self, source: Path, folder: Path, trust_pickle: str) -> None:
        self.folder = folder
        self.pickled = copy_foreign(source, folder / MLFLOW)
        flavors, signature = read_mlmodel(folder / MLFLOW)
        _check_paths(flavors)
        if self.pickled and not trust_pickle:
            raise InvalidInput(
                "path",
                f"{source} holds pickles ({', '.join(self.pickled)[:200]}), and loading one runs whatever its maker"
                " put into it; save the model from code or with skops, or vouch for it with --trust-pickle REASON",
            )
        if signature is None:
            raise InvalidInput(
                "signature", f"of {source} is missing; log the model with one (mlflow.models.infer_signature)"
            )
        try:
            columns = columns_of(read_signature(signature))
        except ArtifactError as error:
            raise InvalidInput("signature", str(error)) from None
        self._signature, self._trust_pickle = signature, trust_pickle if self.pickled else ""
        self._vouched = bool(trust_pickle)
        self.labels: tuple[str, ...] = columns.labels
        self.gives: Gives = columns.gives
        self._own = _own_artifact(flavors, folder / MLFLOW)

    def unwrap(self) -> tuple[str, str] | None:
        """Where Headset itself exported it: make its artifact this one, byte for byte.

        Returns:
            The encoder it needs, and the SHA-256 (hex) of its manifest; None for any other model.

        Raises:
            ArtifactError: a file of it was changed since.
            InvalidInput: it says of itself that its pickles may be loaded, and nobody here vouches for it.
        """
        if self._own is None:
            return None
        artifact, encoder, recorded = self._own
        sealed = read_sealed(artifact)
        verify_folder(artifact, sealed.sha256)
        if sealed.format == FORMAT and not self._vouched:
            _check_unpickled(read_manifest(artifact, FORMAT, HostedManifest))
        inner = self.folder.with_name(f"{self.folder.name}-unwrapped")
        artifact.rename(inner)
        shutil.rmtree(self.folder)
        inner.rename(self.folder)
        return encoder, recorded

    def write(self, labels: tuple[str, ...], threshold: float, output: Output) -> str:
        """Write the manifest, and give its SHA-256 (hex)."""
        files = sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*") if path.is_file())
        return write_manifest(
            self.folder,
            HostedManifest(
                format=FORMAT,
                kind="mlflow",
                labels=labels,
                threshold=threshold,
                output=output,
                signature=self._signature,
                sha256=digests(self.folder, [name for name in files if name != MANIFEST]),
                trusted_pickle=self._trust_pickle,
            ),
        )


def _check_unpickled(manifest: HostedManifest) -> None:
    if manifest.trusted_pickle:
        raise InvalidInput(
            "path",
            f"is an export whose pickles were trusted where it was made ({manifest.trusted_pickle[:200]!r}), and"
            " loading one runs whatever its maker put into it; vouch for it with --trust-pickle REASON",
        )


def _check_paths(flavors: dict[str, Any]) -> None:
    """Refuse a description that names files outside of the folder."""
    if not isinstance(flavors.get("python_function"), dict):
        raise InvalidInput("path", "holds no MLflow model with the flavour python_function; save it as a pyfunc")
    named: list[object] = [flavor.get(key) for flavor in flavors.values() if isinstance(flavor, dict) for key in _PATHS]
    named += [part.get("path") for part in _artifacts(flavors).values() if isinstance(part, dict)]
    for name in named:
        if isinstance(name, str) and leads_out(name):
            raise InvalidInput("path", f"the model's MLmodel file names {name[:80]!r}, outside of it; save it again")


def _artifacts(flavors: dict[str, Any]) -> dict[str, Any]:
    found = flavors["python_function"].get("artifacts")
    return found if isinstance(found, dict) else {}


def _own_artifact(flavors: dict[str, Any], folder: Path) -> tuple[Path, str, str] | None:
    """The artifact within an export of Headset's, the encoder it needs, its manifest's hash; None for other models.

    An export is known by its code, which is this Headset's to the byte.
    """
    conf = flavors["python_function"]
    code, config = conf.get("model_code_path"), conf.get("config")
    model = _artifacts(flavors).get("model")
    if not (isinstance(code, str) and isinstance(config, dict) and isinstance(model, dict)):
        return None
    kept, path = folder / Path(code).name, model.get("path")
    if not kept.is_file() or kept.read_bytes() != PORTABLE.read_bytes() or not isinstance(path, str):
        return None
    return folder / path, str(config.get("encoder_version", "")), str(config.get("artifact_sha256", ""))
