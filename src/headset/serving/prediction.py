"""One model call: texts in, predictions with everything the policy and the agent need out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from msgspec import Struct

from headset.events.schema import Alternative
from headset.features.fact import Entity
from headset.features.signal import READ
from headset.serving.replies import Replies, Suggestion
from headset.serving.risk import Risk

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headset.events.vault import Vault
    from headset.features.encoder import Encoder
    from headset.features.sentiment import Sentiment
    from headset.registry.text_model import TextModel
    from headset.serving.risk import RiskAway, RiskPredictor

_ALTERNATIVES = 3


class CustomerTurn(Struct, frozen=True):
    """What a customer says, and where.

    Attributes:
        text: Redacted.
        keys: Who and what it is about, by kind of entity; empty for a text outside any conversation.
        as_of: The moment before it, microseconds: features know nothing later.
        columns: What its request says of it; see :data:`headset.features.on_demand.REQUEST`.
    """

    text: str
    keys: dict[Entity, str] = {}
    as_of: int = 0
    columns: dict[str, Any] = {}


class Prediction(Struct, frozen=True):
    """What a model says of one turn. Probabilities are calibrated; ``scope`` is higher for known topics.

    ``feature_versions`` and ``feature_values`` are the signals it read: embedding and sentiment.
    """

    intent: str
    confidence: float
    threshold: float
    alternatives: list[Alternative]
    scope: float
    sentiment: float
    suggestions: list[Suggestion]
    model_version: str
    feature_versions: dict[str, str]
    feature_values: dict[str, Any]
    risk: Risk | None = None

    def request_columns(self, turn: CustomerTurn) -> dict[str, Any]:
        """What is known of ``turn`` now, for on-demand features."""
        said = {"intent": self.intent, "confidence": self.confidence, "scope": self.scope, "sentiment": self.sentiment}
        return turn.columns | said


class Predictor(Protocol):
    """What the batcher calls."""

    @property
    def model_version(self) -> str:
        """The registered version behind it."""
        ...

    def predict(self, turns: Sequence[CustomerTurn]) -> list[Prediction]:
        """One prediction per turn; may raise anything."""
        ...


class IntentPredictor:
    """The intent model with what is computed beside it: embedding, sentiment, nearest replies, risk.

    Args:
        scorer: The model.
        encoder: The one it was trained with.
        signals: The installation's own, whose embeddings are kept with turns, whatever the model reads.
        sentiment: Scores the mood.
        model_version: The registered version.
        suggestions: Replies to suggest, at most.

    Attributes:
        risk: Says how the conversation may end, where there is such a model.
    """

    def __init__(
        self,
        scorer: TextModel,
        encoder: Encoder,
        signals: Encoder,
        sentiment: Sentiment,
        *,
        model_version: str,
        suggestions: int,
    ) -> None:
        self._scorer = scorer
        self._encoder = encoder
        self._signals = signals
        self._sentiment = sentiment
        self._replies = Replies(signals)
        self._suggestions = suggestions
        self.model_version = model_version
        self.risk: RiskPredictor | RiskAway | None = None
        self.feature_versions = {"embedding": signals.version, "sentiment": sentiment.version}

    def refresh_replies(self, connection: sqlite3.Connection, vault: Vault) -> None:
        """Take new replies over from the history; see :meth:`Replies.load`."""
        self._replies.load(connection, vault, self.intents_of)

    def intents_of(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> list[str]:
        """The most probable intent of each text, given the texts' embeddings among the signals."""
        best = self._scorer.score(texts, self._read(texts, embeddings)).probabilities.argmax(axis=1)
        return [self._scorer.labels[column] for column in best]

    def predict(self, turns: Sequence[CustomerTurn]) -> list[Prediction]:
        """See :meth:`Predictor.predict`; the model reads the first 4,000 characters of a text."""
        predictions = self._predict([turn.text[:READ] for turn in turns])
        return predictions if self.risk is None else self.risk.assess(turns, predictions)

    def _predict(self, texts: Sequence[str]) -> list[Prediction]:
        embeddings = self._signals.encode(texts)
        scores = self._scorer.score(texts, self._read(texts, embeddings))
        count = min(_ALTERNATIVES + 1, len(self._scorer.labels))
        best = np.argpartition(-scores.probabilities, count - 1, axis=1)[:, :count]
        predictions = []
        for row, text in enumerate(texts):
            sentiment = self._sentiment.score(text)
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
                    sentiment=sentiment,
                    suggestions=self._replies.nearest(ranking[0].intent, embeddings[row], self._suggestions),
                    model_version=self.model_version,
                    feature_versions=self.feature_versions,
                    feature_values={"embedding": embeddings[row], "sentiment": sentiment},
                )
            )
        return predictions

    def _read(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """The embeddings the model reads."""
        return embeddings if self._encoder is self._signals else self._encoder.encode(texts)
