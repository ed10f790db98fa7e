"""`headset up`: one command that prepares the home folder and runs every process of the platform."""

from __future__ import annotations

import io
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import msgspec

from headset.app import HOME_VARIABLE, open_installation
from headset.core.errors import HeadsetError, InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from headset.app import Installation
    from headset.core.config import Config

_logger = logging.getLogger("headset.work")

STARTER = "starter"
_STARTER_EXAMPLES = 2_000
_STARTER_CONVERSATIONS = 300
_SEED = 7
_STOP_S = 15.0
_EVERY_S = 0.25
_SEAL_EVERY_S = 60.0


def check_port(config: Config) -> None:
    """Refuse to start on a port that is taken.

    Raises:
        InvalidInput: something listens there, or the address cannot be bound.
    """
    server = config.server
    try:
        with socket.create_server((server.host, server.port), family=_family(server.host)):
            pass
    except OSError as error:
        problem = f"{server.port} on {server.host} cannot be used ({error.strerror}); choose another with --port"
        raise InvalidInput("port", problem) from None


def prepare_twin(parts: Installation, progress: Callable[[str, float], None]) -> None:
    """Give an empty home folder the starter set, some history and a trained champion; later runs add nothing."""
    from headset.data.formats import jsonl
    from headset.data.importer import import_items
    from headset.data.row import Row
    from headset.twin.starter import starter_conversations, starter_examples

    progress("writing the starter set", 0.0)
    examples = starter_examples(_STARTER_EXAMPLES, random.Random(_SEED))
    rows = (Row(number, example.text, example.intent) for number, example in enumerate(examples, start=1))
    import_items(rows, STARTER, log=parts.log, door=parts.door, clock=parts.clock)
    progress("writing the starter set", 0.5)
    conversations = starter_conversations(_STARTER_CONVERSATIONS, random.Random(_SEED), parts.clock.now())
    lines = io.BytesIO(b"\n".join(map(msgspec.json.encode, conversations)))
    import_items(jsonl.parse(lines), f"{STARTER}-history", log=parts.log, door=parts.door, clock=parts.clock)
    progress("writing the starter set", 1.0)
    if parts.registry.champion(parts.config.decision.model) is None:
        parts.train(STARTER, test=None, seed=_SEED, precision=0.95, progress=progress)


class Processes:
    """Child processes that live and die together."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._environ = {**environ, HOME_VARIABLE: str(config.home)}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *arguments: str) -> None:
        """Run ``headset ARGUMENTS`` as a child."""
        self._children[arguments[0]] = subprocess.Popen(
            [sys.executable, "-m", "headset", *arguments],
            env=self._environ,
            start_new_session=True,
        )

    def ended(self) -> str | None:
        """Name and code of a child that has ended, if any has."""
        for name, child in self._children.items():
            if child.poll() is not None:
                return f"'headset {name}' ended with code {child.returncode}"
        return None

    def stop(self) -> None:
        """Ask all to end, then insist."""
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        for child in self._children.values():
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def serve(config: Config) -> None:
    """Serve the API in this process's worker until told to stop; requests in progress are finished."""
    from granian import Granian
    from granian.constants import Interfaces, Loops
    from granian.log import LogLevels

    check_port(config)
    os.environ[HOME_VARIABLE] = str(config.home)
    os.environ["HEADSET_SERVER_HOST"], os.environ["HEADSET_SERVER_PORT"] = config.server.host, str(config.server.port)
    Granian(
        "headset.app:create_asgi",
        factory=True,
        address=config.server.host,
        port=config.server.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        websockets=False,
        log_level=LogLevels.warning,
        workers_kill_timeout=round(config.server.drain_s) + 5,
    ).serve()


def work(config: Config) -> None:
    """Keep projections current and seal old segments, until told to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with open_installation(config) as parts:
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
