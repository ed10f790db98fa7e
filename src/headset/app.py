"""The one place where parts and engines are put together: an installation in one home folder."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import subprocess
import sys
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headset.core.clock import MICROSECONDS, SystemClock
from headset.core.config import Config, load_config
from headset.core.errors import ArtifactError, HeadsetError, InvalidInput, StorageFailed
from headset.core.ids import Ids
from headset.events.appender import AsyncAppender
from headset.events.door import Door
from headset.events.projection import Projector
from headset.events.segment import Segments
from headset.events.sqlite import SqliteLog
from headset.events.vault import Vault, load_master_key
from headset.feedback.record import DecisionRecord
from headset.registry.store import Registry
from headset.serving.keys import ApiKeys, development_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from litestar import Litestar

    from headset.core.clock import Clock
    from headset.features.encoder import Encoder
    from headset.feedback.table import DecisionTable
    from headset.monitoring.report import ModelReport
    from headset.registry.store import ModelVersion
    from headset.serving.metrics import Metrics
    from headset.serving.prediction import IntentPredictor
    from headset.serving.service import Service
    from headset.training.report import TrainingReport
    from headset.twin.bot import BotVersion

HOME_VARIABLE = "HEADSET_HOME"
_logger = logging.getLogger("headset")
_CHAMPION_EVERY_S = 2.0
_REPLIES_EVERY_S = 15.0


class Installation:
    """The opened parts of one home folder.

    Layout: ``log/events.db`` and ``log/segments/``, ``keys/``, ``projections/``, ``models/``, ``mlflow.db``.

    Args:
        config: Names the home folder.
        clock: The machine's own, unless time is simulated.
        entropy: Of the keys that texts are sealed under; anything but the default is for texts that are made up.

    Raises:
        StorageFailed: the folder cannot be used, or a file in it is damaged.
    """

    def __init__(
        self, config: Config, *, clock: Clock | None = None, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self.config = config
        self.clock: Clock = clock or SystemClock()
        self.ids = Ids(self.clock, random.SystemRandom())
        home = config.home
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            for folder in ("log", "keys", "projections", "models"):
                (home / folder).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StorageFailed(
                f"{home} cannot be used as the home folder ({error}); choose one with --home"
            ) from error
        master = load_master_key(home / "keys" / "master.key")
        self.vault = Vault(home / "keys" / "subjects.db", master, entropy=entropy)
        self.door = Door(self.vault)
        self.log = SqliteLog(
            home / "log" / "events.db",
            self.clock,
            segments=Segments(home / "log" / "segments"),
            before_commit=self.vault.flush,
            queue_limit=config.log.queue_limit,
        )
        self.registry = Registry(self.log, home / "projections", home / "models", self.clock, self.ids)

    @cached_property
    def keys(self) -> ApiKeys:
        """The API keys."""
        return ApiKeys(self.config.home / "keys" / "api.db", self.clock)

    @cached_property
    def encoder(self) -> Encoder:
        """The sentence encoder all models of this installation read."""
        from headset.features.static_encoder import load_encoder

        return load_encoder()

    @cached_property
    def record(self) -> Projector:
        """The decision record; call ``catch_up`` before reading what must be current."""
        return Projector(self.log, DecisionRecord(), self._record_path)

    @property
    def decisions(self) -> DecisionTable:
        """The decision record as a DuckDB table, as of the last ``record.catch_up()``."""
        from headset.feedback.table import DecisionTable

        return DecisionTable(self._record_path, self.config.home / "projections" / "decisions")

    @property
    def _record_path(self) -> Path:
        return self.config.home / "projections" / "decisions.db"

    @cached_property
    def replies(self) -> Projector:
        """The history of agents' replies."""
        from headset.serving.replies import ReplyHistory

        return Projector(self.log, ReplyHistory(self.vault), self.config.home / "projections" / "replies.db")

    def development_key(self) -> str | None:
        """The key for this machine's own use; None where the server listens beyond loopback."""
        if self.config.server.host not in {"127.0.0.1", "::1", "localhost"}:
            return None
        return development_key(self.keys, self.config.home / "keys" / "development.key")

    def train(
        self, dataset: str, *, test: str | None, seed: int, precision: float, progress: Callable[[str, float], None]
    ) -> TrainingReport:
        """Train, track and register an intent model from a dataset in the log."""
        from headset.data.dataset import check_dataset

        for name in (dataset, *([test] if test is not None else [])):
            check_dataset(self.log, name)  # before the training libraries are loaded, which takes seconds
        from headset.training.job import train_intent

        return train_intent(
            log=self.log,
            vault=self.vault,
            registry=self.registry,
            encoder=self.encoder,
            home=self.config.home,
            tracking_uri=self.config.tracking_uri,
            dataset=dataset,
            test=test,
            seed=seed,
            target_precision=precision,
            clock=self.clock,
            commit=current_commit(Path.cwd()),
            progress=progress,
        )

    def predictor(self, serving: str) -> IntentPredictor | None:
        """The champion ready to predict, or None when ``serving`` is the champion already or there is none."""
        from headset.features.sentiment import Sentiment
        from headset.registry.scorer import Scorer
        from headset.serving.prediction import IntentPredictor

        champion = self.registry.champion(self.config.decision.model)
        if champion is None or champion.version == serving:
            return None
        self._check_encoder(champion)
        return IntentPredictor(
            Scorer.load(self.registry.artifact(champion.model, champion.version)),
            self.encoder,
            Sentiment(),
            model_version=champion.version,
            suggestions=self.config.decision.suggestions,
        )

    def _check_encoder(self, known: ModelVersion) -> None:
        if known.made.encoder_version != self.encoder.version:
            raise ArtifactError(
                f"model {known.model} version {known.version} needs the encoder {known.made.encoder_version},"
                f" this installation has {self.encoder.version}; train again"
            )

    def twin_version(self, version: str, intents: Collection[str]) -> BotVersion:
        """A registered version, by number or alias, as the bot of a simulated centre where people have ``intents``.

        Raises:
            InvalidInput: it knows none of them.
            NotFound: there is none.
            ArtifactError: its files do not fit, or are damaged.
        """
        from headset.registry.scorer import Scorer
        from headset.twin.bot import BotVersion, Reader

        known = self.registry.get(self.config.decision.model, version)
        self._check_encoder(known)
        scorer = Scorer.load(self.registry.artifact(known.model, known.version))
        if not set(intents) & set(scorer.labels):
            learned = ", ".join(scorer.labels[:10])
            raise InvalidInput(
                "model", f"version {known.version} knows none of the scenario's intents, but {learned}; name another"
            )
        return BotVersion(known.version, Reader(scorer, self.encoder), scorer.threshold)

    def reports(self, hours: float | None) -> list[ModelReport]:
        """The KPI report by model version, over the last ``hours`` or all time, current to the last event."""
        from headset.monitoring.report import report

        since = None if hours is None else self.clock.now() - round(hours * 3600 * MICROSECONDS)
        self.record.catch_up()
        with closing(self.decisions.open(since=since)) as connection:
            return report(connection, since=since)

    def kpis(self, hours: float | None) -> bytes:
        """The same as JSON."""
        return msgspec.json.encode({"models": self.reports(hours)})

    def close(self) -> None:
        """Finish what was accepted and release every store."""
        self.log.close()
        for name in ("keys", "record", "replies"):
            part = self.__dict__.get(name)
            if part is not None:
                part.close()
        self.registry.close()
        self.vault.close()


