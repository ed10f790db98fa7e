"""Whose a text is: the groups of customers that conversations belong to, as their start told."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.data.bias.outcome import UNKNOWN
from headset.events.schema import ConversationStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from headset.events.log import Log

ACCENT_PROXY = "accent-proxy"
DIMENSIONS = ("language", "channel", "region", "tenure", ACCENT_PROXY)
VOICE = "voice"
CLEAR, NOISY = "clear", "noisy"

_WORD = re.compile(r"[^\W\d_]+")
_NOISY_SHARE = 0.25


class Customer(Struct, frozen=True):
    """What is known of who held a conversation.

    Attributes:
        subject: Who it was: the customer, or the conversation where no customer was named.
        language: Of the conversation.
        channel: Of the conversation.
        attributes: Such as region and tenure.
    """

    subject: str
    language: str
    channel: str
    attributes: dict[str, str]


def read_customers(
    log: Log, conversations: Iterable[str], *, progress: Callable[[int], None] = lambda _: None
) -> dict[str, Customer]:
    """The customer of each conversation of which the log has the start; of several starts the latest told holds."""
    found: dict[str, Customer] = {}
    for count, conversation_id in enumerate(conversations, start=1):
        for record in log.conversation(conversation_id):
            event = record.event
            if isinstance(start := event.payload, ConversationStarted):
                found[conversation_id] = Customer(event.subject, start.language, start.channel, start.attributes)
        progress(count)
    return found


def group_by(
    dimensions: Sequence[str], customers: Sequence[Customer | None], texts: Sequence[str]
) -> dict[str, list[str]]:
    """The group of each row in each dimension.

    Args:
        dimensions: ``language``, ``channel``, ``accent-proxy`` (see :func:`accent_proxy`) or the name of an attribute;
            joined with ``+`` they make groups of both, such as ``channel+accent``.
        customers: (n,) whose each row is; None where it is not known.
        texts: (n,) what they said.

    >>> ann = Customer("ann", "es", "voice", {"region": "north"})
    >>> group_by(["language", "channel+region", "tenure"], [ann], ["hola"])
    {'language': ['es'], 'channel+region': ['voice, north'], 'tenure': ['']}
    """
    columns: dict[str, list[str]] = {}
    for part in {part for dimension in dimensions for part in dimension.split("+")}:
        columns[part] = accent_proxy(customers, texts) if part == ACCENT_PROXY else _told(part, customers)
    return {
        dimension: [_together(values) for values in zip(*(columns[part] for part in dimension.split("+")), strict=True)]
        for dimension in dimensions
    }


def accent_proxy(customers: Sequence[Customer | None], texts: Sequence[str]) -> list[str]:
    """A proxy of accent, which nobody records: how much of what a caller says the speech recogniser garbles.

    A word is unfamiliar where no other customer of the same language says it in these texts. Of each customer, the
    share of unfamiliar words in all they say on the telephone is taken; the customers of the quarter of calls where
    it is highest are ``noisy``, other callers ``clear``, and everybody else has no group.

    It is a proxy and no more: bad lines, rare names and unusual wishes raise it too, and some accents are recognised
    well. It finds people whom the transcript serves badly, not accents.
    """
    words = [_WORD.findall(text.lower()) for text in texts]
    speakers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for customer, said in zip(customers, words, strict=True):
        if customer is not None:
            for word in said:
                speakers[customer.language, word].add(customer.subject)
    unfamiliar: Counter[str] = Counter()
    spoken: Counter[str] = Counter()
    for customer, said in zip(customers, words, strict=True):
        if customer is not None and customer.channel == VOICE:
            unfamiliar[customer.subject] += sum(len(speakers[customer.language, word]) == 1 for word in said)
            spoken[customer.subject] += len(said)
    calls = [each.subject for each in customers if each is not None and each.channel == VOICE]
    share = {subject: unfamiliar[subject] / max(spoken[subject], 1) for subject in calls}
    limit = float(np.quantile([share[subject] for subject in calls], 1 - _NOISY_SHARE)) if calls else 1.0
    return [
        UNKNOWN if each is None or each.channel != VOICE else NOISY if share[each.subject] > limit else CLEAR
        for each in customers
    ]


def _told(name: str, customers: Sequence[Customer | None]) -> list[str]:
    if name in {"language", "channel"}:
        return [UNKNOWN if each is None else str(getattr(each, name)) for each in customers]
    return [UNKNOWN if each is None else each.attributes.get(name, UNKNOWN) for each in customers]


def _together(values: tuple[str, ...]) -> str:
    return UNKNOWN if UNKNOWN in values else ", ".join(values)
