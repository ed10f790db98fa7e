"""What the risk model reads: how the conversation has gone so far, and who the customer is.

Queues are left out: what they count grows with a centre, and says little about the one conversation at hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.features.definition import FeatureService
from headset.features.expression import column
from headset.features.on_demand import OnDemandFeature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.features.definition import FeatureView

RISK = "risk"

_TAKEN: dict[str, tuple[str, ...]] = {
    "history": ("embedding",),
    "session": ("channel",),
    "turns": ("total", "customer", "agent", "bot", "last_speaker", "age"),
    "outcomes": ("csat_mean", "csat_last", "unresolved_share", "unresolved_last", "reopened_share"),
    "response": ("mean", "longest", "last"),
    "customer_response": ("mean", "last"),
    "visits": ("count_1d", "count_7d", "count_30d"),
    "escalations": ("count_7d", "count_30d"),
    "sentiment": ("last", "mean", "min", "max", "ewma_fast", "ewma_slow", "angry_share"),
    "customer_sentiment": ("mean_30d", "angry_share_30d"),
    "intent": ("decisions", "distinct", "last", "confidence_last", "confidence_mean", "confidence_min", "unsure_share"),
    "overrides": ("share",),
}

_ON_DEMAND = (
    OnDemandFeature(name="sentiment", expression=column("sentiment"), description="of this turn"),
    OnDemandFeature(name="sentiment_change", expression=column("sentiment") - column("sentiment.mean")),
    OnDemandFeature(name="sentiment_trend", expression=column("sentiment.ewma_fast") - column("sentiment.ewma_slow")),
    OnDemandFeature(name="position", expression=column("position"), description="turns before this one"),
    OnDemandFeature(name="confidence", expression=column("confidence"), description="in the intent of this turn"),
    OnDemandFeature(name="confidence_change", expression=column("confidence") - column("intent.confidence_mean")),
    OnDemandFeature(name="scope", expression=column("scope"), description="how well this turn fits any intent"),
    OnDemandFeature(name="asked_again", expression=column("intent").equals(column("intent.last"))),
    OnDemandFeature(
        name="repeats",
        expression=column("intent.decisions") - column("intent.distinct"),
        description="decisions for an intent that came before",
    ),
)


def risk_service(views: Sequence[FeatureView]) -> FeatureService:
    """The feature service ``risk``, of those ``views`` that it reads.

    Raises:
        InvalidInput: a view or a feature it reads is not among them.

    >>> from headset.features.families import shipped
    >>> service = risk_service(shipped(768))
    >>> service.kinds["history.embedding"], service.kinds["on_demand.sentiment_change"]
    ('vector', 'number')
    """
    return FeatureService(
        name=RISK,
        views=tuple(view for view in views if view.name in _TAKEN),
        only=tuple(f"{view}.{name}" for view, names in _TAKEN.items() for name in names),
        on_demand=_ON_DEMAND,
        owner="conversation-ai",
        description="Will this conversation end unresolved or dissatisfied?",
    )
