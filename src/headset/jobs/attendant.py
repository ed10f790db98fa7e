"""A program of its own: runs one command, keeps its output, holds it to its limits, and writes down how it ended.

It outlives the worker that started it, so that a job goes on while the platform is down. Its folder holds:

    order.json   what to run and within which limits; written by :mod:`headset.jobs.process`
    lock         locked while the attendant or the command lives; the kernel releases it however they end
    state        JSON, padded to a fixed size so that the end can be written on a full disk; locked while the
                 attendant lives
    output       what the command printed

A folder is attended once: where ``state`` is there, nothing is run again.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

STATE_SIZE = 1_024
_GRACE_S = 10.0
_LOOK_EVERY_S = 0.25
_BLOCK = 65_536
_TRIES = 50


def main(folder: Path) -> None:
    """Attend to the command in ``folder``; return at once where that was done."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    if not _locked(lock):
        return
    try:
        state = (folder / "state").open("x+b", buffering=0)
    except FileExistsError:
        return
    order = json.loads((folder / "order.json").read_text("utf-8"))
    with state:
        fcntl.flock(state, fcntl.LOCK_EX)
        _Attendance(folder, order, state.fileno(), lock).run()


class _Attendance:
    """One command from its start to its end."""

    def __init__(self, folder: Path, order: dict[str, Any], state: int, lock: int) -> None:
        self._folder = folder
        self._order = order
        self._state = state
        self._lock = lock
        self._known: dict[str, Any] = {"attendant": os.getpid()}
        self._reason = ""
        self._insist_at: float | None = None
        self._started = _now()
        self._look_at = self._started

    def run(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: self._end("it was told to end"))
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._tell()
        try:
            output = os.open(self._folder / "output", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            command = subprocess.Popen(  # noqa: S603 - a list, no shell
                self._order["argv"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(self._lock,),
            )
        except OSError as error:
            self._tell(exit_code=127, reason=f"the command could not be started ({error})")
            return
        self._command = command
        self._tell(command=command.pid)
        self._attend(output)
        self._tell(exit_code=command.wait(), reason=self._reason)

    def _attend(self, output: int) -> None:
        """Keep what is printed until the command has ended."""
        pipe = self._command.stdout
        if pipe is None:
            return
        os.set_blocking(pipe.fileno(), False)
        is_open = True
        while True:
            ended = self._command.poll() is not None
            if ended:
                self._signal(signal.SIGKILL)  # what the command left behind
            if is_open and select.select([pipe], [], [], 0.0 if ended else _LOOK_EVERY_S)[0]:
                block = os.read(pipe.fileno(), _BLOCK)
                is_open = bool(block)
                self._keep(output, block)
                if block:
                    self._hold_to_limits()
                    continue
            if ended:
                return
            if not is_open:
                time.sleep(_LOOK_EVERY_S)
            self._hold_to_limits()

    def _keep(self, output: int, block: bytes) -> None:
        try:
            while block:
                block = block[os.write(output, block) :]
        except OSError as error:
            self._end(f"its output cannot be written: {error.strerror}")

    def _hold_to_limits(self) -> None:
        now, limit, memory = _now(), self._order["time_limit_s"], self._order["memory_mb"]
        if self._insist_at is not None:
            if now >= self._insist_at:
                self._signal(signal.SIGKILL)
        elif limit is not None and now - self._started > limit:
            self._end(f"it ran longer than its limit of {limit:g} s")
        elif memory is not None and now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_S  # all of /proc is read: not after each line that is printed
            if (used := _memory_mb(self._command.pid)) > memory:
                self._end(f"it used {used} MB of memory, {memory} MB are its limit")

    def _end(self, reason: str) -> None:
        if self._insist_at is None:
            self._reason = reason
            self._insist_at = _now() + _GRACE_S
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        if "command" in self._known:
            with suppress(ProcessLookupError):
                os.killpg(self._known["command"], number)

    def _tell(self, **news: object) -> None:
        """Write the state in place: blocks that were written once can be written again on a full disk."""
        self._known |= news
        os.pwrite(self._state, json.dumps(self._known).encode()[:STATE_SIZE].ljust(STATE_SIZE), 0)
        os.fsync(self._state)


def _now() -> float:
    return time.monotonic()  # noqa: TID251 - a program of its own, that imports nothing of Headset


def _locked(lock: int) -> bool:
    """Take the lock; whoever only looks whether it is taken holds it for a moment."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def _memory_mb(session: int) -> int:
    """Memory of all processes of a session, shared pages counted once; 0 where the system does not tell."""
    total_kb = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                share = (process / "smaps_rollup").read_text().partition("\nPss:")[2]
                total_kb += int(share.split()[0])
    return total_kb // 1_024


if __name__ == "__main__":
    main(Path(sys.argv[1]))
