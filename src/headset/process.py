"""The platform's processes on top of an installation: the one that serves, and the work beside it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headset.app.installation import FEATURE_SNAPSHOT, SHARED_SNAPSHOT, Installation
from headset.app.jobs import job_worker
from headset.app.serving import predictor, risk_predictor, shadow_predictor
from headset.core.config import HOME_VARIABLE, load_config
from headset.core.errors import HeadsetError
from headset.events.appender import AsyncAppender
from headset.events.schema import FeaturesVerified
from headset.features.audit import HOLD_US
from headset.serving.risk import RiskAway

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from litestar import Litestar

    from headset.features.audit import Audit
    from headset.features.definition import FeatureView
    from headset.features.follower import Follower
    from headset.features.store import OnlineStore
    from headset.serving.metrics import Metrics
    from headset.serving.prediction import IntentPredictor
    from headset.serving.risk import RiskPredictor
    from headset.serving.service import Service

_logger = logging.getLogger("headset")
_CHAMPION_EVERY_S = 2.0
_REPLIES_EVERY_S = 15.0
_FOLLOW_EVERY_S = 0.02
_LIVE_EVERY_S = 0.5
_READ_AHEAD_EVERY_S = 0.5
_EXPIRE_EVERY_S = 60.0
_AUDIT_EVERY_S = 5.0
_REPORT_EVERY_S = 60.0
_FINISH_S = 5.0
_LINGER_S = 600.0
_CURRENT = 2_000
"""Events behind the head that still count as none."""


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
    from headset.serving.features import FeatureAnswers
    from headset.serving.feedback import FeedbackService
    from headset.serving.service import Model, Models, Service, Shadows
    from headset.serving.shadow import Shadow

    loop = asyncio.get_running_loop()
    config = parts.config
    append = AsyncAppender(parts.log, loop).append
    conversations = Conversations(parts.log, parts.vault)
    features = _FeatureUpkeep(parts, metrics)
    upkeep = _ModelUpkeep(parts, features)
    named = {
        name: Model(name, partial(upkeep.load, name), loop, config)
        for name in {config.decision.model, *config.decision.queue_models.values()}
    }
    by_queue = {queue: named[name] for queue, name in config.decision.queue_models.items()}
    models = Models(named[config.decision.model], by_queue)
    await asyncio.to_thread(models.refresh)
    shadows = Shadows(
        Shadow(
            name,
            partial(shadow_predictor, parts, name),
            append,
            loop=loop,
            clock=parts.clock,
            config=config,
            metrics=metrics,
        )
        for name in named
    )
    return Service(
        clock=parts.clock,
        log=parts.log,
        vault=parts.vault,
        keys=parts.keys,
        people=parts.people,
        registry=parts.registry,
        metrics=metrics,
        models=models,
        shadows=shadows,
        decisions=DecisionService(
            door=parts.door,
            vault=parts.vault,
            append=append,
            conversations=conversations,
            model_of=models.of,
            watch=shadows.watch,
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
        features=FeatureAnswers(parts.catalogue, features.store, parts.clock),
        lineage=lambda name: msgspec.json.encode(parts.lineage(name)),
        kpis=parts.kpis,
        jobs=parts.job_desk,
        upkeep=[
            (_FOLLOW_EVERY_S, features.follow),
            *((_CHAMPION_EVERY_S, model.refresh) for model in models.named.values()),
            *((_CHAMPION_EVERY_S, shadow.refresh) for shadow in shadows.named.values()),
            (_LIVE_EVERY_S, features.refresh),
            (_CHAMPION_EVERY_S, upkeep.refresh_risk),
            (_READ_AHEAD_EVERY_S, upkeep.read_ahead),
            (_REPLIES_EVERY_S, upkeep.refresh_replies),
            (_REPLIES_EVERY_S, features.measure),
            (_EXPIRE_EVERY_S, features.expire),
        ],
        on_close=features.close,
    )


@contextmanager
def jobs_beside(parts: Installation, stop: threading.Event) -> Iterator[None]:
    """Work on the queue of jobs in a thread of its own while the block runs; jobs outlive it."""
    worker = job_worker(parts, stop)

    def work() -> None:
        try:
            worker.work()
        except Exception:
            _logger.exception("no job is started any more; restart the worker")

    thread = threading.Thread(target=work, name="headset-jobs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(_FINISH_S)


class _LiveViews:
    """The views of the catalogue, and for a while those that were live before: models in use change over meanwhile."""

    def __init__(self, parts: Installation) -> None:
        self._parts = parts
        self._last_live: dict[str, tuple[FeatureView, float]] = {}

    def get(self) -> list[FeatureView]:
        """What is to be computed now."""
        now = self._parts.clock.monotonic()
        self._last_live |= {view.version: (view, now) for view in self._parts.catalogue.views()}
        self._last_live = {
            version: (view, seen) for version, (view, seen) in self._last_live.items() if now - seen < _LINGER_S
        }
        return [view for view, _ in self._last_live.values()]


class _FeatureUpkeep:
    """Keeps the features that this process reads up to date, beside the requests.

    In memory they are folded here; a shared store is filled by the worker.
    """

    def __init__(self, parts: Installation, metrics: Metrics) -> None:
        self._parts = parts
        self._metrics = metrics
        self._told = parts.log.head()
        shared = parts.shared_store(fills=False)
        self.store: OnlineStore = shared or parts.memory_store()
        self._follower = None if shared else parts.follower(self.store, snapshot=FEATURE_SNAPSHOT)
        self._views = _LiveViews(parts)

    @property
    def is_shared(self) -> bool:
        """Whether other processes read the same store."""
        return self._follower is None

    def behind(self, views: Iterable[FeatureView]) -> str:
        """Why the values of these views are not those of now, but for the last events; empty if they are."""
        positions, head = self.store.positions(), self._parts.log.head()
        reached = {positions.get(view.version, 0) for view in views}
        behind = head - min(reached, default=head)
        if len(reached) > 1:  # those that are current move together
            return f"a view is still being folded, {behind} events behind the log"
        return f"values are {behind} events behind the log" if behind >= _CURRENT else ""

    def refresh(self) -> None:
        """Compute what is live now."""
        (self._follower or self.store).install(self._views.get())

    def follow(self) -> None:
        """Fold in what was appended."""
        if self._follower is not None:
            self._follower.catch_up()

    def measure(self) -> None:
        """Tell the metrics how far behind features are, and what audits found since last time."""
        head = self._parts.log.head()
        while records := self._parts.log.read(self._told, types=("FeaturesVerified",)):
            for record in records:
                if isinstance(record.event.payload, FeaturesVerified):
                    self._metrics.verified(record.event.payload.checked, record.event.payload.mismatched)
            self._told = records[-1].offset
        self._told = max(self._told, head)  # the rest of the log holds none: it is not looked through again
        position = min(self.store.positions().values(), default=head)
        self._metrics.feature_lag.set(max(0, head - position))

    def expire(self) -> None:
        """Forget what no read can reach."""
        self.store.expire(self._parts.clock.now())

    def close(self) -> None:
        """Release the store, then everything else."""
        self.store.close()
        self._parts.close()


class _ModelUpkeep:
    """Brings the predictors in use up to date, beside the requests."""

    def __init__(self, parts: Installation, features: _FeatureUpkeep) -> None:
        self._parts = parts
        self._features = features
        self._risk: RiskPredictor | None = None
        self._predictors: dict[str, IntentPredictor] = {}

    def load(self, name: str, serving: str) -> IntentPredictor | None:
        """The champion of a model with its replies, or None when ``serving`` is it already or there is none."""
        fresh = predictor(self._parts, name, serving)
        if fresh is None:
            return None
        self._predictors[name] = fresh
        self._put(self._risk)
        try:
            self.refresh_replies()
        except HeadsetError as error:
            _logger.warning("nothing is suggested for now: %s", error)
        return fresh

    def refresh_risk(self) -> None:
        """Take the champion of the risk model into use, once the features it reads are current.

        Where a view it reads has been replaced, it changes over to the one that is live.
        """
        try:
            self._refresh_risk()
        except HeadsetError as error:
            self._put(self._risk or RiskAway(f"the risk model cannot be used: {error}"))
            raise

    def _refresh_risk(self) -> None:
        live = {view.version for view in self._parts.catalogue.views()}
        outdated = self._risk is None or not {view.version for view in self._risk.views} <= live
        serving = "" if self._risk is None or outdated else self._risk.model_version
        fresh = risk_predictor(self._parts, self._features.store, serving)
        waiting = "" if fresh is None else self._features.behind(fresh.views)
        if fresh is not None and not waiting:
            self._risk = fresh
            _logger.info("model %s version %s serves", self._parts.config.decision.risk_model, fresh.model_version)
        if self._risk is not None:
            self._risk.behind = self._features.behind(self._risk.views)
        self._put(self._risk or (RiskAway(waiting) if waiting else None))

    def _put(self, risk: RiskPredictor | RiskAway | None) -> None:
        for each in self._predictors.values():
            each.risk = risk

    def read_ahead(self) -> None:
        """Let what decisions changed be read before the next turn comes."""
        if self._risk is not None and self._features.is_shared:
            self._risk.read_ahead(self._parts.clock.now())

    def refresh_replies(self) -> None:
        """Take in what agents answered since the last time, and drop what was erased."""
        self._parts.replies.catch_up()
        for each in self._predictors.values():
            each.refresh_replies(self._parts.replies.connection, self._parts.vault)


class FeatureWork:
    """The worker's part in features: fills a shared store, computes decisions again, keeps the state on disk."""

    def __init__(self, parts: Installation) -> None:
        self._parts = parts
        self._audit: Audit = parts.audit(snapshot=FEATURE_SNAPSHOT)
        shared = parts.shared_store(fills=True)
        self._follower: Follower | None = parts.follower(shared, snapshot=SHARED_SNAPSHOT) if shared else None
        self._shared = shared
        self._views = _LiveViews(parts)
        self._checked = self._mismatched = self._position = 0
        self._due = dict.fromkeys(("audit", "report"), 0.0)

    @contextmanager
    def beside(self, stop: threading.Event) -> Iterator[None]:
        """Work in a thread of its own while the block runs; a round that takes long is given up at its end."""
        thread = threading.Thread(target=self._run, args=(stop,), name="headset-features", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_FINISH_S)
            if not thread.is_alive():
                self._close()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(_FOLLOW_EVERY_S if self._follower else 1.0):
            try:
                self._round()
            except HeadsetError as error:
                _logger.warning("work on features failed, it is tried again: %s", error)
                stop.wait(1.0)
            except Exception:
                _logger.exception("work on features failed, it is tried again")
                stop.wait(1.0)

    def _close(self) -> None:
        """Report and keep what was done, and let go of the store."""
        try:
            self._report()
        except HeadsetError as error:
            _logger.warning("the state of features was not kept: %s", error)
        if self._shared is not None:
            self._shared.close()

    def _round(self) -> None:
        if self._follower is not None:
            self._follower.install(self._views.get())
            self._follower.catch_up()
        now = self._parts.clock.monotonic()
        if now >= self._due["audit"]:
            found = self._audit.catch_up(hold_us=HOLD_US)
            self._checked += found.checked
            self._mismatched += found.mismatched
            self._position = found.position
            for mismatch in found.mismatches:
                _logger.error("decision %s was served with other features than the log gives", mismatch.decision_id)
            self._due["audit"] = now + _AUDIT_EVERY_S
        if now >= self._due["report"]:
            self._report()
            self._due["report"] = now + _REPORT_EVERY_S

    def _report(self) -> None:
        """Tell the log what was found, and keep the state on disk."""
        if self._checked:
            told = FeaturesVerified(position=self._position, checked=self._checked, mismatched=self._mismatched)
            self._parts.tell_verified(told)
            self._checked = self._mismatched = 0
        self._audit.save()
        if self._follower is not None and self._shared is not None:
            self._follower.save()
            self._shared.expire(self._parts.clock.now())
