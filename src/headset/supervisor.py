"""`headset up`: one command that prepares the home folder and runs every process of the platform.

No process outlives the one that needs it: the server's worker ends with the server, the children of ``up`` end
with ``up``, however it ends. One home folder has one server: it holds a lock that the kernel releases.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import math
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from headset.app import open_installation
from headset.app.training import train_intent
from headset.core.clock import MICROSECONDS
from headset.core.config import HOME_VARIABLE
from headset.core.errors import HeadsetError, InvalidInput, StorageFailed
from headset.core.parent import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from litestar import Litestar

    from headset.app import Installation
    from headset.core.config import Config

_logger = logging.getLogger("headset.work")

TWIN_SCENARIO = "quiet_week"
TWIN_SPEED = 60
EXAMPLES = "starter"
_EXAMPLES = 2_400
_HISTORY_DAYS = 2
_SEED = 7
_RELEASE_S = 5
_INSIST_S = 10.0
_EVERY_S = 0.25
_SEAL_EVERY_S = 60.0
_PROGRAM = (sys.executable, "-m", "headset")
_ENDS_WITH_INPUT = "HEADSET_ENDS_WITH_INPUT"


def resolve_host(config: Config) -> Config:
    """The configuration with the server's host as an address, IPv4 where a name has both.

    Raises:
        InvalidInput: the host is neither an address nor a name that is known.
    """
    host = config.server.host
    try:
        found = socket.getaddrinfo(host, config.server.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        problem = getattr(error, "strerror", None) or error
        raise InvalidInput("host", f"{host!r} has no address ({problem}); bind 127.0.0.1 or 0.0.0.0") from None
    families = {family: str(address[0]) for family, _, _, _, address in reversed(found)}
    address = families.get(socket.AF_INET) or families[socket.AF_INET6]
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, host=address))


@contextmanager
def serving_alone(home: Path) -> Iterator[None]:
    """Hold the one place at which ``home`` may be served; the kernel gives it back however the process ends.

    A server keeps conversations in memory, so a second one would contradict what the first acknowledged.

    Raises:
        InvalidInput: another process serves the folder.
        StorageFailed: the folder cannot be used.
    """
    path = home / "serve.lock"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b", buffering=0)
    except OSError as error:
        raise StorageFailed(f"{home} cannot be used as the home folder ({error}); choose one with --home") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            lock.truncate()
            lock.write(str(os.getpid()).encode())
        except BlockingIOError:
            owner = lock.read(20).decode("ascii", "replace") or "unknown"
            problem = f"{home} is served already (process {owner}); stop it, or choose another home with --home"
            raise InvalidInput("home", problem) from None
        except OSError as error:
            raise StorageFailed(f"{path} cannot be locked ({error}); choose a home folder on a local disk") from error
        yield


def check_unserved(home: Path) -> None:
    """Refuse to start where another process serves ``home``.

    Raises:
        InvalidInput: one does.
        StorageFailed: the folder cannot be used.
    """
    with serving_alone(home):
        pass


def check_port(config: Config) -> None:
    """Refuse to start on a port that is taken.

    Raises:
        InvalidInput: something listens there, or the address is not this machine's.
    """
    server = config.server
    try:
        with socket.create_server((server.host, server.port), family=_family(server.host)):
            pass
    except OSError as error:
        field = "host" if error.errno == errno.EADDRNOTAVAIL else "port"
        reason = os.strerror(error.errno) if error.errno else error
        problem = f"{server.port} on {server.host} cannot be used ({reason}); choose another with --{field}"
        raise InvalidInput(field, problem) from None


def prepare_twin(parts: Installation, progress: Callable[[str, float], None]) -> None:
    """Give a home folder some history and, from labelled texts, a champion; what it has already is left as it is.

    The history is of a centre without a bot: people answered everything, and what they answered is suggested now.
    """
    from headset.data.importer import import_items
    from headset.data.row import Row
    from headset.features.sentiment import Sentiment
    from headset.training.recipe import IntentRequest
    from headset.twin.example import write_examples
    from headset.twin.generate import generate
    from headset.twin.recorded import SOURCE
    from headset.twin.scenario import read_scenario
    from headset.twin.world import make_world

    scenario = read_scenario(TWIN_SCENARIO)
    if not parts.log.read(limit=1, types=("ConversationStarted",), source=SOURCE):
        now = datetime.fromtimestamp(parts.clock.now() / MICROSECONDS, UTC).replace(tzinfo=None)
        before = msgspec.structs.replace(
            scenario,
            name="history",
            start=now - timedelta(days=_HISTORY_DAYS),
            bot=msgspec.structs.replace(scenario.bot, arms=()),
        )
        generate(
            make_world(before),
            log=parts.log,
            door=parts.door,
            score=Sentiment().score,
            seed=_SEED,
            days=_HISTORY_DAYS,
            name="history",
            progress=progress,
        )
    if parts.registry.champion(parts.config.decision.model) is None:
        progress("writing examples", 0.0)
        examples = write_examples(make_world(scenario), _EXAMPLES, random.Random(_SEED))
        rows = (Row(number, example.text, example.label) for number, example in enumerate(examples, start=1))
        import_items(rows, EXAMPLES, log=parts.log, door=parts.door, clock=parts.clock)
        progress("writing examples", 1.0)
        train_intent(parts, IntentRequest(dataset=EXAMPLES, seed=_SEED), progress=progress)


class Processes:
    """Child processes that live and die together, and end when this process does."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._environ = _child_environ(config, environ)
        self._patience_s = config.server.drain_s + _INSIST_S
        self._vital: dict[str, subprocess.Popen[bytes]] = {}
        self._optional: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *arguments: str, vital: bool = True) -> None:
        """Run ``headset ARGUMENTS`` as a child; what it prints goes to standard error."""
        children = self._vital if vital else self._optional
        children[" ".join(arguments)] = _start(self._environ, *arguments)

    def ended(self) -> str | None:
        """Name and code of a vital child that has ended, if any has."""
        return next((_told(*each) for each in self._vital.items() if each[1].poll() is not None), None)

    def missed(self) -> list[str]:
        """Name and code of each other child that has ended since the last call."""
        gone = {name: child for name, child in self._optional.items() if child.poll() is not None}
        for name, child in gone.items():
            del self._optional[name]
            _release(child)
        return [_told(*each) for each in gone.items()]

    def stop(self) -> None:
        """Ask all to end, let them finish for as long as the server may, then insist."""
        children = [*self._optional.values(), *self._vital.values()]
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._patience_s
        for child in children:
            try:
                child.wait(max(deadline - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
            _release(child)


def start_child(config: Config, environ: Mapping[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    """Run ``headset ARGUMENTS`` on the same home in a child that ends when this process does."""
    return _start(_child_environ(config, environ), *arguments)


def _child_environ(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    return {**environ, HOME_VARIABLE: str(config.home), _ENDS_WITH_INPUT: "1"}


def _start(environ: Mapping[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*_PROGRAM, *arguments], env=environ, stdin=subprocess.PIPE, stdout=2, start_new_session=True
    )


def _told(name: str, child: subprocess.Popen[bytes]) -> str:
    return f"'headset {name}' ended with code {child.returncode}"


def _release(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        child.stdin.close()


def end_with_starter() -> None:
    """In a child of :class:`Processes`, end when the process that started it is gone; elsewhere do nothing.

    Standard input is a pipe that only the starter can write to, so it ends when the starter does.
    """
    if os.environ.pop(_ENDS_WITH_INPUT, None) is not None:
        threading.Thread(target=_end_with_input, name="starter", daemon=True).start()


def _end_with_input() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def stop_on_signals() -> threading.Event:
    """Set when this process is asked to end: SIGTERM, Ctrl-C, or its terminal closed (unless under ``nohup``)."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: stop.set())
    return stop


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def serve(config: Config) -> None:
    """Serve the API in this process's worker until told to stop; requests in progress are finished.

    The caller holds :func:`serving_alone`.
    """
    from granian import Granian
    from granian.constants import Interfaces, Loops
    from granian.log import LogLevels

    os.environ[HOME_VARIABLE] = str(config.home)
    os.environ["HEADSET_SERVER_HOST"], os.environ["HEADSET_SERVER_PORT"] = config.server.host, str(config.server.port)
    handlers = {
        name: {"class": "logging.StreamHandler", "formatter": formatter, "stream": "ext://sys.stderr"}
        for name, formatter in (("console", "generic"), ("access", "access"))
    }
    server = Granian(
        "headset.supervisor:create_asgi",
        factory=True,
        address=config.server.host,
        port=config.server.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
        log_level=LogLevels.warning,
        log_dictconfig={"handlers": handlers},
        workers_kill_timeout=math.ceil(config.server.drain_s) + _RELEASE_S,
    )
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

    def end_at_hangup() -> None:
        """Granian would start a second worker beside the first at SIGHUP."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else server.signal_handler_interrupt)

    server.on_startup(end_at_hangup)
    server.serve()


def create_asgi() -> Litestar:
    """The API, in a worker that ends at once when the server that started it is gone; Granian imports this."""
    from headset import process

    end_with_parent()
    return process.create_asgi()


def work(config: Config) -> None:
    """Keep projections current, seal old segments and run jobs, until told to stop."""
    from headset.process import FeatureWork, jobs_beside

    stop = stop_on_signals()
    with open_installation(config) as parts, jobs_beside(parts, stop), FeatureWork(parts).beside(stop):
        since_seal = 0.0
        while not stop.wait(_EVERY_S):
            try:
                parts.record.catch_up()
                since_seal += _EVERY_S
                if since_seal >= _SEAL_EVERY_S:
                    since_seal = 0.0
                    parts.log.seal(keep=config.log.keep_live)
            except HeadsetError as error:
                _logger.warning("upkeep failed, it is tried again: %s", error)
