"""Sentiment level and trend: how a customer sounds, -1 (angry) to 1 (happy)."""

from __future__ import annotations

from headset.features.aggregation import Ewma, Last, Max, Mean, Min
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column

ANGRY = -0.3
"""Below it a turn counts as angry."""

_SOUND = column("sentiment")

SENTIMENT = FeatureView(
    name="sentiment",
    entity="conversation",
    event="TurnReceived",
    owner="conversation-ai",
    description="How the customer sounds in this conversation. The trend is ewma_fast less ewma_slow.",
    filter=column("speaker").equals("customer"),
    features=(
        Feature(name="last", expression=_SOUND, aggregation=Last(), window="conversation"),
        Feature(name="mean", expression=_SOUND, aggregation=Mean(), window="conversation"),
        Feature(name="min", expression=_SOUND, aggregation=Min(), window="conversation"),
        Feature(name="max", expression=_SOUND, aggregation=Max(), window="conversation"),
        Feature(name="ewma_fast", expression=_SOUND, aggregation=Ewma("2 min"), window="30 min"),
        Feature(name="ewma_slow", expression=_SOUND, aggregation=Ewma("30 min"), window="8 h"),
        Feature(
            name="angry_share",
            expression=_SOUND < ANGRY,
            aggregation=Mean(),
            window="conversation",
            description=f"share of turns below {ANGRY}",
        ),
    ),
)

CUSTOMER_SENTIMENT = FeatureView(
    name="customer_sentiment",
    entity="customer",
    event="TurnReceived",
    owner="customer-care",
    description="How the customer sounded lately.",
    filter=column("speaker").equals("customer"),
    features=(
        Feature(name="mean_30d", expression=_SOUND, aggregation=Mean(), window="30 d"),
        Feature(name="min_30d", expression=_SOUND, aggregation=Min(), window="30 d"),
        Feature(name="angry_share_30d", expression=_SOUND < ANGRY, aggregation=Mean(), window="30 d"),
    ),
)
