"""The risk that a conversation ends badly, read from the feature store beside each decision."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from headset.core.errors import HeadsetError
from headset.features.on_demand import evaluate
from headset.features.served import service_key
from headset.features.store import FeatureRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headset.features.definition import FeatureService, FeatureView
    from headset.features.fact import Entity
    from headset.features.store import FeatureRow, OnlineStore
    from headset.registry.risk import RiskScorer
    from headset.serving.prediction import CustomerTurn, Prediction

_READ_LATELY = 1_000
_logger = logging.getLogger("headset.serving")


class Risk(Struct, frozen=True):
    """What the risk model says of a turn, and what it read.

    Attributes:
        probability: That the conversation ends unresolved or dissatisfied; None where no model could say.
        threshold: From here on a person takes over.
        model_version: The registered version; empty without a probability.
        feature_versions: The version of the feature service, by its name.
        feature_values: What was read, by name.
        feature_position: Log offset up to which the stored features had heard of the log.
        problem: Why the values are defaults; empty if they are not.
    """

    probability: float | None
    threshold: float
    model_version: str
    feature_versions: dict[str, str]
    feature_values: dict[str, Any]
    feature_position: int
    problem: str = ""

    @property
    def is_high(self) -> bool:
        """Whether a person should take over."""
        return self.probability is not None and self.probability >= self.threshold


class _Read(NamedTuple):
    values: dict[str, Any]
    row: FeatureRow


class RiskAway:
    """Stands in for a risk model that there is and that cannot be used: decisions go on without it, and say so.

    Args:
        problem: Why it cannot be used.
    """

    def __init__(self, problem: str) -> None:
        self._risk = Risk(None, 1.0, "", {}, {}, 0, problem)

    def assess(self, turns: Sequence[CustomerTurn], predictions: Sequence[Prediction]) -> list[Prediction]:
        """The predictions, with the problem for those that belong to a conversation."""
        return [
            replace(prediction, risk=self._risk if turn.keys else None)
            for turn, prediction in zip(turns, predictions, strict=True)
        ]


class RiskPredictor:
    """Reads the features of a service for a batch of turns, in one round trip, and scores them.

    Args:
        scorer: The compiled model.
        service: What it reads.
        store: Where from.
        model_version: The registered version.

    Attributes:
        behind: Why the store's values are not those of now; empty if they are. Decisions are then marked degraded.
    """

    def __init__(self, scorer: RiskScorer, service: FeatureService, store: OnlineStore, *, model_version: str) -> None:
        self._scorer = scorer
        self._service = service
        self._store = store
        self._versions = {service_key(service): service.version}
        self._read_lately: deque[Mapping[Entity, str]] = deque(maxlen=_READ_LATELY)
        self.model_version = model_version
        self.behind = ""

    @property
    def views(self) -> tuple[FeatureView, ...]:
        """The views it reads."""
        return self._service.views

    def assess(self, turns: Sequence[CustomerTurn], predictions: Sequence[Prediction]) -> list[Prediction]:
        """What the intent model says of each turn, with the risk of those that belong to a conversation.

        Failures of the store and of the model are told in the risk, never raised.
        """
        placed = [place for place, turn in enumerate(turns) if turn.keys]
        risks = self._risks([turns[place] for place in placed], [predictions[place] for place in placed])
        found = dict(zip(placed, risks, strict=True))
        return [replace(prediction, risk=found.get(place)) for place, prediction in enumerate(predictions)]

    def read_ahead(self, now: int) -> None:
        """Read again what turns were decided for since the last time: the next turn then finds it in memory.

        Worth it where the store is shared: by now it has heard of those turns.
        """
        keys = [self._read_lately.popleft() for _ in range(len(self._read_lately))]
        if keys:
            self._store.read(self._service, [FeatureRequest(each, now) for each in keys])

    def _risks(self, turns: Sequence[CustomerTurn], predictions: Sequence[Prediction]) -> list[Risk]:
        requests = [FeatureRequest(turn.keys, turn.as_of) for turn in turns]
        self._read_lately += [turn.keys for turn in turns]
        rows = self._store.read(self._service, requests)
        read = [
            _Read(evaluate(self._service, row.values, prediction.request_columns(turn)), row)
            for turn, prediction, row in zip(turns, predictions, rows, strict=True)
        ]
        try:
            probabilities: list[float | None] = self._scorer.score([each.values for each in read]).tolist()
            problem = ""
        except (HeadsetError, ArithmeticError, ValueError) as error:
            _logger.warning("the risk model failed: %s", error)
            probabilities, problem = [None] * len(read), f"the risk model failed: {error}"
        return [
            Risk(
                probability=probability,
                threshold=self._scorer.threshold,
                model_version=self.model_version,
                feature_versions=self._versions,
                feature_values=values,
                feature_position=row.position,
                problem=row.problem or self.behind or problem,
            )
            for probability, (values, row) in zip(probabilities, read, strict=True)
        ]
