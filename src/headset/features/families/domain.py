"""Domain embedding: what a queue, and what a customer, is about at present."""

from __future__ import annotations

from headset.features.aggregation import VectorMean
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column


def queue_domain(encoder_dim: int) -> FeatureView:
    """The view ``queue_domain``; ``encoder_dim`` is the length of an embedding."""
    return FeatureView(
        name="queue_domain",
        entity="queue",
        event="TurnReceived",
        owner="conversation-ai",
        description="What customers speak of in the queue.",
        freshness="10 s",
        filter=column("speaker").equals("customer"),
        features=(
            Feature(
                name="embedding_1d",
                expression=column("embedding"),
                aggregation=VectorMean(encoder_dim),
                window="1 d",
                description="mean embedding of a day's customer turns",
            ),
        ),
    )


def customer_domain(encoder_dim: int) -> FeatureView:
    """The view ``customer_domain``; ``encoder_dim`` is the length of an embedding."""
    return FeatureView(
        name="customer_domain",
        entity="customer",
        event="TurnReceived",
        owner="conversation-ai",
        description="What the customer spoke of lately.",
        freshness="10 s",
        filter=column("speaker").equals("customer"),
        features=(
            Feature(
                name="embedding_30d",
                expression=column("embedding"),
                aggregation=VectorMean(encoder_dim),
                window="30 d",
                description="mean embedding of the customer's turns",
            ),
        ),
    )
