"""Whose texts a data set holds: the groups that the log knows of their conversations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.events.schema import ConversationStarted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.events.log import Log

_PAGE = 5_000


def read_groups(log: Log, ids: Sequence[str]) -> dict[str, list[str]]:
    """By dimension (language, channel, and each attribute of customers), the group of each row; empty where unknown.

    Args:
        log: Holds the conversations.
        ids: ``CONVERSATION#TURN`` of each row.
    """
    wanted = [row.rpartition("#")[0] for row in ids]
    known: dict[str, dict[str, str]] = {name: {} for name in wanted}
    after = 0
    while records := log.read(after, _PAGE, types=("ConversationStarted",)):
        for record in records:
            told, name = record.event.payload, record.event.conversation_id
            if isinstance(told, ConversationStarted) and name in known:
                known[name] = {"language": told.language, "channel": told.channel, **told.attributes}
        after = records[-1].offset
    dimensions = sorted({dimension for groups in known.values() for dimension in groups})
    return {dimension: [known[name].get(dimension, "") for name in wanted] for dimension in dimensions}
