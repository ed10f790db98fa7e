"""The routing policy: who answers a customer turn, the bot or a person, and why. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from headset.core.config import DecisionConfig
    from headset.events.schema import Route, RouteReason

_PERSON = (
    r"human|person|agent|representative|operator|advisor|adviser|someone|somebody|real people|staff|supervisor|manager"
    r"|humano|persona|agente|operador|asesor|alguien|supervisor"
    r"|menschen|mensch|mitarbeiter\w*|berater\w*|kundenberater\w*|person|jemande[mn]|vorgesetzten"
)
_ASK = (
    r"(?:speak|talk|chat)(?:ing)?\s+(?:to|with)|connect me (?:to|with)|transfer me to|put me through to|get me"
    r"|i (?:want|need|would like)|give me|hablar con|comunic\w+ con|p[áa]sa?me con|quiero"
    r"|sprechen|verbinden sie mich mit|ich (?:will|m[öo]chte|brauche)(?: mit)?|mit"
)
_ASKED_FOR_HUMAN = re.compile(
    rf"\b(?:{_ASK})\s+(?:\w+\s+){{0,2}}?(?:{_PERSON})\b|\b(?:{_PERSON})\s+(?:sprechen|please|por favor|bitte)\b",
    re.IGNORECASE,
)


class Routing(NamedTuple):
    """Who answers, and the first reason that applied."""

    route: Route
    reason: RouteReason


def asks_for_human(text: str) -> bool:
    """Whether the customer asks for a person, in English, Spanish or German.

    >>> asks_for_human("Please let me speak to a human"), asks_for_human("Quiero hablar con una persona")
    (True, True)
    >>> asks_for_human("A person at the shop sold me this plan")
    False
    """
    return _ASKED_FOR_HUMAN.search(text) is not None


def route_turn(
    *,
    text: str,
    intent: str,
    confidence: float,
    threshold: float,
    sentiment: float,
    handed_off: bool,
    at_risk: bool,
    config: DecisionConfig,
) -> Routing:
    """Decide who answers.

    Args:
        text: The redacted turn.
        intent: The model's best intent.
        confidence: Its calibrated probability, 0 to 1.
        threshold: The probability at which the model keeps its stated precision.
        sentiment: From -1 (angry) to 1 (happy).
        handed_off: A person already has this conversation.
        at_risk: The features say that it may end badly.
        config: Which intents may be automated, and the sentiment floor.

    Returns:
        The route and the first reason that applies; the customer's wishes come before the model's doubts.
    """
    for_a_person: dict[RouteReason, bool] = {
        "with_human": handed_off,
        "asked_for_human": asks_for_human(text),
        "sentiment": sentiment <= config.sentiment_floor,
        "at_risk": at_risk,
        "low_confidence": confidence < threshold,
        "not_automated": intent in config.human or (bool(config.automate) and intent not in config.automate),
    }
    reason = next((reason for reason, applies in for_a_person.items() if applies), None)
    return Routing("bot", "confident") if reason is None else Routing("human", reason)
