"""Service level: how soon people take over what a queue is handed.

Both views together: ``answers.answered`` of ``demand.requests`` were taken over. The common target is 80 % within 20 s.
"""

from __future__ import annotations

from headset.features.aggregation import Count, Mean, Quantile
from headset.features.definition import Feature, FeatureView
from headset.features.expression import seconds_since

WITHIN_S = 20
_WINDOWS = {"15m": "15 min", "1h": "1 h", "1d": "1 d"}
_WAIT = seconds_since("HandoffRequested")

DEMAND = FeatureView(
    name="demand",
    entity="queue",
    event="HandoffRequested",
    owner="workforce",
    description="How many conversations were handed to the queue's people.",
    features=tuple(
        Feature(name=f"requests_{short}", aggregation=Count(), window=window) for short, window in _WINDOWS.items()
    ),
)

ANSWERS = FeatureView(
    name="answers",
    entity="queue",
    event="HandoffAccepted",
    owner="workforce",
    description="How soon the queue's people took conversations over, seconds.",
    features=tuple(
        feature
        for short, window in _WINDOWS.items()
        for feature in (
            Feature(name=f"answered_{short}", aggregation=Count(), window=window),
            Feature(name=f"mean_{short}", expression=_WAIT, aggregation=Mean(), window=window),
            Feature(name=f"p90_{short}", expression=_WAIT, aggregation=Quantile(0.9), window=window),
            Feature(
                name=f"within_{WITHIN_S}s_{short}",
                expression=_WAIT <= WITHIN_S,
                aggregation=Mean(),
                window=window,
                description=f"share taken over within {WITHIN_S} s",
            ),
        )
    ),
)
