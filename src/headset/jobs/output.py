"""What jobs print, kept in the home folder, and the lines among it that tell their progress."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headset.core.errors import StorageFailed, StorageFull

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 1_048_576
_TAIL = 65_536
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MARK = b'{"progress":'


class Progress(Struct, frozen=True):
    """How far a job is: the phase it is in, and the share (0 to 1) of that phase that is done."""

    phase: str
    fraction: float


class _Line(Struct, frozen=True):
    progress: Progress


_DECODER = msgspec.json.Decoder(_Line)  # made here: two threads must not be the first to decode a type


def progress_line(phase: str, fraction: float) -> str:
    """A line that tells progress among the output of a job.

    >>> progress_line("fitting", 0.25)
    '{"progress":{"phase":"fitting","fraction":0.25}}'
    """
    return msgspec.json.encode(_Line(Progress(phase, fraction))).decode()


class Output:
    """The output of all jobs; what the attempts of one printed is one stream, the first attempt first.

    Args:
        folder: Holds ``<job>/<attempt>.log``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def size(self, job_id: str, attempt: int) -> int:
        """Bytes kept of an attempt."""
        try:
            return self._file(job_id, attempt).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, job_id: str, attempt: int, printed: bytes) -> None:
        """Keep what an attempt printed next.

        Raises:
            StorageFull: no room is left.
            StorageFailed: it cannot be written.
        """
        if not printed:
            return
        file = self._file(job_id, attempt)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with file.open("ab", buffering=0) as log:
                while printed:
                    printed = printed[log.write(printed) or 0 :]
        except OSError as error:
            kind = StorageFull if error.errno in _NO_ROOM else StorageFailed
            raise kind(f"its log {file.name} cannot be written: {error.strerror}") from error

    def read(self, job_id: str, offset: int, *, ended: bool) -> tuple[str, int]:
        """The whole lines from the byte ``offset`` on, without those of progress, and the offset behind them.

        At most a mebibyte is read; nothing new is the empty text.

        Args:
            job_id: The job.
            offset: Where the last read ended; 0 for the beginning.
            ended: Nothing more comes, so that the last line is whole although no line break follows.
        """
        block = self._bytes(job_id, offset)
        full = len(block) == _BLOCK
        whole = len(block) if ended and not full else block.rfind(b"\n") + 1
        if full and not whole:
            whole = len(block)  # a line longer than a block comes in parts
        lines = block[:whole].splitlines(keepends=True)
        said = b"".join(line for line in lines if not line.startswith(_MARK))
        return said.decode("utf-8", "replace"), offset + whole

    def progress(self, job_id: str) -> Progress | None:
        """What the last line of progress says; None while there is none."""
        files = self._files(job_id)
        if not files:
            return None
        try:
            with files[-1].open("rb") as log:
                log.seek(max(0, files[-1].stat().st_size - _TAIL))
                lines = log.read().splitlines()
        except OSError:
            return None
        for line in reversed(lines):
            if line.startswith(_MARK):
                try:
                    return _DECODER.decode(line).progress
                except msgspec.DecodeError:
                    continue
        return None

    def _bytes(self, job_id: str, offset: int) -> bytes:
        """Up to a block of the stream of all attempts."""
        parts: list[bytes] = []
        room = _BLOCK
        try:
            for file in self._files(job_id):
                size = file.stat().st_size
                if offset < size and room:
                    with file.open("rb") as log:
                        log.seek(offset)
                        parts.append(log.read(min(room, size - offset)))
                    room -= len(parts[-1])
                offset = max(0, offset - size)
        except OSError as error:
            raise StorageFailed(f"the log of job {job_id} cannot be read ({error.strerror})") from error
        return b"".join(parts)

    def _files(self, job_id: str) -> list[Path]:
        return sorted((self._folder / job_id).glob("*.log"), key=lambda file: int(file.stem))

    def _file(self, job_id: str, attempt: int) -> Path:
        return self._folder / job_id / f"{attempt}.log"
