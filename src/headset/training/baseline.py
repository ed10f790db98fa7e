"""The plain model that a trained one has to beat, and the test that says whether it did.

Word counts with complement naive Bayes: a minute's work in any notebook, no embedding, no tuning
(Rennie et al., "Tackling the Poor Assumptions of Naive Bayes Text Classifiers", ICML 2003).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline

from headset.stats.paired import mcnemar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BASELINE = "word counts, complement naive Bayes"
SIGNIFICANT = 0.05


class Comparison(Struct, frozen=True):
    """A model beside the baseline, on the same rows.

    Attributes:
        accuracy: Share of rows the model got right.
        baseline_accuracy: Share of rows the baseline got right.
        model_only: Rows that only the model got right.
        baseline_only: Rows that only the baseline got right.
        p_value: Two-sided, of the exact McNemar test.
    """

    accuracy: float
    baseline_accuracy: float
    model_only: int
    baseline_only: int
    p_value: float

    @property
    def beaten(self) -> bool:
        """True when the model is better, and by more than chance explains."""
        return self.accuracy > self.baseline_accuracy and self.p_value < SIGNIFICANT


def predict_baseline(texts: Sequence[str], labels: Sequence[str], unseen: Sequence[str]) -> list[str]:
    """Fit the baseline to ``texts`` and give its label of each text in ``unseen``.

    >>> predict_baseline(["lost card", "open account"], ["card", "account"], ["my card"])
    ['card']
    """
    words = CountVectorizer(token_pattern=r"(?u)\w+|[^\w\s]")  # noqa: S106 - marks count as words
    fitted = make_pipeline(words, ComplementNB()).fit(texts, labels)
    return [str(label) for label in fitted.predict(unseen)]


def compare(model_right: NDArray[np.bool_], baseline_right: NDArray[np.bool_]) -> Comparison:
    """McNemar's exact test: only rows that one got right and the other wrong tell them apart.

    Under equal skill each such row falls to either side with probability one half (McNemar,
    Psychometrika 12, 1947; exact form: a two-sided binomial test).

    Args:
        model_right: (n,) whether the model's label of each row is true.
        baseline_right: (n,) the same of the baseline, in the same order.

    >>> compare(np.array([True] * 9 + [False]), np.array([False] * 8 + [True, True])).p_value
    0.0390625
    """
    model_only = int(np.sum(model_right & ~baseline_right))
    baseline_only = int(np.sum(baseline_right & ~model_right))
    p_value = mcnemar(model_only, baseline_only)
    return Comparison(float(np.mean(model_right)), float(np.mean(baseline_right)), model_only, baseline_only, p_value)
