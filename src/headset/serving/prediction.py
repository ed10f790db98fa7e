"""One model call: texts in, predictions with everything the policy and the agent need out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from msgspec import Struct

from headset.events.schema import Alternative
from headset.serving.replies import Suggestion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headset.features.encoder import Encoder
    from headset.features.sentiment import Sentiment
    from headset.registry.scorer import Scorer
    from headset.serving.replies import Replies

_ALTERNATIVES = 3


class Prediction(Struct, frozen=True):
    """What a model says of one turn. Probabilities are calibrated; ``scope`` is higher for known topics."""

    intent: str
    confidence: float
    threshold: float
    alternatives: list[Alternative]
    scope: float
    sentiment: float
    suggestions: list[Suggestion]
    model_version: str
    feature_versions: dict[str, str]


class Predictor(Protocol):
    """What the batcher calls."""

    @property
    def model_version(self) -> str:
        """The registered version behind it."""
        ...

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction per text; may raise anything."""
        ...


class IntentPredictor:
    """The intent model with the signals computed beside it: embedding, sentiment, nearest replies."""

    def __init__(
        self,
        scorer: Scorer,
        encoder: Encoder,
        sentiment: Sentiment,
        replies: Replies,
        *,
        model_version: str,
        suggestions: int,
    ) -> None:
        self._scorer = scorer
        self._encoder = encoder
        self._sentiment = sentiment
        self._replies = replies
        self._suggestions = suggestions
        self.model_version = model_version
        self.feature_versions = {"embedding": encoder.version, "sentiment": sentiment.version}

    def intents_of(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> list[str]:
        """The most probable intent of each text, given the texts' embeddings."""
        best = self._scorer.score(texts, embeddings).probabilities.argmax(axis=1)
        return [self._scorer.labels[column] for column in best]

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """See :meth:`Predictor.predict`."""
        embeddings = self._encoder.encode(texts)
        scores = self._scorer.score(texts, embeddings)
        count = min(_ALTERNATIVES + 1, len(self._scorer.labels))
        best = np.argpartition(-scores.probabilities, count - 1, axis=1)[:, :count]
        predictions = []
        for row, text in enumerate(texts):
            ranked = best[row][np.argsort(-scores.probabilities[row, best[row]], kind="stable")]
            ranking = [
                Alternative(self._scorer.labels[column], float(scores.probabilities[row, column])) for column in ranked
            ]
            predictions.append(
                Prediction(
                    intent=ranking[0].intent,
                    confidence=ranking[0].confidence,
                    threshold=self._scorer.threshold,
                    alternatives=ranking[1:],
                    scope=float(scores.in_scope[row]),
                    sentiment=self._sentiment.score(text),
                    suggestions=self._replies.nearest(ranking[0].intent, embeddings[row], self._suggestions),
                    model_version=self.model_version,
                    feature_versions=self.feature_versions,
                )
            )
        return predictions
