"""Synthetic rows in the log: events of their own kind, so that no reader of turns or labels takes them for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import Conflict, InvalidInput, NotFound, TextErased
from headset.core.ids import stable_id
from headset.data.rule import check_name
from headset.data.synthetic.row import SyntheticRow
from headset.events.schema import Event, Sealed, TextSynthesized

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from headset.core.clock import Clock
    from headset.data.dataset import Dataset
    from headset.events.door import Door
    from headset.events.log import Log
    from headset.events.vault import Vault

_PREFIX = "synthetic:"
_PAGE = 5_000


def check_new(log: Log, name: str) -> None:
    """Make sure that synthetic rows can be kept under this name.

    Raises:
        InvalidInput: it is no name.
        Conflict: a data set, or other synthetic rows, bear it.
    """
    check_name(name)
    for source, what in ((_PREFIX + name, "synthetic texts"), (f"import:{name}", "imported texts")):
        if log.read(limit=1, source=source):
            raise Conflict("as", f"{name!r} already names {what}; choose another name")


def append_synthetic(
    rows: Sequence[SyntheticRow], name: str, data: Dataset, *, log: Log, door: Door, vault: Vault, clock: Clock
) -> None:
    """Keep rows under ``name``, all or none.

    Args:
        rows: Made from texts of ``data``.
        name: How they are asked for.
        data: The real texts.
        log: Where the events go.
        door: Redacts and seals.
        vault: Seals under the keys of further subjects.
        clock: Dates the events.

    Raises:
        InvalidInput: a row has no source in ``data``.
        StorageFailed: the log failed.
    """
    places = dict(zip(reversed(data.texts), reversed(data.ids), strict=True))
    owners: dict[str, str] = {}
    events: list[Event] = []
    for number, row in enumerate(rows):
        sources = [places[source] for source in row.sources if source in places]
        if not sources or len(sources) < len(row.sources):
            raise InvalidInput("data", f"{data.name!r} lacks a text that a synthetic row was made from; make it anew")
        subjects = list(dict.fromkeys(_owner(log, source, owners) for source in sources))
        sealed = door.admit(subjects[0], row.text).sealed
        for subject in subjects[1:]:
            sealed = vault.seal(subject, sealed)
        made = TextSynthesized(
            text=sealed, intent=row.label, generator=row.generator, sources=sources, subjects=subjects
        )
        events.append(
            Event(
                event_id=stable_id(_PREFIX + name, str(number), door.digest(row.label, row.text)),
                event_time=clock.now(),
                subject=subjects[0],
                source=_PREFIX + name,
                payload=made,
            )
        )
    log.append(events)  # in one call: all are kept, or none


def read_synthetic(log: Log, vault: Vault, name: str, data: Dataset) -> tuple[SyntheticRow, ...]:
    """The synthetic rows ``name`` whose sources can all be read in ``data``, sorted by text and intent.

    Raises:
        NotFound: there are none of that name; the message lists the names that exist.
        InvalidInput: none was made from ``data``, or all their customers were erased.
    """
    texts = dict(zip(data.ids, data.texts, strict=True))
    rows, count = [], 0
    for made in _read(log, _PREFIX + name):
        count += 1
        if all(source in texts for source in made.sources) and (text := _open(vault, made)) is not None:
            rows.append(SyntheticRow(text, made.intent, made.generator, tuple(texts[each] for each in made.sources)))
    if not count:
        known = ", ".join(list_synthetic(log)) or "none"
        raise NotFound(
            "synthetic", f"{name[:40]!r} is not there; 'headset data synthesize' makes such texts; there are: {known}"
        )
    if not rows:
        raise InvalidInput(
            "synthetic",
            f"none of the {count} texts of {name!r} was made from what can be read in {data.name!r}: it was made from"
            " other data, or its customers were erased; make it anew",
        )
    rows.sort(key=lambda row: (row.text, row.label))
    return tuple(rows)


def list_synthetic(log: Log) -> dict[str, int]:
    """Names under which synthetic rows are kept, with their number, in order of name."""
    counts: dict[str, int] = {}
    for event in _events(log, None):
        name = event.source.removeprefix(_PREFIX)
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def _owner(log: Log, source: str, owners: dict[str, str]) -> str:
    conversation_id = source.rpartition("#")[0]
    if conversation_id not in owners:
        owners[conversation_id] = log.conversation(conversation_id)[0].event.subject
    return owners[conversation_id]


def _open(vault: Vault, made: TextSynthesized) -> str | None:
    text: str = made.text
    try:
        for subject in reversed(made.subjects):
            text = vault.open(subject, Sealed(text))
    except TextErased:
        return None
    return text


def _read(log: Log, source: str) -> Iterator[TextSynthesized]:
    for event in _events(log, source):
        if isinstance(event.payload, TextSynthesized):
            yield event.payload


def _events(log: Log, source: str | None) -> Iterator[Event]:
    after = 0
    while records := log.read(after, _PAGE, types=("TextSynthesized",), source=source):
        for record in records:
            yield record.event
        after = records[-1].offset
