"""What a search is asked for: with equal data and code, an equal request tries equal recipes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.training.recording import check_seed
from headset.training.search.space import Space

Metric = Literal["macro_f1", "accuracy", "log_loss"]
METRICS: tuple[Metric, ...] = ("macro_f1", "accuracy", "log_loss")

_TRIALS = 10_000
_FOLDS = 20
_BATCH = 64


class SearchRequest(Struct, frozen=True, kw_only=True):
    """All that decides which recipes are tried and how they are judged.

    Attributes:
        dataset: Name of the data to learn from.
        test: Name of the data the best recipe is measured on at the end; None holds some rows out for that.
        seed: Of everything random.
        metric: What is judged: the mean over folds; ``log_loss`` after one temperature per fold, lower is better.
        folds: Parts of the learning rows; a trial is as many fits.
        rows: Learning rows that trials use, at most; of more, those that differ most.
        batch: Trials that are drawn at a time, from the results of those before; also the most that run at a time.
    """

    dataset: str
    test: str | None = None
    seed: int = 0
    metric: Metric = "macro_f1"
    folds: int = 3
    rows: int = 20_000
    batch: int = 4

    @property
    def higher_is_better(self) -> bool:
        """True for all metrics but the loss."""
        return self.metric != "log_loss"

    def check(self) -> None:
        """Refuse settings that no search can follow.

        Raises:
            InvalidInput: names the setting, its value and the limit.
        """
        check_seed(self.seed)
        if self.metric not in METRICS:
            raise InvalidInput("metric", f"is {self.metric!r}; choose {', '.join(METRICS)}")
        for name, value, low, high in (
            ("folds", self.folds, 2, _FOLDS),
            ("rows", self.rows, 100, 10_000_000),
            ("batch", self.batch, 1, _BATCH),
        ):
            if not low <= value <= high:
                raise InvalidInput(name, f"is {value}; it goes from {low} to {high}")


class Settings(Struct, frozen=True, kw_only=True):
    """What a study keeps of how it was begun; a study goes on only with the same.

    Attributes:
        request: See :class:`SearchRequest`.
        space: The recipes it may try.
        data_fingerprint: Of the data it began with.
    """

    request: SearchRequest
    space: Space
    data_fingerprint: str


def check_trials(trials: int) -> None:
    """Refuse a number of trials that no search reaches.

    Raises:
        InvalidInput: it is not.
    """
    if not 1 <= trials <= _TRIALS:
        raise InvalidInput("trials", f"is {trials}; it goes from 1 to {_TRIALS}")
