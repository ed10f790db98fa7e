"""Session metadata: where a conversation came in, and how far it is."""

from __future__ import annotations

from headset.features.aggregation import Count, First, Last, Sum
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column, seconds_since

SESSION = FeatureView(
    name="session",
    entity="conversation",
    event="ConversationStarted",
    owner="conversation-ai",
    description="How the conversation came in.",
    features=(
        Feature(name="channel", expression=column("channel"), aggregation=First(), window="conversation"),
        Feature(name="queue", expression=column("queue"), aggregation=First(), window="conversation"),
        Feature(name="language", expression=column("language"), aggregation=First(), window="conversation"),
        Feature(name="segment", expression=column("segment"), aggregation=First(), window="conversation"),
        Feature(
            name="started",
            expression=column("event_time"),
            aggregation=First(),
            window="conversation",
            description="when, seconds since 1970",
        ),
    ),
)

TURNS = FeatureView(
    name="turns",
    entity="conversation",
    event="TurnReceived",
    owner="conversation-ai",
    description="How much was said, and by whom.",
    features=(
        Feature(name="total", aggregation=Count(), window="conversation"),
        *(
            Feature(
                name=speaker, expression=column("speaker").equals(speaker), aggregation=Sum(), window="conversation"
            )
            for speaker in ("customer", "agent", "bot")
        ),
        Feature(
            name="last_speaker",
            expression=column("speaker"),
            aggregation=Last(),
            window="conversation",
            description="customer, agent or bot",
        ),
        Feature(
            name="age",
            expression=seconds_since("ConversationStarted"),
            aggregation=Last(),
            window="conversation",
            description="seconds from the conversation's start to what was said last",
        ),
    ),
)
