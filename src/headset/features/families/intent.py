"""Intent signals: what the model took the customer's turns for, how sure it was, and how often agents disagreed."""

from __future__ import annotations

from headset.features.aggregation import Count, Distinct, Ewma, First, Last, Mean, Min, Sum
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column

UNSURE = 0.5
"""Below it an intent counts as uncertain."""

_CONFIDENCE = column("confidence")

INTENT = FeatureView(
    name="intent",
    entity="conversation",
    event="DecisionServed",
    owner="conversation-ai",
    description="What the customer's turns were taken for. Decisions less distinct intents are repeats.",
    features=(
        Feature(name="decisions", expression=column("intent"), aggregation=Count(), window="conversation"),
        Feature(name="distinct", expression=column("intent"), aggregation=Distinct(), window="conversation"),
        Feature(name="first", expression=column("intent"), aggregation=First(), window="conversation"),
        Feature(name="last", expression=column("intent"), aggregation=Last(), window="conversation"),
        Feature(name="confidence_last", expression=_CONFIDENCE, aggregation=Last(), window="conversation"),
        Feature(name="confidence_mean", expression=_CONFIDENCE, aggregation=Mean(), window="conversation"),
        Feature(name="confidence_min", expression=_CONFIDENCE, aggregation=Min(), window="conversation"),
        Feature(name="confidence_ewma", expression=_CONFIDENCE, aggregation=Ewma("2 min"), window="30 min"),
        Feature(
            name="unsure_share",
            expression=_CONFIDENCE < UNSURE,
            aggregation=Mean(),
            window="conversation",
            description=f"share of decisions below {UNSURE}",
        ),
    ),
)

_OVERRIDDEN = column("action").equals("overridden")

OVERRIDES = FeatureView(
    name="overrides",
    entity="conversation",
    event="FeedbackRecorded",
    owner="conversation-ai",
    description="What agents did with the model's decisions in this conversation.",
    features=(
        Feature(name="feedback", aggregation=Count(), window="conversation"),
        Feature(name="count", expression=_OVERRIDDEN, aggregation=Sum(), window="conversation"),
        Feature(name="share", expression=_OVERRIDDEN, aggregation=Mean(), window="conversation"),
        Feature(
            name="edit_distance",
            expression=column("edit_distance"),
            aggregation=Mean(),
            window="conversation",
            description="how much agents changed what was suggested, 0 to 1",
        ),
    ),
)
