"""Folders that come from elsewhere: what may be copied, and which of the files are pickles. Nothing in them is run."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath

from headset.core.errors import InvalidInput

BYTES_LIMIT = 2_000_000_000
FILES_LIMIT = 5_000
_RATIO_LIMIT = 200
_SMALL = 10_000_000
_PICKLED = {
    ".pkl",
    ".pickle",
    ".joblib",
    ".cloudpickle",
    ".dill",
    ".pt",
    ".pth",
    ".ckpt",
    ".bin",
    ".z",
    ".gz",
    ".bz2",
    ".xz",
}
_PROTOCOLS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
_OBJECTS = b"'descr': '|O'"
_HEAD = 256


def copy_foreign(source: Path, to: Path) -> list[str]:
    """Copy a folder, file by file, and give the names of what is or may hold a pickle.

    Raises:
        InvalidInput: it holds a link, something that is no file, an archive that would burst, or more than
            :data:`BYTES_LIMIT` bytes or :data:`FILES_LIMIT` files.
    """
    pickled, count, size = [], 0, 0
    for folder, folders, files in os.walk(source):
        for name in (*folders, *files):
            path = Path(folder) / name
            inside, status = path.relative_to(source).as_posix(), path.lstat()
            if stat.S_ISLNK(status.st_mode):
                raise InvalidInput(
                    "path", f"{path} is a link, which may lead out of the model; put the file in its place"
                )
            if stat.S_ISDIR(status.st_mode):
                continue
            if not stat.S_ISREG(status.st_mode):
                raise InvalidInput("path", f"{path} is no file; a model is a folder of files")
            count, size = count + 1, size + status.st_size
            if count > FILES_LIMIT or size > BYTES_LIMIT:
                raise InvalidInput(
                    "path",
                    f"{source} has over {FILES_LIMIT} files or {BYTES_LIMIT} bytes; leave out what it does not need",
                )
            place = to / inside
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place, follow_symlinks=False)
            if holds_pickle(place):
                pickled.append(inside)
    return sorted(pickled)


def holds_pickle(path: Path) -> bool:
    """Whether a file is a pickle, may hide one, or is an archive that holds one.

    Raises:
        InvalidInput: it is an archive that would burst, or that names files outside of it.
    """
    if path.suffix.lower() in _PICKLED:
        return True
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(_PROTOCOLS) or _OBJECTS in head:
        return True
    return zipfile.is_zipfile(path) and any(_is_pickled(name) for name in _members(path))


def _is_pickled(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in _PICKLED


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InvalidInput("path", f"{path} is a damaged archive ({error}); save the model again") from None
    unpacked, packed = sum(member.file_size for member in members), max(1, path.stat().st_size)
    if unpacked > BYTES_LIMIT or (unpacked > _SMALL and unpacked > _RATIO_LIMIT * packed) or len(members) > FILES_LIMIT:
        raise InvalidInput(
            "path", f"{path} holds {len(members)} files of {unpacked} bytes in {packed}; no model's archive does"
        )
    names = [member.filename for member in members]
    if led := [name for name in names if leads_out(name)]:
        raise InvalidInput("path", f"{path} holds {led[0]!r}, a path that leads out of it; save the model again")
    return names


def leads_out(name: str) -> bool:
    """Whether a path within a folder leads out of it.

    >>> leads_out("artifacts/model"), leads_out("../keys"), leads_out("/etc/passwd")
    (False, True, True)
    """
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts
