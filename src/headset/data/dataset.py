"""A data set read back from the log: texts with the intents they were labelled with."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput, NotFound, TextErased
from headset.events.schema import LabelRecorded, TurnReceived

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from headset.events.log import Log
    from headset.events.schema import Event
    from headset.events.vault import Vault

_PREFIX = "import:"
_PAGE = 5_000
ROWS_LIMIT = 3_000_000
"""Labelled texts that are read at once, some 1.5 KB of memory each."""


class Dataset(Struct, frozen=True):
    """Labelled texts, sorted by text and label, so that equal content means equal order.

    Attributes:
        name: The name it was imported as.
        texts: What customers wrote, redacted.
        labels: The intent of each text.
        ids: ``CONVERSATION#TURN`` of each text.
        fingerprint: SHA-256 (hex) of all pairs of text and label: equal content, equal fingerprint,
            whatever the name.
        erased: Labelled texts that are left out because their subject was erased.
    """

    name: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    ids: tuple[str, ...]
    fingerprint: str
    erased: int = 0


def read_dataset(log: Log, vault: Vault, name: str) -> Dataset:
    """Read the data set ``name``; of several labels of one turn the latest holds.

    Raises:
        NotFound: no labelled text was imported under that name; the message lists the names that exist.
        InvalidInput: it has more than :data:`ROWS_LIMIT` rows.
    """
    source = _PREFIX + name
    labels = _latest_labels(_read(log, "LabelRecorded", source), name)
    if not labels:
        raise _unknown(log, name)
    rows: list[tuple[str, str, str]] = []
    erased = 0
    for event in _read(log, "TurnReceived", source):
        turn = event.payload
        place = (event.conversation_id, turn.turn_id) if isinstance(turn, TurnReceived) else None
        if place not in labels or not isinstance(turn, TurnReceived):
            continue
        try:
            text = vault.open(event.subject, turn.text)
        except TextErased:
            erased += 1
        else:
            rows.append((text, labels[place], f"{event.conversation_id}#{turn.turn_id}"))
    rows.sort()
    texts, kinds, ids = (tuple(column) for column in zip(*rows, strict=True)) if rows else ((), (), ())
    return Dataset(name, texts, kinds, ids, fingerprint(texts, kinds), erased)


def check_dataset(log: Log, name: str) -> None:
    """Make sure that a data set of this name was imported, without reading it.

    Raises:
        NotFound: it was not; the message lists the names that exist.
    """
    if not log.read(limit=1, types=("LabelRecorded",), source=_PREFIX + name):
        raise _unknown(log, name)


def list_datasets(log: Log) -> dict[str, int]:
    """Names of the imported data sets with the number of their intent labels, in order of name."""
    counts = Counter(
        event.source.removeprefix(_PREFIX)
        for event in _read(log, "LabelRecorded", None)
        if event.source.startswith(_PREFIX) and _is_intent(event)
    )
    return dict(sorted(counts.items()))


def fingerprint(texts: Iterable[str], labels: Iterable[str]) -> str:
    """SHA-256 over the sorted pairs of text and label, each with its length.

    >>> fingerprint(["a", "b"], ["x", "y"]) == fingerprint(["b", "a"], ["y", "x"])
    True
    >>> fingerprint(["ab"], ["c"]) == fingerprint(["a"], ["bc"])
    False
    """
    digest = hashlib.sha256()
    for pair in sorted(zip(texts, labels, strict=True)):
        for part in pair:
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def _unknown(log: Log, name: str) -> NotFound:
    known = ", ".join(list_datasets(log)) or "none"
    if log.read(limit=1, types=("TextSynthesized",), source=f"synthetic:{name}"):
        return NotFound(
            "data",
            f"{name[:40]!r} holds synthetic texts, which are only learned from beside real ones, and never measured on:"
            f" 'headset train intent --data REAL --synthetic {name[:40]}'; real ones are: {known}",
        )
    return NotFound("data", f"{name[:40]!r} holds no labelled text; import it first; there are: {known}")


def _latest_labels(events: Iterable[Event], name: str) -> dict[tuple[str | None, str], str]:
    latest: dict[tuple[str | None, str], tuple[int, str]] = {}
    for event in events:
        label = event.payload
        if not isinstance(label, LabelRecorded) or label.kind != "intent" or label.turn_id is None:
            continue
        place = (event.conversation_id, label.turn_id)
        if place not in latest or latest[place][0] <= event.event_time:
            latest[place] = (event.event_time, label.value)
        if len(latest) > ROWS_LIMIT:
            raise InvalidInput(
                "data",
                f"{name[:40]!r} holds more than {ROWS_LIMIT:,} labelled texts, the most that are read at once; import a"
                " part of them under another name, or look at all with 'headset data check'",
            )
    return {place: value for place, (_, value) in latest.items()}


def _is_intent(event: Event) -> bool:
    return isinstance(event.payload, LabelRecorded) and event.payload.kind == "intent"


def _read(log: Log, event_type: str, source: str | None) -> Iterator[Event]:
    after = 0
    while records := log.read(after, _PAGE, types=(event_type,), source=source):
        for record in records:
            yield record.event
        after = records[-1].offset
