"""All that the gates look at: the candidate, the champion, rows neither has seen, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from headset.validation.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from headset.core.clock import Clock
    from headset.features.encoder import Encoder
    from headset.registry.text_model import TextModel
    from headset.twin.scenario import Scenario
    from headset.validation.behaviour import Behaviour

Handover = Callable[[str, str, float, float], bool]
"""Whether a person answers a text, given the model's intent, its confidence and its threshold."""

_BATCH = 256


def below_threshold(_text: str, _intent: str, confidence: float, threshold: float) -> bool:
    """A handover policy by confidence alone."""
    return confidence < threshold


@dataclass(frozen=True, eq=False)
class Answers:
    """What a model says of n texts.

    Attributes:
        labels: The k intents it knows.
        probabilities: (n, k) of them.
        in_scope: (n,) how well each text fits any intent.
        threshold: The confidence from which it answers alone.
    """

    labels: tuple[str, ...]
    probabilities: NDArray[np.float64]
    in_scope: NDArray[np.float64]
    threshold: float

    @cached_property
    def intents(self) -> NDArray[np.str_]:
        """(n,) the likeliest intents."""
        return np.asarray(np.asarray(self.labels, np.str_)[self.probabilities.argmax(axis=1)])

    @cached_property
    def confidence(self) -> NDArray[np.float64]:
        """(n,) their probabilities."""
        return np.asarray(np.clip(self.probabilities.max(axis=1), 0.0, 1.0))

    @property
    def alone(self) -> NDArray[np.bool_]:
        """(n,) whether it answers without a person."""
        return self.confidence >= self.threshold


@dataclass(frozen=True, eq=False)
class Contender:
    """A registered version that can answer.

    Attributes:
        version: Its number.
        model: It.
        encoder: What it was trained with.
        target_precision: What its threshold was chosen for.
        baseline_accuracy: Of the plain model its training compared it with; None where that is not recorded.
        artifact_bytes: Size of its files.
    """

    version: str
    model: TextModel
    encoder: Encoder
    target_precision: float = 0.95
    baseline_accuracy: float | None = None
    artifact_bytes: int = 0

    def answer(self, texts: Sequence[str]) -> Answers:
        """What it says of ``texts``."""
        parts = [
            self.model.score(batch, self.encoder.encode(batch))
            for start in range(0, len(texts), _BATCH)
            if (batch := texts[start : start + _BATCH])
        ]
        labels = self.model.labels
        return Answers(
            labels,
            np.concatenate([part.probabilities for part in parts]) if parts else np.zeros((0, len(labels))),
            np.concatenate([part.in_scope for part in parts]) if parts else np.zeros(0),
            self.model.threshold,
        )


@dataclass(frozen=True, eq=False)
class Rows:
    """n different labelled texts that neither contender has learned from.

    Attributes:
        name: Where they come from.
        texts: Redacted.
        labels: Their true intents.
        conversations: The conversation of each.
        groups: By dimension (``language``), the group of each row, empty where it is not known.
        excluded: Texts left out because a contender has learned from them.
        repeated: Texts left out because another says the same.
        unknown: Why it is not known what a contender has learned from; empty where that is known.
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    conversations: tuple[str, ...] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    excluded: int = 0
    repeated: int = 0
    unknown: str = ""

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, eq=False)
class Context:
    """What is judged, and on what.

    Attributes:
        candidate: The version that is validated.
        champion: The version that serves; None where there is none, or where it is the candidate.
        rows: What both are measured on.
        foreign: Texts that no intent fits, by kind.
        suite: The user's own behavioural tests.
        limits: What must be held.
        scenario: The contact centre that business figures are simulated in.
        hands_over: The routing policy of this installation.
        clock: Measures durations.
        cpu: Seconds of CPU this process has used.
        seed: Decides everything random.
        processes: That may simulate at once.
        progress: Told the name of a gate and the fraction of it that is done.
    """

    candidate: Contender
    champion: Contender | None
    rows: Rows
    foreign: Mapping[str, Sequence[str]]
    suite: Sequence[Behaviour]
    scenario: Scenario
    clock: Clock
    cpu: Callable[[], float]
    limits: Limits = DEFAULT
    hands_over: Handover = below_threshold
    seed: int = 7
    processes: int = 1
    progress: Callable[[str, float], None] = lambda _phase, _part: None

    def random(self, gate: str) -> np.random.Generator:
        """What decides for one gate, whatever the others draw."""
        return np.random.Generator(np.random.PCG64([self.seed, *gate.encode()]))

    @cached_property
    def truth(self) -> NDArray[np.str_]:
        """(n,) the true intents of the rows."""
        return np.asarray(self.rows.labels, np.str_)

    @cached_property
    def answers(self) -> Answers:
        """The candidate's, of the rows."""
        return self.candidate.answer(self.rows.texts)

    @cached_property
    def champion_answers(self) -> Answers | None:
        """The champion's, of the same."""
        return None if self.champion is None else self.champion.answer(self.rows.texts)

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """(n,) which rows the candidate gets right."""
        return np.asarray(self.answers.intents == self.truth)

    @property
    def too_few(self) -> str:
        """Why no conclusion can be drawn from the rows; empty where one can."""
        if len(self.rows) >= self.limits.rows:
            return ""
        left_out = f" ({self.rows.excluded} more were learned from)" if self.rows.excluded else ""
        return (
            f"{len(self.rows)} different texts of {self.rows.name} are unseen{left_out}, at least {self.limits.rows}"
            " are needed; name other data with --data"
        )