@contextmanager
def open_installation(
    config: Config, *, clock: Clock | None = None, entropy: Callable[[int], bytes] = os.urandom
) -> Iterator[Installation]:
    """An installation, closed when the block ends; see :class:`Installation`."""
    installation = Installation(config, clock=clock, entropy=entropy)
    try:
        yield installation
    finally:
        installation.close()


def create_asgi() -> Litestar:
    """The API of the home folder named by ``HEADSET_HOME``; what the HTTP server's worker imports."""
    from headset.serving.api import create_api
    from headset.serving.metrics import Metrics

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    os.umask(0o077)
    sys.setswitchinterval(0.001)
    config = load_config(Path(os.environ[HOME_VARIABLE]), os.environ)
    metrics = Metrics()

    async def start() -> Service:
        parts = Installation(config)
        try:
            return await open_service(parts, metrics)
        except BaseException:
            parts.close()
            raise

    return create_api(start, metrics, body_limit=config.server.body_limit)


async def open_service(parts: Installation, metrics: Metrics) -> Service:
    """The running service of an installation, on the current event loop; closing it closes the installation."""
    from headset.serving.conversation import Conversations
    from headset.serving.decision import DecisionService
    from headset.serving.feedback import FeedbackService
    from headset.serving.service import Model, Service

    loop = asyncio.get_running_loop()
    config = parts.config
    append = AsyncAppender(parts.log, loop).append
    conversations = Conversations(parts.log, parts.vault)
    upkeep = _Upkeep(parts)
    model = Model(config.decision.model, upkeep.load, loop, config)
    try:
        await asyncio.to_thread(model.refresh)
    except HeadsetError as error:
        _logger.warning("no model serves, every turn goes to a person: %s", error)
    return Service(
        clock=parts.clock,
        log=parts.log,
        vault=parts.vault,
        keys=parts.keys,
        registry=parts.registry,
        metrics=metrics,
        model=model,
        decisions=DecisionService(
            door=parts.door,
            vault=parts.vault,
            append=append,
            conversations=conversations,
            predict=model.predict,
            clock=parts.clock,
            config=config,
        ),
        feedback=FeedbackService(
            log=parts.log,
            vault=parts.vault,
            door=parts.door,
            append=append,
            conversations=conversations,
            clock=parts.clock,
            ids=parts.ids,
            config=config.decision,
        ),
        kpis=parts.kpis,
        upkeep=[(_CHAMPION_EVERY_S, model.refresh), (_REPLIES_EVERY_S, upkeep.refresh_replies)],
        on_close=parts.close,
    )


class _Upkeep:
    """Brings the predictor in use up to date, beside the requests."""

    def __init__(self, parts: Installation) -> None:
        self._parts = parts
        self._predictor: IntentPredictor | None = None

    def load(self, serving: str) -> IntentPredictor | None:
        """The champion with its replies, or None when ``serving`` is it already or there is none."""
        fresh = self._parts.predictor(serving)
        if fresh is None:
            return None
        self._predictor = fresh
        try:
            self.refresh_replies()
        except HeadsetError as error:
            _logger.warning("nothing is suggested for now: %s", error)
        return fresh

    def refresh_replies(self) -> None:
        """Take in what agents answered since the last time, and drop what was erased."""
        self._parts.replies.catch_up()
        if self._predictor is not None:
            self._predictor.refresh_replies(self._parts.replies.connection, self._parts.vault)


def current_commit(folder: Path) -> str:
    """The Git commit checked out around ``folder``, marked when files differ from it; ``unknown`` outside Git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
