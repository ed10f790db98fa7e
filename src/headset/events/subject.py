"""The subject of an event: the person, or else the conversation, whose key seals the texts."""

from __future__ import annotations


def subject_of(conversation_id: str, customer_id: str | None) -> str:
    """The customer where one is known, so that one key covers all their conversations; else the conversation.

    >>> subject_of("c-1", "ana"), subject_of("c-1", None)
    ('customer:ana', 'conversation:c-1')
    """
    return f"conversation:{conversation_id}" if customer_id is None else f"customer:{customer_id}"
