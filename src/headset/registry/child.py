"""A process of its own for code that is not Headset's: it may raise, stall, crash, and takes nothing else with it.

It is a Python without this process's environment, working directory or open files. Requests go to its standard input,
answers come from its standard output; it ends when its standard input does, so never outlives this process.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import headset
from headset.core.errors import ModelFailed
from headset.registry.child_message import ANSWERS, FRAME_LIMIT, LENGTH_BYTES, Answer, Failed, Progress, Request, framed

if TYPE_CHECKING:
    from collections.abc import Callable

    from headset.core.clock import Clock

_MODULE = "headset.training.plugin.host"
_ENVIRONMENT = {
    "DO_NOT_TRACK": "true",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",  # one text at a time gains nothing by more, and sums stay equal
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONPATH": str(Path(headset.__file__).parents[1]),
    "PYTHONUTF8": "1",
}
_GRACE_S = 5.0
_PIECE = 1 << 20


class Child:
    """One such process; one thread may ask at a time.

    Args:
        clock: For deadlines.

    Raises:
        ModelFailed: it cannot be started.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        try:
            self._process = subprocess.Popen(  # noqa: S603 - Headset itself
                [sys.executable, "-P", "-m", _MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # what a model prints may hold what customers wrote
                cwd="/",
                env=_ENVIRONMENT,
                bufsize=0,
                start_new_session=True,
            )
        except OSError as error:
            raise ModelFailed(
                f"a process for the model cannot be started ({error}); free memory or processes"
            ) from None
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._write, self._read = self._process.stdin, self._process.stdout
        os.set_blocking(self._write.fileno(), False)
        self._received = bytearray()
        self._owed, self._asked = False, 0.0

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def ask(
        self,
        request: Request,
        limit_s: float,
        progress: Callable[[str, float], None] = lambda *_: None,
        *,
        patience_s: float = 0.0,
    ) -> Answer:
        """Its answer; one that comes too late is thrown away.

        A process that has given none for ``patience_s`` seconds is of no more use: it is killed.

        Raises:
            ModelFailed: it failed, ended, said what cannot be read, or gave no answer within ``limit_s`` seconds of the
                request, or of the last it told of its progress.
        """
        deadline = self._clock.monotonic() + limit_s
        try:
            if self._owed:
                self._answer(deadline)
                self._owed = False
            self._asked = self._clock.monotonic()
            self._send(framed(request), deadline)
            self._owed = True
            answer = self._answer(deadline)
            while isinstance(answer, Progress):
                progress(answer.phase, answer.fraction)
                answer = self._answer(self._clock.monotonic() + limit_s)
            self._owed = False
        except TimeoutError:
            if not self._owed or self._clock.monotonic() - self._asked >= patience_s:
                self.kill()
            raise ModelFailed(f"gave no answer within {limit_s:g} s") from None
        except (OSError, EOFError):
            self.kill()
            raise ModelFailed(f"ended: {self._ending()}") from None
        except (msgspec.DecodeError, msgspec.ValidationError):
            self.kill()
            raise ModelFailed("said what cannot be read") from None
        except BaseException:
            self.kill()
            raise
        if isinstance(answer, Failed):
            raise ModelFailed(answer.problem)
        return answer

    def wait(self) -> None:
        """Return once it has ended."""
        self._process.wait()

    def kill(self) -> None:
        """End it, and all it started, at once."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)

    def close(self) -> None:
        """End it and let go of its pipes; only once nobody asks it any more."""
        self.kill()
        self._write.close()
        self._read.close()

    def _ending(self) -> str:
        code = self._process.returncode
        if code is None:
            return "it does not react"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _send(self, content: bytes, deadline: float) -> None:
        rest = memoryview(content)
        while rest:
            self._await(deadline, write=True)
            rest = rest[os.write(self._write.fileno(), rest[:_PIECE]) :]

    def _answer(self, deadline: float) -> Answer:
        answer: Answer = ANSWERS.decode(self._receive(deadline))
        return answer

    def _receive(self, deadline: float) -> bytes:
        """The next message; what has come of it stays when the time is over."""
        self._await_bytes(LENGTH_BYTES, deadline)
        length = int.from_bytes(self._received[:LENGTH_BYTES], "big")
        if length > FRAME_LIMIT:
            raise msgspec.DecodeError
        end = LENGTH_BYTES + length
        self._await_bytes(end, deadline)
        message = bytes(self._received[LENGTH_BYTES:end])
        del self._received[:end]
        return message

    def _await_bytes(self, count: int, deadline: float) -> None:
        while len(self._received) < count:
            self._await(deadline, write=False)
            piece = os.read(self._read.fileno(), min(_PIECE, count - len(self._received)))
            if not piece:
                raise EOFError
            self._received += piece

    def _await(self, deadline: float, *, write: bool) -> None:
        """Wait until the pipe takes or gives something."""
        rest_ms = max(0.0, deadline - self._clock.monotonic()) * 1_000
        waiting = select.poll()
        waiting.register((self._write if write else self._read).fileno(), select.POLLOUT if write else select.POLLIN)
        if not waiting.poll(rest_ms):
            raise TimeoutError
