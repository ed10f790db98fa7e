"""Customer profile: how a customer comes to us, and how their problems ended."""

from __future__ import annotations

from headset.features.aggregation import Count, Distinct, Last, Mean, Sum
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column

PROFILE = FeatureView(
    name="profile",
    entity="customer",
    event="ConversationStarted",
    owner="customer-care",
    description="How the customer comes to us.",
    features=(
        Feature(name="language", expression=column("language"), aggregation=Last(), window="90 d"),
        Feature(name="channel", expression=column("channel"), aggregation=Last(), window="90 d"),
        Feature(name="segment", expression=column("segment"), aggregation=Last(), window="90 d"),
        Feature(name="channels_30d", expression=column("channel"), aggregation=Distinct(), window="30 d"),
        Feature(name="queues_30d", expression=column("queue"), aggregation=Distinct(), window="30 d"),
        Feature(name="queues_90d", expression=column("queue"), aggregation=Distinct(), window="90 d"),
    ),
)

_UNRESOLVED = column("resolution").differs("resolved")

OUTCOMES = FeatureView(
    name="outcomes",
    entity="customer",
    event="OutcomeRecorded",
    owner="customer-care",
    description="How the customer's problems ended, as far as that is known.",
    freshness="1 min",
    features=(
        Feature(
            name="csat_mean",
            expression=column("csat"),
            aggregation=Mean(),
            window="90 d",
            description="satisfaction, 1 to 5",
        ),
        Feature(name="csat_last", expression=column("csat"), aggregation=Last(), window="90 d"),
        Feature(name="known", expression=column("resolution"), aggregation=Count(), window="90 d"),
        Feature(name="unresolved", expression=_UNRESOLVED, aggregation=Sum(), window="90 d"),
        Feature(name="unresolved_share", expression=_UNRESOLVED, aggregation=Mean(), window="90 d"),
        Feature(name="unresolved_last", expression=_UNRESOLVED, aggregation=Last(), window="90 d"),
        Feature(name="reopened", expression=column("reopened"), aggregation=Sum(), window="90 d"),
        Feature(name="reopened_share", expression=column("reopened"), aggregation=Mean(), window="90 d"),
    ),
)
