"""The one place where parts and engines are put together: an installation in one home folder."""

from __future__ import annotations

import logging
import os
import random
import subprocess
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headset import __version__
from headset.core.clock import MICROSECONDS, SystemClock
from headset.core.errors import ArtifactError, InvalidInput, NotFound, StorageFailed
from headset.core.ids import Ids
from headset.events.door import Door
from headset.events.projection import Projector
from headset.events.schema import Event
from headset.events.segment import Segments
from headset.events.sqlite import SqliteLog
from headset.events.vault import Vault, load_master_key
from headset.feedback.record import DecisionRecord
from headset.registry.store import Registry
from headset.serving.keys import ApiKeys, development_key

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from headset.backends.redis import RedisStore
    from headset.core.clock import Clock
    from headset.core.config import Config
    from headset.data.synthetic.endpoint import Endpoint
    from headset.events.schema import FeaturesVerified
    from headset.features.audit import Audit
    from headset.features.catalogue import Catalogue
    from headset.features.definition import FeatureService
    from headset.features.encoder import Encoder
    from headset.features.follower import Follower
    from headset.features.memory import MemoryStore
    from headset.features.sentiment import Sentiment
    from headset.features.signal import SignalReader
    from headset.features.store import OnlineStore
    from headset.feedback.table import DecisionTable
    from headset.monitoring.lineage.graph import Lineage
    from headset.monitoring.report import ModelReport
    from headset.registry.risk import RiskScorer
    from headset.registry.store import ModelVersion
    from headset.registry.text_model import TextModel
    from headset.serving.prediction import IntentPredictor
    from headset.serving.risk import RiskPredictor
    from headset.training.recipe import IntentRequest, RiskRequest
    from headset.training.report import TrainingReport
    from headset.training.risk_report import RiskReport
    from headset.training.synthesis_job import SynthesisReport, SynthesisRequest
    from headset.twin.bot import BotVersion

