"""The intent model as an ordinary scikit-learn pipeline.

TF-IDF of words and of characters, a sentence embedding, and one linear support vector machine per intent;
the margins become probabilities by one temperature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from headset.registry.ngram import WORD_PATTERN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray
    from scipy.sparse import csr_matrix

    from headset.features.encoder import Encoder
    from headset.training.recipe import Recipe


class TemperatureScaled(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A linear support vector machine whose margins, over a temperature, are turned into probabilities.

    Coefficients are kept in single precision, as the compiled model stores them.

    Args:
        penalty: ``C`` of the support vector machine.
        seed: Order in which the solver visits the rows.
        temperature: Set from margins of unseen rows; see :func:`fit_temperature`.
    """

    def __init__(self, penalty: float = 0.3, seed: int = 0, temperature: float = 1.0) -> None:
        self.penalty = penalty
        self.seed = seed
        self.temperature = temperature

    def fit(self, features: csr_matrix, labels: ArrayLike) -> Self:
        """Fit one machine per label, of two or more."""
        machine = LinearSVC(C=self.penalty, tol=1e-1, random_state=self.seed).fit(features, labels)
        machine.coef_ = machine.coef_.astype(np.float32)
        self.machine_ = machine
        self.classes_ = machine.classes_
        return self

    def decision_function(self, features: csr_matrix) -> NDArray[np.float64]:
        """(n, k) margins, for two labels as well."""
        margins = np.asarray(self.machine_.decision_function(features), np.float64)
        return np.column_stack([-margins, margins]) if margins.ndim == 1 else margins

    def predict_proba(self, features: csr_matrix) -> NDArray[np.float64]:
        """(n, k) calibrated probabilities."""
        return np.asarray(softmax(self.decision_function(features) / self.temperature, axis=1))

    def predict(self, features: csr_matrix) -> NDArray[np.str_]:
        """(n,) labels."""
        return np.asarray(self.classes_[self.decision_function(features).argmax(axis=1)])


def build_pipeline(encoder: Encoder, recipe: Recipe, *, seed: int) -> Pipeline:
    """The unfitted model: fits to texts and labels, predicts from texts.

    Args:
        encoder: Gives the embedding block.
        recipe: How it is made.
        seed: Of the solver.
    """
    features = FeatureUnion(
        [*vectorisers(recipe), ("embedding", FunctionTransformer(encoder.encode))],
        transformer_weights={"embedding": recipe.embedding_weight},
    )
    return Pipeline([("features", features), ("head", TemperatureScaled(recipe.penalty, seed=seed))])


def vectorisers(recipe: Recipe) -> list[tuple[str, TfidfVectorizer]]:
    """The n-gram blocks, unfitted, in the order of their columns."""
    return [
        ("words", TfidfVectorizer(ngram_range=recipe.words, token_pattern=WORD_PATTERN, sublinear_tf=True)),
        ("characters", TfidfVectorizer(analyzer="char", ngram_range=recipe.characters, sublinear_tf=True)),
    ]


def in_order(margins: NDArray[np.float64], columns: NDArray[np.str_], labels: Sequence[str]) -> NDArray[np.float64]:
    """(n, k) margins, given by ``columns``, in the order of ``labels``; a label without one gets each row's lowest.

    >>> in_order(np.array([[2.0, 1.0]]), np.array(["b", "c"]), ["a", "b", "c"])
    array([[1., 2., 1.]])
    """
    places = {label: column for column, label in enumerate(columns)}
    lowest = margins.min(axis=1)
    return np.column_stack([margins[:, places[label]] if label in places else lowest for label in labels])
