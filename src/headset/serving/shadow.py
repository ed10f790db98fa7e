"""Shadow mode: a candidate answers the turns that the champion answered, serves nobody, and is put on record beside it.

It never delays a decision and never fails one: it hears of a turn once its decision is durable, works in a thread of
its own, and lets turns pass when it cannot keep up. Both are counted.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, NamedTuple

from headset.core.errors import HeadsetError, ModelFailed, Overloaded
from headset.core.ids import stable_id
from headset.events.schema import DecisionServed, DecisionShadowed, Event
from headset.serving.batcher import Batcher, Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from headset.core.clock import Clock
    from headset.core.config import Config
    from headset.serving.metrics import Metrics
    from headset.serving.policy import Routing
    from headset.serving.prediction import CustomerTurn, Prediction, Predictor

ALIAS = "shadow"
"""The alias of the version that runs in shadow."""

_CHARACTERS_AT_ONCE = 16_000
_WAITING = 64
_logger = logging.getLogger("headset.serving")


class Answered(NamedTuple):
    """A turn whose decision is durable.

    Attributes:
        asked: What the model was asked.
        served: The event of the decision.
        route: Who would have answered, had the model said this.
    """

    asked: CustomerTurn
    served: Event
    route: Callable[[Prediction], Routing]


class Shadow:
    """The candidate behind its batcher; taken up, exchanged and dropped while serving.

    Args:
        model: Name of the registered model.
        load: Given the predictor in use, the one that should be; called off the loop.
        append: Keeps events durably (``Log.append`` for asyncio).
        loop: The loop the callers run on.
    """

    def __init__(
        self,
        model: str,
        load: Callable[[Predictor | None], Predictor | None],
        append: Callable[[Sequence[Event]], Awaitable[list[int]]],
        *,
        loop: asyncio.AbstractEventLoop,
        clock: Clock,
        config: Config,
        metrics: Metrics,
    ) -> None:
        self._load = load
        self._append = append
        self._clock = clock
        self.model = model
        self._metrics = metrics
        self._predictor: Predictor | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        limits = Limits(
            stall_s=config.decision.stall_ms / 1000,
            batch=config.decision.batch_limit,
            batch_size=_CHARACTERS_AT_ONCE,
            waiting=_WAITING,
        )
        self._batcher: Batcher[CustomerTurn, Prediction] = Batcher(
            self._answer, loop, limits, size=lambda turn: len(turn.text)
        )

    @property
    def version(self) -> str:
        """The version in shadow; empty while there is none."""
        return self._predictor.model_version if self._predictor else ""

    def refresh(self) -> None:
        """Take up the version that should be in shadow now, or none."""
        wanted = self._load(self._predictor)
        if wanted is not self._predictor:
            self._predictor = wanted
            _logger.info("version %s of model %s is in shadow", self.version or "none", self.model)

    def watch(self, turn: Answered) -> None:
        """Let the candidate answer, too; returns at once."""
        if self._predictor is not None:
            task = asyncio.create_task(self._shadow(turn, self._predictor.model_version))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Keep what is being answered, then stop the thread."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._batcher.close()

    async def _shadow(self, turn: Answered, version: str) -> None:
        started = self._clock.monotonic()
        try:
            prediction, error = await self._batcher.submit(turn.asked), None
        except Overloaded:
            self._metrics.shadow_passed.inc()
            return
        except ModelFailed as failure:
            prediction, error = None, str(failure)
        event = self._told(turn, version, prediction, error, self._clock.monotonic() - started)
        try:
            await self._append([event])
        except HeadsetError as failure:
            self._metrics.shadow_passed.inc()
            _logger.warning("what the shadow said was not kept: %s", failure)

    def _told(
        self, turn: Answered, version: str, prediction: Prediction | None, error: str | None, seconds: float
    ) -> Event:
        served = turn.served.payload
        if not isinstance(served, DecisionServed):
            raise TypeError(type(served))
        version = prediction.model_version if prediction else version
        self._metrics.shadowed(version, agrees=prediction is not None and prediction.intent == served.intent)
        decision_id = stable_id("shadow", served.decision_id, version)
        return Event(
            event_id=decision_id,
            event_time=self._clock.now(),
            subject=turn.served.subject,
            conversation_id=turn.served.conversation_id,
            source=turn.served.source,
            payload=DecisionShadowed(
                decision_id=str(decision_id),
                shadow_of=served.decision_id,
                turn_id=served.turn_id,
                model=self.model,
                model_version=version,
                intent=prediction.intent if prediction else None,
                confidence=prediction.confidence if prediction else 0.0,
                route=turn.route(prediction).route if prediction else "human",
                latency_ms=round(seconds * 1000, 3),
                alternatives=prediction.alternatives if prediction else [],
                error=error,
            ),
        )

    def _answer(self, turns: Sequence[CustomerTurn]) -> Sequence[Prediction]:
        predictor = self._predictor
        if predictor is None:
            raise ModelFailed("the shadow was taken away")
        return predictor.predict(turns)
