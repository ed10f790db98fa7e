"""Artifacts: folders of files with a manifest that bears the SHA-256 of each, so that what was changed is not read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from headset.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MANIFEST = "manifest.json"
AGAIN = "fetch the artifact again or train again"

M = TypeVar("M", bound=Struct)


def digests(directory: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 (hex) of files in ``directory``, by name."""
    return {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in names}


def write_manifest(directory: Path, manifest: Struct) -> str:
    """Write the manifest and give its SHA-256 (hex); equal manifests give equal bytes."""
    content = msgspec.json.format(msgspec.json.encode(manifest))
    (directory / MANIFEST).write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def read_manifest(directory: Path, format_name: str, kind: type[M]) -> M:
    """The manifest of a folder; its field ``format`` must be ``format_name``.

    Raises:
        ArtifactError: it is missing, damaged, or of another format; names it and the next step.
    """
    path = directory / MANIFEST
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); {AGAIN}") from error
    try:
        found = msgspec.json.decode(content)
        if isinstance(found, dict) and found.get("format") != format_name:
            raise ArtifactError(
                f"{path} has the format {str(found.get('format'))[:40]!r}, this Headset reads {format_name!r};"
                " train again"
            )
        return msgspec.convert(found, kind)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); {AGAIN}") from error


def verify(path: Path, expected: str) -> bytes:
    """The content of a file whose SHA-256 (hex) is ``expected``.

    Raises:
        ArtifactError: it is missing or was changed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); {AGAIN}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ArtifactError(
            f"{path} has SHA-256 {found[:12]}…, its manifest says {expected[:12] or 'nothing'}…;"
            f" it was changed after it was saved; {AGAIN}"
        )
    return content


def read_array(path: Path) -> NDArray[Any]:
    """A ``.npy`` file; nothing in it is run."""
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array
