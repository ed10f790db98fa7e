"""An installation in one home folder: everything that is opened once."""

from __future__ import annotations

import os
import random
from contextlib import closing, contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec

from headset import __version__
from headset.app.encoders import Encoders
from headset.app.jobs import check_job, open_launcher
from headset.core.clock import MICROSECONDS, SystemClock
from headset.core.errors import InvalidInput, StorageFailed
from headset.core.ids import Ids
from headset.events.door import Door
from headset.events.projection import Projector
from headset.events.schema import Event
from headset.events.segment import Segments
from headset.events.sqlite import SqliteLog
from headset.events.vault import Vault, load_master_key
from headset.feedback.record import DecisionRecord
from headset.registry.evidence import INTENT_GATES, Policy
from headset.registry.seal import Seal
from headset.registry.store import Registry
from headset.serving.keys import ApiKeys, development_key
from headset.serving.person import People
from headset.validation.limits import DEFAULT, change_limits, changed_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from headset.backends.redis import RedisStore
    from headset.core.clock import Clock
    from headset.core.config import Config
    from headset.events.schema import FeaturesVerified
    from headset.features.audit import Audit
    from headset.features.catalogue import Catalogue
    from headset.features.encoder import Encoder
    from headset.features.follower import Follower
    from headset.features.memory import MemoryStore
    from headset.features.sentiment import Sentiment
    from headset.features.signal import SignalReader
    from headset.features.store import OnlineStore
    from headset.feedback.table import DecisionTable
    from headset.jobs.desk import JobDesk
    from headset.jobs.launcher import Launcher
    from headset.jobs.spec import LauncherName
    from headset.jobs.store import Jobs
    from headset.monitoring.lineage.graph import Lineage
    from headset.monitoring.report import ModelReport

FEATURE_SNAPSHOT = "features.snapshot"
SHARED_SNAPSHOT = "features-shared.snapshot"
_GRACE_S = 3_600


class Installation:
    """The opened parts of one home folder.

    Layout: ``log/events.db`` and ``log/segments/``, ``keys/``, ``projections/``, ``models/``, ``jobs/``, ``mlflow.db``.

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
        self._launchers: dict[LauncherName, Launcher] = {}
        deciding = frozenset({config.decision.model, *config.decision.queue_models.values()})
        gates = config.gates
        self.limits = change_limits(DEFAULT, gates.limits, "[gates.limits] of headset.toml")
        policy = Policy(deciding, gates.required or INTENT_GATES, gates.valid_days, changed_limits(self.limits))
        seal = Seal(self.vault.digest)
        self.registry = Registry(self.log, home / "models", self.clock, self.ids, seal, policy)

    @cached_property
    def keys(self) -> ApiKeys:
        """The API keys."""
        return ApiKeys(self.config.home / "keys" / "api.db", self.clock)

    @cached_property
    def people(self) -> People:
        """Tells who asks for a change to a model."""
        return People(self.keys, self.registry.journal, self.clock)

    @cached_property
    def encoders(self) -> Encoders:
        """The sentence encoders that are here."""
        return Encoders(self.config.home / "encoders")

    @property
    def encoder(self) -> Encoder:
        """The encoder that features are made with, and models by default."""
        return self.encoders.default

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

    @cached_property
    def jobs(self) -> Jobs:
        """The jobs, and all that happened to them."""
        from headset.jobs.store import Jobs

        home = self.config.home
        return Jobs(self.log, home / "projections", home / "jobs", self.clock, self.ids, check=partial(check_job, self))

    @property
    def job_desk(self) -> JobDesk:
        """The jobs as JSON, for the API."""
        from headset.jobs.desk import JobDesk

        return JobDesk(self.jobs, launcher=self.config.jobs.launcher)

    def launcher(self, name: LauncherName) -> Launcher:
        """What runs jobs, by its name.

        Raises:
            InvalidInput: its engine is not there.
        """
        if name not in self._launchers:
            self._launchers[name] = open_launcher(self, name)
        return self._launchers[name]

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
        for name in ("keys", "record", "replies", "catalogue", "jobs"):
            part = self.__dict__.get(name)
            if part is not None:
                part.close()
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
