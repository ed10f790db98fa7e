"""Interaction frequency: how often a customer comes, and how much a queue gets."""

from __future__ import annotations

from headset.features.aggregation import Count
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column

_DAYS = {"1d": "1 d", "7d": "7 d", "30d": "30 d", "90d": "90 d"}
_SHORT = {"15m": "15 min", "1h": "1 h", "1d": "1 d"}


def _counts(windows: dict[str, str]) -> tuple[Feature, ...]:
    return tuple(
        Feature(name=f"count_{short}", aggregation=Count(), window=window) for short, window in windows.items()
    )


VISITS = FeatureView(
    name="visits",
    entity="customer",
    event="ConversationStarted",
    owner="customer-care",
    description="How many conversations the customer began, the one under way included.",
    features=_counts(_DAYS),
)

MESSAGES = FeatureView(
    name="messages",
    entity="customer",
    event="TurnReceived",
    owner="customer-care",
    description="How many turns the customer wrote or spoke.",
    filter=column("speaker").equals("customer"),
    features=_counts(_DAYS),
)

ESCALATIONS = FeatureView(
    name="escalations",
    entity="customer",
    event="HandoffRequested",
    owner="customer-care",
    description="How often the customer was handed to a person.",
    features=_counts(_DAYS),
)

VOLUME = FeatureView(
    name="volume",
    entity="queue",
    event="ConversationStarted",
    owner="workforce",
    description="How many conversations began in the queue.",
    features=_counts(_SHORT),
)
