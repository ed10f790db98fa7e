"""The shipped feature views, one family a module, from the turns of chat, voice transcript and e-mail alike.

Use them as they are, or copy a module into your own definitions and change it: the version then changes by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.features.families.domain import customer_domain, queue_domain
from headset.features.families.frequency import ESCALATIONS, MESSAGES, VISITS, VOLUME
from headset.features.families.history import history
from headset.features.families.intent import INTENT, OVERRIDES
from headset.features.families.profile import OUTCOMES, PROFILE
from headset.features.families.response import AGENT_RESPONSE, CUSTOMER_RESPONSE, RESPONSE
from headset.features.families.risk import RISK, risk_service
from headset.features.families.sentiment import CUSTOMER_SENTIMENT, SENTIMENT
from headset.features.families.service_level import ANSWERS, DEMAND
from headset.features.families.session import SESSION, TURNS

if TYPE_CHECKING:
    from headset.features.definition import FeatureView

__all__ = [
    "AGENT_RESPONSE",
    "ANSWERS",
    "CUSTOMER_RESPONSE",
    "CUSTOMER_SENTIMENT",
    "DEMAND",
    "ESCALATIONS",
    "INTENT",
    "MESSAGES",
    "OUTCOMES",
    "OVERRIDES",
    "PROFILE",
    "RESPONSE",
    "RISK",
    "SENTIMENT",
    "SESSION",
    "TURNS",
    "VISITS",
    "VOLUME",
    "customer_domain",
    "history",
    "queue_domain",
    "risk_service",
    "shipped",
]


def shipped(encoder_dim: int) -> tuple[FeatureView, ...]:
    """All shipped views, where embeddings have ``encoder_dim`` numbers.

    >>> views = shipped(768)
    >>> [view.name for view in views if view.entity == "agent"]
    ['agent_response']
    """
    return (
        history(encoder_dim),
        SESSION,
        TURNS,
        PROFILE,
        OUTCOMES,
        AGENT_RESPONSE,
        RESPONSE,
        CUSTOMER_RESPONSE,
        DEMAND,
        ANSWERS,
        VISITS,
        MESSAGES,
        ESCALATIONS,
        VOLUME,
        queue_domain(encoder_dim),
        customer_domain(encoder_dim),
        SENTIMENT,
        CUSTOMER_SENTIMENT,
        INTENT,
        OVERRIDES,
    )
