"""Turns of live conversations whose intent a person has verified, as a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import TextErased
from headset.data.dataset import Dataset, fingerprint
from headset.events.schema import DecisionServed, FeedbackRecorded, LabelRecorded, TurnReceived

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headset.events.log import Log, Record
    from headset.events.vault import Vault

    Turn = tuple[str, str]

VERIFIED = "verified"
"""The name of such a data set."""

_IMPORTED = "import:"
_PAGE = 5_000


def read_verified(log: Log, vault: Vault, *, after: int) -> Dataset:
    """Customer turns behind offset ``after`` whose intent was verified; the latest word about a turn holds.

    An intent is verified by an agent's feedback that names it, by their accepting a decision, and by a label. Imported
    data sets are left out: they have names of their own.

    Args:
        log: Holds them.
        vault: Opens the texts; those of erased subjects are counted.
        after: Of the turns; what was said of them may come later.
    """
    intents = _verified(log, after)
    rows: list[tuple[str, str, str]] = []
    erased = 0
    for record in _read(log, after, "TurnReceived"):
        turn, event = record.event.payload, record.event
        if not isinstance(turn, TurnReceived) or turn.speaker != "customer":
            continue
        intent = intents.get((event.conversation_id or "", turn.turn_id))
        if intent is None or event.source.startswith(_IMPORTED):
            continue
        try:
            text = vault.open(event.subject, turn.text)
        except TextErased:
            erased += 1
        else:
            rows.append((text, intent, f"{event.conversation_id}#{turn.turn_id}"))
    rows.sort()
    texts, kinds, ids = (tuple(column) for column in zip(*rows, strict=True)) if rows else ((), (), ())
    return Dataset(VERIFIED, texts, kinds, ids, fingerprint(texts, kinds), erased)


def _verified(log: Log, after: int) -> dict[Turn, str]:
    """The verified intent of each turn."""
    decided: dict[str, tuple[Turn, str | None]] = {}
    said: dict[Turn, tuple[int, str]] = {}
    for record in _read(log, after, "DecisionServed", "FeedbackRecorded", "LabelRecorded"):
        event, told = record.event, record.event.payload
        match told:
            case DecisionServed():
                decided[told.decision_id] = (event.conversation_id or "", told.turn_id), told.intent
                continue
            case FeedbackRecorded() if told.decision_id in decided:
                turn, guess = decided[told.decision_id]
                intent = told.intent if told.intent is not None or told.action != "accepted" else guess
            case LabelRecorded(kind="intent", turn_id=str(turn_id)):
                turn, intent = (event.conversation_id or "", turn_id), told.value
            case _:
                continue
        if intent is not None and (turn not in said or said[turn][0] <= event.event_time):
            said[turn] = event.event_time, intent
    return {turn: intent for turn, (_, intent) in said.items()}


def _read(log: Log, after: int, *types: str) -> Iterator[Record]:
    while records := log.read(after, _PAGE, types=types):
        yield from records
        after = records[-1].offset