HOME_VARIABLE = "HEADSET_HOME"
_logger = logging.getLogger("headset")
FEATURE_SNAPSHOT = "features.snapshot"
SHARED_SNAPSHOT = "features-shared.snapshot"
_GRACE_S = 3_600


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
    def sentiment(self) -> Sentiment:
        """What scores the mood of texts."""
        from headset.features.sentiment import Sentiment

        return Sentiment()

    @cached_property
    def catalogue(self) -> Catalogue:
        """The feature definitions that are live."""
        from headset.features.catalogue import Catalogue

        return Catalogue(self.log, self.config.home / "projections", self.clock, self.ids)

    def apply_shipped_features(self) -> None:
        """Make the feature views that come with Headset live, where no definition was ever applied."""
        from headset.features.families import risk_service, shipped
        from headset.features.plan import Definitions, plan

        if self.catalogue.position:
            return
        views = shipped(self.encoder.dim)
        wanted = Definitions(views=views, services=(risk_service(views),)).pinned(self.signals().versions)
        self.catalogue.apply(plan(self.catalogue, wanted, ()), commit=f"headset {__version__}")

    def signals(self) -> SignalReader:
        """A reader of the log's events as facts."""
        from headset.features.signal import SignalReader

        return SignalReader(self.vault, self.encoder, self.sentiment)

    def memory_store(self) -> MemoryStore:
        """A store of feature values in this process; it answers for turns as old as may be told."""
        from headset.features.memory import MemoryStore

        return MemoryStore(grace_us=self._grace_us)

    @property
    def _grace_us(self) -> int:
        return round((self.config.decision.clock_behind_s + _GRACE_S) * MICROSECONDS)

    def shared_store(self, *, fills: bool) -> RedisStore | None:
        """The store of feature values that the configuration names, if several processes share it.

        Args:
            fills: Whether this process folds the log into it.

        Raises:
            InvalidInput: the configuration names no engine there is.
        """
        features = self.config.features
        if features.store == "memory":
            return None
        try:
            from headset.backends.redis import RedisStore
        except ImportError:
            raise InvalidInput(
                "features.store", "names a Redis, whose client is not installed; install headset[redis]"
            ) from None
        return RedisStore(
            features.store,
            prefix=features.prefix,
            clock=self.clock,
            timeout_s=features.timeout_ms / 1_000,
            grace_us=self._grace_us,
            fills=fills,
        )

    def follower(self, store: OnlineStore, *, snapshot: str | None = None) -> Follower:
        """What keeps ``store`` up to date with the log, and its state in the file ``snapshot`` of the projections."""
        from headset.features.follower import Follower, Snapshot

        kept = None if snapshot is None else Snapshot(self.config.home / "projections" / snapshot, self.vault)
        return Follower(self.log, self.signals(), store, kept)

    def tell_verified(self, found: FeaturesVerified) -> None:
        """Keep what an audit of features found."""
        self.log.append(
            [
                Event(
                    event_id=self.ids.new(),
                    event_time=self.clock.now(),
                    subject="features:audit",
                    source="audit",
                    payload=found,
                )
            ]
        )

    def lineage(self, name: str, *, limit: int = 20) -> Lineage:
        """Where a decision comes from, or what depends on whatever has the name.

        Raises:
            NotFound: nothing has this name.
        """
        from headset.monitoring.lineage.query import trace

        self.record.catch_up()
        return trace(
            name,
            log=self.log,
            registry=self.registry,
            catalogue=self.catalogue,
            risk_model=self.config.decision.risk_model,
            decisions=lambda: closing(self.decisions.open()),
            limit=limit,
        )

    def audit(self, *, snapshot: str | None = None) -> Audit:
        """What computes the features of decisions again, in a store of its own."""
        from headset.features.audit import Audit

        store, signals = self.memory_store(), self.signals()
        follower = self.follower(store, snapshot=snapshot)
        return Audit(self.log, self.vault, signals, follower, store, self.catalogue)

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

    def train(self, request: IntentRequest, *, progress: Callable[[str, float], None]) -> TrainingReport:
        """Train, track and register an intent model from a dataset in the log."""
        from headset.data.dataset import check_dataset

        for name in (request.dataset, *([request.test] if request.test is not None else [])):
            check_dataset(self.log, name)  # before the training libraries are loaded, which takes seconds
        from headset.training.intent_job import train_intent

        return train_intent(
            log=self.log,
            vault=self.vault,
            registry=self.registry,
            encoder=self.encoder,
            home=self.config.home,
            tracking_uri=self.config.tracking_uri,
            request=request,
            clock=self.clock,
            commit=current_commit(Path.cwd()),
            progress=progress,
        )

    def synthesize(
        self, request: SynthesisRequest, endpoint: Endpoint | None, *, progress: Callable[[str, float], None]
    ) -> SynthesisReport:
        """Make synthetic rows for the rare intents of a dataset in the log, try them, and keep them if they help."""
        from headset.data.dataset import check_dataset

        check_dataset(self.log, request.dataset)  # before the training libraries are loaded, which takes seconds
        from headset.training.synthesis_job import synthesize

        return synthesize(
            request,
            log=self.log,
            door=self.door,
            vault=self.vault,
            encoder=self.encoder,
            clock=self.clock,
            progress=progress,
            endpoint=endpoint,
        )

    def train_risk(self, request: RiskRequest, *, progress: Callable[[str, float], None]) -> RiskReport:
        """Train, track and register a risk model from a dataset in the log, or from all of the log.

        It reads the live feature service ``risk``; where no definition was ever applied, that is the shipped one.
        """
        from headset.features.families import RISK
        from headset.training.risk_job import train_risk

        self.apply_shipped_features()
        return train_risk(
            log=self.log,
            registry=self.registry,
            signals=self.signals(),
            service=self.catalogue.service(RISK),
            home=self.config.home,
            tracking_uri=self.config.tracking_uri,
            request=request,
            clock=self.clock,
            commit=current_commit(Path.cwd()),
            progress=progress,
        )

    def repeat(self, known: ModelVersion, *, progress: Callable[[str, float], None]) -> str:
        """Make a version's artifact again, from its record and the log as it was; gives the SHA-256 (hex).

        Raises:
            InvalidInput: the version is of no training, or its data can no longer be trained on.
            NotFound: the features it read are not live any more.
            ArtifactError: this installation does not have its encoder.
        """
        from headset.events.past import Past
        from headset.training.recipe import IntentRequest, read_request

        request = read_request(known.made.request, f"version {known.version} of {known.model!r}")
        past = Past(self.log, known.made.data_position)
        if isinstance(request, IntentRequest):
            from headset.training.intent_job import repeat_intent

            return repeat_intent(
                log=past,
                vault=self.vault,
                encoder=self.encoder_of(known),
                home=self.config.home,
                request=request,
                progress=progress,
            )
        from headset.training.risk_job import repeat_risk

        return repeat_risk(
            log=past,
            signals=self.signals(),
            service=self._service_of(known),
            home=self.config.home,
            request=request,
            progress=progress,
        )

    def _service_of(self, known: ModelVersion) -> FeatureService:
        """The feature service a registered risk model reads, made of live views."""
        from headset.registry.risk import RiskScorer

        return self._applied_service(RiskScorer.load(self.registry.artifact(known.model, known.version)))

    def _applied_service(self, scorer: RiskScorer) -> FeatureService:
        service = self.catalogue.applied(scorer.service, scorer.service_version)
        if service is None:
            raise NotFound(
                "service", f"{scorer.service!r} {scorer.service_version} was never applied here; train the model again"
            )
        return self.catalogue.resolve(service)

    def text_model(self, known: ModelVersion) -> TextModel:
        """A registered intent model, ready to score.

        Raises:
            ArtifactError: its files do not fit, or are damaged.
        """
        from headset.registry.text_model import load_text_model

        return load_text_model(self.registry.artifact(known.model, known.version))

    def encoder_of(self, known: ModelVersion) -> Encoder:
        """The encoder a registered model was trained with.

        Raises:
            ArtifactError: this installation does not have it.
        """
        if known.made.encoder_version != self.encoder.version:
            raise ArtifactError(
                f"model {known.model} version {known.version} needs the encoder {known.made.encoder_version},"
                f" this installation has {self.encoder.version}; train again"
            )
        return self.encoder

    def predictor(self, serving: str) -> IntentPredictor | None:
        """The champion ready to predict, or None when ``serving`` is the champion already or there is none."""
        from headset.serving.prediction import IntentPredictor

        champion = self.registry.champion(self.config.decision.model)
        if champion is None or champion.version == serving:
            return None
        return IntentPredictor(
            self.text_model(champion),
            self.encoder_of(champion),
            self.sentiment,
            model_version=champion.version,
            suggestions=self.config.decision.suggestions,
        )

    def risk_predictor(self, store: OnlineStore, serving: str) -> RiskPredictor | None:
        """The champion of the risk model, reading from ``store``; None when ``serving`` is it or there is none.

        Raises:
            NotFound: a feature it reads is not live.
            ArtifactError: its files do not fit, or are damaged.
        """
        from headset.registry.risk import RiskScorer
        from headset.serving.risk import RiskPredictor

        champion = self.registry.champion(self.config.decision.risk_model)
        if champion is None or champion.version == serving:
            return None
        scorer = RiskScorer.load(self.registry.artifact(champion.model, champion.version))
        return RiskPredictor(scorer, self._applied_service(scorer), store, model_version=champion.version)

    def twin_version(self, version: str, intents: Collection[str]) -> BotVersion:
        """A registered version, by number or alias, as the bot of a simulated centre where people have ``intents``.

        Raises:
            InvalidInput: it knows none of them.
            NotFound: there is none.
            ArtifactError: its files do not fit, or are damaged.
        """
        from headset.twin.bot import BotVersion, Reader

        known = self.registry.get(self.config.decision.model, version)
        encoder, scorer = self.encoder_of(known), self.text_model(known)
        if not set(intents) & set(scorer.labels):
            learned = ", ".join(scorer.labels[:10])
            raise InvalidInput(
                "model", f"version {known.version} knows none of the scenario's intents, but {learned}; name another"
            )
        return BotVersion(known.version, Reader(scorer, encoder), scorer.threshold)

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
        for name in ("keys", "record", "replies", "catalogue"):
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


def current_commit(folder: Path) -> str:
    """The Git commit checked out around ``folder``, marked when files differ from it; ``unknown`` outside Git."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
