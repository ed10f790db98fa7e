"""The running service: what the handlers use, and the upkeep beside the request path."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headset.core.errors import AccessDenied, HeadsetError, ModelFailed
from headset.events.schema import DecisionServed
from headset.serving.batcher import Batcher, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from headset.core.clock import Clock
    from headset.core.config import Config
    from headset.events.log import Log
    from headset.events.vault import Vault
    from headset.registry.store import Registry
    from headset.serving.decision import DecisionService
    from headset.serving.features import FeatureAnswers
    from headset.serving.feedback import FeedbackService
    from headset.serving.jobs import JobDesk
    from headset.serving.keys import ApiKey, ApiKeys, Scope
    from headset.serving.metrics import Metrics
    from headset.serving.person import People
    from headset.serving.prediction import CustomerTurn, Prediction, Predictor
    from headset.serving.shadow import Answered, Shadow

_BEARER = "bearer "
_CHARACTERS_AT_ONCE = 16_000
_logger = logging.getLogger("headset.serving")


class Model:
    """The predictor in use behind its batcher; exchanged while serving, between two batches.

    Args:
        name: Name of the registered model.
        load: The predictor of the current champion, or None while there is none; called off the loop.
        loop: The loop the callers run on.
    """

    def __init__(
        self, name: str, load: Callable[[str], Predictor | None], loop: asyncio.AbstractEventLoop, config: Config
    ) -> None:
        self.name = name
        self._load = load
        self._predictor: Predictor | None = None
        self._problem = ""
        limits = Limits(
            stall_s=config.decision.stall_ms / 1000,
            batch=config.decision.batch_limit,
            batch_size=_CHARACTERS_AT_ONCE,
            waiting=config.server.in_progress_limit,
        )
        self._batcher: Batcher[CustomerTurn, Prediction] = Batcher(
            self._answer, loop, limits, size=lambda turn: len(turn.text)
        )

    @property
    def version(self) -> str:
        """The version in use; empty while there is none."""
        return self._predictor.model_version if self._predictor else ""

    @property
    def obstacle(self) -> str | None:
        """Why no model can answer, if so."""
        if self._predictor is None:
            return self._problem or f"no champion of model {self.name!r} is registered; train one with 'headset train'"
        return "model calls are stuck; restart the server" if self._batcher.stuck else None

    async def predict(self, turn: CustomerTurn) -> Prediction:
        """The prediction for one turn.

        Raises:
            ModelFailed: there is no model, it raised, or it did not answer in time.
        """
        if self._predictor is None:
            raise ModelFailed(self._problem or f"no champion of model {self.name!r} is registered")
        return await self._batcher.submit(turn)

    def refresh(self) -> None:
        """Take the champion into use if it is another one than now; the old one serves until then.

        Where that cannot be, the log says so, once for each reason.
        """
        try:
            fresh, problem = self._load(self.version), ""
        except HeadsetError as error:
            fresh, problem = None, f"the champion of model {self.name!r} cannot be used: {error}"
        if problem and problem != self._problem:
            _logger.warning("%s", problem)
        self._problem = problem
        if fresh is not None:
            self._predictor = fresh
            _logger.info("model %s version %s serves", self.name, fresh.model_version)

    def close(self) -> None:
        """Stop the model's thread."""
        self._batcher.close()

    def _answer(self, turns: Sequence[CustomerTurn]) -> Sequence[Prediction]:
        predictor = self._predictor
        return predictor.predict(turns) if predictor else ()


class Models:
    """The models that decide, each in its queues.

    Args:
        default: Decides wherever nothing else is said, and wherever the model that should has no champion or is stuck.
        by_queue: The model of a queue, by the queue's name.
    """

    def __init__(self, default: Model, by_queue: Mapping[str, Model]) -> None:
        self.default = default
        self._by_queue = by_queue
        self.named = {model.name: model for model in (default, *by_queue.values())}

    def of(self, queue: str) -> Model:
        """The model that decides in a queue now."""
        model = self._by_queue.get(queue, self.default)
        return self.default if model.obstacle is not None else model

    def replaced(self) -> dict[str, str]:
        """The queues whose own model cannot answer now, so that the usual one does, and why."""
        return {queue: model.obstacle for queue, model in self._by_queue.items() if model.obstacle is not None}

    def refresh(self) -> None:
        """Take the champions into use."""
        for model in self.named.values():
            model.refresh()

    def close(self) -> None:
        """Stop the models' threads."""
        for model in self.named.values():
            model.close()


class Shadows:
    """The candidates that answer beside the models that decide, each beside its own."""

    def __init__(self, shadows: Iterable[Shadow]) -> None:
        self.named = {shadow.model: shadow for shadow in shadows}

    def watch(self, turn: Answered) -> None:
        """Let the candidate of the model that decided answer, too; returns at once."""
        served = turn.served.payload
        if isinstance(served, DecisionServed):
            self.named[served.model].watch(turn)

    async def close(self) -> None:
        """Keep what is being answered, then stop the threads."""
        for shadow in self.named.values():
            await shadow.close()


@dataclass(kw_only=True, eq=False)
class Service:
    """Everything a handler needs, opened and closed with the server; made on the loop that serves.

    Attributes:
        people: Tells who asks for a change to a model.
        features: Answers about features.
        lineage: Where something comes from and what depends on it, as JSON.
        kpis: The KPI report as JSON, over the last hours or all time.
        models: The models that decide.
        shadows: The candidates that answer beside them.
        jobs: Answers about jobs.
        upkeep: Work repeated beside the requests, as (seconds between runs, function run in a thread).
        on_close: Called last, to release the stores.
    """

    clock: Clock
    log: Log
    vault: Vault
    keys: ApiKeys
    people: People
    registry: Registry
    metrics: Metrics
    models: Models
    shadows: Shadows
    decisions: DecisionService
    feedback: FeedbackService
    features: FeatureAnswers
    lineage: Callable[[str], bytes]
    kpis: Callable[[float | None], bytes]
    jobs: JobDesk
    upkeep: Sequence[tuple[float, Callable[[], object]]]
    on_close: Callable[[], None]

    @property
    def model(self) -> Model:
        """The one that decides wherever nothing else is said."""
        return self.models.default

    def __post_init__(self) -> None:
        self._tasks = [asyncio.create_task(_repeat(*each)) for each in self.upkeep]

    def authorise(self, header: str | None, scope: Scope) -> ApiKey:
        """The key in an ``Authorization`` header, if it may do ``scope``.

        Raises:
            AccessDenied: the header is missing or malformed, or the key may not.
        """
        return self.keys.check(self.bearer(header), scope)

    @staticmethod
    def bearer(header: str | None) -> str | None:
        """The key in an ``Authorization`` header; None without one.

        Raises:
            AccessDenied: the header is malformed.
        """
        if header is not None and header[: len(_BEARER)].lower() != _BEARER:
            raise AccessDenied("the Authorization header has no bearer key; send 'Authorization: Bearer KEY'")
        return header and header[len(_BEARER) :].strip()

    async def close(self) -> None:
        """Release everything. The HTTP server has finished the requests in progress before it calls this."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.shadows.close()
        self.models.close()
        with contextlib.suppress(HeadsetError):
            self.on_close()


async def _repeat(seconds: float, work: Callable[[], object]) -> None:
    """Upkeep goes on whatever happens in one round."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(work)
        except HeadsetError as error:
            _logger.warning("upkeep failed, it is tried again in %g s: %s", seconds, error)
        except Exception:
            _logger.exception("upkeep failed, it is tried again in %g s", seconds)
