"""Artifacts: folders of files with a manifest that bears the SHA-256 of each, so that what was changed is not read."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from headset.core.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

MANIFEST = "manifest.json"
AGAIN = "fetch the artifact again or train again"

M = TypeVar("M", bound=Struct)


class Sealed(Struct, frozen=True):
    """What every manifest says: the format of the files, and the SHA-256 (hex) of each but the manifest."""

    format: str
    sha256: dict[str, str]


_SEALED = msgspec.json.Decoder(Sealed)


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
    content = _read(path)
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


def read_sealed(directory: Path) -> Sealed:
    """What the manifest of a folder says, whatever its format.

    Raises:
        ArtifactError: it is missing or damaged.
    """
    path = directory / MANIFEST
    try:
        return _SEALED.decode(_read(path))
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ArtifactError(f"{path} is damaged ({error}); {AGAIN}") from error


def check_recorded(directory: Path, sha256: str) -> None:
    """Refuse a folder whose manifest is not the one on record: it stands for every byte of the folder.

    Raises:
        ArtifactError: it is missing, or has another SHA-256 (hex) than ``sha256``.
    """
    path = directory / MANIFEST
    found = hashlib.sha256(_read(path)).hexdigest()
    if found != sha256:
        raise ArtifactError(
            f"{path} has SHA-256 {found[:12]}…, the registry's record says {sha256[:12] or 'nothing'}…;"
            f" the folder was exchanged after it was registered; {AGAIN}"
        )


def verify_folder(directory: Path, sha256: Mapping[str, str]) -> None:
    """Refuse a folder that holds anything but its manifest and the files named, as they were.

    A folder that code is loaded from needs this: a file too many may take the place of a library.

    Raises:
        ArtifactError: a file is missing, was changed or added, or is a link.
    """
    there = set()
    for path in sorted(directory.rglob("*")):
        if path.is_symlink():
            raise ArtifactError(f"{path} is a link, an artifact holds files only; {AGAIN}")
        if path.is_file():
            there.add(path.relative_to(directory).as_posix())
    if added := sorted(there - {MANIFEST} - sha256.keys()):
        raise ArtifactError(f"{directory / added[0]} is not in the manifest, it was added later; remove it")
    for name, expected in sha256.items():
        if name not in there:
            raise ArtifactError(f"{directory / name} is missing; {AGAIN}")
        verify(directory / name, expected)


def read_beside(directory: Path, name: str) -> bytes | None:
    """A file kept beside an artifact; None when it was saved without.

    Raises:
        ArtifactError: the file is missing or was changed.
    """
    expected = read_sealed(directory).sha256.get(name)
    return None if expected is None else verify(directory / name, expected)


def verify(path: Path, expected: str) -> bytes:
    """The content of a file whose SHA-256 (hex) is ``expected``.

    Raises:
        ArtifactError: it is missing or was changed.
    """
    content = _read(path)
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ArtifactError(
            f"{path} has SHA-256 {found[:12]}…, its manifest says {expected[:12] or 'nothing'}…;"
            f" it was changed after it was saved; {AGAIN}"
        )
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error}); {AGAIN}") from error


def read_array(path: Path) -> NDArray[Any]:
    """A ``.npy`` file; nothing in it is run."""
    array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array
