"""The log as a history of facts: what training sets and checks are computed from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from headset.features.signal import SIGNALS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from headset.events.log import Log
    from headset.features.batch import History
    from headset.features.definition import FeatureView
    from headset.features.signal import SignalReader

_PAGE = 5_000


class LogHistory(NamedTuple):
    """Facts up to a place in the log.

    Attributes:
        history: The facts; close it after use.
        position: Offset up to which the log was read.
        newest: The newest moment the log can speak of, microseconds: when its last event was recorded, or when the
            newest fact happened.
    """

    history: History
    position: int
    newest: int


def log_history(
    log: Log,
    signals: SignalReader,
    views: Sequence[FeatureView],
    *,
    until: int | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> LogHistory:
    """Read what ``views`` are made of: events of their types only, and no signal that none of them needs.

    Args:
        log: The log.
        signals: Reads turns, and computes the signals they do not bear.
        views: The features wanted.
        until: Offset of the last event to read; the head of the log when None.
        progress: Called with the fraction read, 0 to 1.

    Raises:
        StorageFailed: the log, or a text in it, cannot be read.
    """
    from headset.features.batch import History  # noqa: PLC0415 - whoever only serves features does not need it

    head = log.head()
    position = head if until is None else min(until, head)
    types, wanted = event_types(views), signals_of(views)
    history = History()
    newest = max((record.event.append_time for record in log.read(position - 1, 1)), default=0) if position > 0 else 0
    after = 0
    try:
        while page := [record for record in log.read(after, _PAGE, types=types) if record.offset <= position]:
            facts = signals.facts(page, wanted)
            history.add(facts)
            newest = max([newest, *(fact.event_time for fact in facts)])
            after = page[-1].offset
            progress(after / position)
    except BaseException:
        history.close()
        raise
    progress(1.0)
    return LogHistory(history, position, newest)


def event_types(views: Iterable[FeatureView]) -> set[str]:
    """The types of event that ``views`` are made of, those their response times look at included."""
    return {name for view in views for name in (view.event, *(marker.event for marker in view.markers))}


def signals_of(views: Iterable[FeatureView]) -> set[str]:
    """The signals that ``views`` are made of; see :data:`~headset.features.signal.SIGNALS`."""
    return {name for view in views for name in SIGNALS if name in view.columns}
