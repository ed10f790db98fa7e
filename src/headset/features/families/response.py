"""Response timing: how long people wait for each other, seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.features.aggregation import Last, Max, Mean, Quantile
from headset.features.definition import Feature, FeatureView
from headset.features.expression import column, seconds_since

if TYPE_CHECKING:
    from headset.events.schema import Speaker
    from headset.features.expression import Expression


def _said_by(speaker: Speaker) -> Expression:
    return column("speaker").equals(speaker)


_WAIT_FOR_AGENT = seconds_since("TurnReceived", _said_by("customer"))
_WAIT_FOR_CUSTOMER = seconds_since("TurnReceived", ~_said_by("customer"))

AGENT_RESPONSE = FeatureView(
    name="agent_response",
    entity="agent",
    event="TurnReceived",
    owner="workforce",
    description="How long customers wait for this agent's answers.",
    filter=_said_by("agent"),
    features=(
        Feature(name="mean_1h", expression=_WAIT_FOR_AGENT, aggregation=Mean(), window="1 h"),
        Feature(name="mean_1d", expression=_WAIT_FOR_AGENT, aggregation=Mean(), window="1 d"),
        Feature(name="p90_1d", expression=_WAIT_FOR_AGENT, aggregation=Quantile(0.9), window="1 d"),
        Feature(name="last", expression=_WAIT_FOR_AGENT, aggregation=Last(), window="1 d"),
    ),
)

RESPONSE = FeatureView(
    name="response",
    entity="conversation",
    event="TurnReceived",
    owner="workforce",
    description="How long the customer waits for agents in this conversation.",
    filter=_said_by("agent"),
    features=(
        Feature(name="mean", expression=_WAIT_FOR_AGENT, aggregation=Mean(), window="conversation"),
        Feature(name="p90", expression=_WAIT_FOR_AGENT, aggregation=Quantile(0.9), window="conversation"),
        Feature(name="longest", expression=_WAIT_FOR_AGENT, aggregation=Max(), window="conversation"),
        Feature(name="last", expression=_WAIT_FOR_AGENT, aggregation=Last(), window="conversation"),
    ),
)

CUSTOMER_RESPONSE = FeatureView(
    name="customer_response",
    entity="conversation",
    event="TurnReceived",
    owner="workforce",
    description="How long the customer takes to answer agent or bot.",
    filter=_said_by("customer"),
    features=(
        Feature(name="mean", expression=_WAIT_FOR_CUSTOMER, aggregation=Mean(), window="conversation"),
        Feature(name="last", expression=_WAIT_FOR_CUSTOMER, aggregation=Last(), window="conversation"),
    ),
)
