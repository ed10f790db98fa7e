"""Conversation-history embedding: what the customer has said so far, as one vector."""

from __future__ import annotations

from headset.features.aggregation import VectorMean
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column


def history(encoder_dim: int) -> FeatureView:
    """The view ``history``; ``encoder_dim`` is the length of an embedding."""
    said, mean = column("embedding"), VectorMean(encoder_dim)
    return FeatureView(
        name="history",
        entity="conversation",
        event="TurnReceived",
        owner="conversation-ai",
        description="What the customer has said in this conversation.",
        filter=column("speaker").equals("customer"),
        features=(
            Feature(
                name="embedding",
                expression=said,
                aggregation=mean,
                window="conversation",
                description="mean embedding of the customer's turns",
            ),
            Feature(
                name="embedding_1h",
                expression=said,
                aggregation=mean,
                window="1 h",
                description="the same, of the last hour: an e-mail thread goes on for days",
            ),
        ),
    )
