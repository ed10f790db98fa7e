"""Folding: what a fact changes in the rows of a view.

A fact changes its own row, and with ``seconds_since`` also those of facts after it in its conversation, when it came
late. For these a trail of each conversation is kept; of anything else nothing has to be known.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from msgspec import structs

from headset.core.errors import InvalidInput
from headset.features.expression import LOOKBACK_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from headset.features.definition import FeatureView
    from headset.features.expression import Expression
    from headset.features.fact import Fact

T = TypeVar("T")
_SECOND_US = 1_000_000


class Change(NamedTuple):
    """A row that comes, changes or, without values, goes."""

    key: str
    time: int
    event_id: bytes
    values: tuple[Any, ...] | None


def inputs_of(view: FeatureView) -> list[Expression]:
    """What the values of a row are, in an order that is the same for all views of one version."""
    return sorted(view.inputs, key=msgspec.json.encode)


class Fold:
    """Turns facts into changes of one view's rows, in any order.

    Args:
        view: The view.

    Attributes:
        view: The same.
        events: The types of facts it looks at.
        trails: By conversation, the facts that ``seconds_since`` looks at.
    """

    def __init__(self, view: FeatureView) -> None:
        self.view = view
        self.trails: dict[str, Trail] = {}
        self._entity = view.entity
        self._event = view.event
        self._inputs = [expression.compile() for expression in inputs_of(view)]
        self._filter = None if view.filter is None else view.filter.compile()
        self._markers = [(marker.event, marker.where.compile(), marker.name) for marker in view.markers]
        self._columns = view.columns
        self.events = {view.event, *(event for event, _, _ in self._markers)}

    def changes(self, fact: Fact, limit: int, *, anew: bool = False) -> Iterator[Change]:
        """What ``fact`` changes; told again it changes nothing that has not been changed already.

        Args:
            fact: The fact.
            limit: Rows up to this moment are of no use any more, microseconds: they go, where there may be any.
            anew: Whether the fact may have said something else before.
        """
        if fact.event not in self.events:
            return
        if self._markers and "conversation" in fact.keys:
            for one, columns in self._follow(fact, limit - LOOKBACK_US, anew=anew):
                yield from self._change(one, columns, limit, known=anew or one.event_id != fact.event_id)
        elif fact.event == self._event:
            yield from self._change(fact, fact.columns, limit, known=anew)

    def forget(self, limit: int, conversations: Iterable[str] | None = None) -> None:
        """Drop trails of no use any more to rows after ``limit``; of all conversations unless given."""
        limit -= LOOKBACK_US
        for conversation in list(self.trails) if conversations is None else conversations:
            trail = self.trails.get(conversation)
            if trail is not None and trail.facts[-1][0] <= limit:
                del self.trails[conversation]

    def restore(self, facts: list[Fact]) -> None:
        """Take up the facts of a trail."""
        for fact in facts:
            for _ in self._follow(fact, -1, anew=False):
                pass

    def _change(self, fact: Fact, columns: Mapping[str, Any], limit: int, *, known: bool) -> Iterator[Change]:
        key = fact.keys.get(self._entity)
        if key is None:
            return
        if fact.event_time > limit and (self._filter is None or self._filter(columns) is True):
            yield Change(key, fact.event_time, fact.event_id, tuple([of(columns) for of in self._inputs]))
        elif known:
            yield Change(key, fact.event_time, fact.event_id, None)

    def _follow(self, fact: Fact, limit: int, *, anew: bool) -> Iterator[tuple[Fact, Mapping[str, Any]]]:
        """Put ``fact`` into its conversation; the facts that now have other columns than before, itself first."""
        time, event_id = entry = fact.event_time, fact.event_id
        if time <= limit and not anew:
            return
        trail = self.trails.setdefault(fact.keys["conversation"], Trail(len(self._markers)))
        place = bisect_left(trail.facts, entry)
        known = place < len(trail.facts) and trail.facts[place][:2] == entry
        if known and not anew:
            return
        used = {name: value for name, value in fact.columns.items() if name in self._columns}
        if known:
            trail.take(place)
        trail.facts.insert(place, (time, event_id, structs.replace(fact, columns=used)))
        end = len(trail.facts) if known else place + 1
        for (event, where, _), marks in zip(self._markers, trail.marks, strict=True):
            if fact.event == event and where(fact.columns) is True:
                insort(marks, entry)
                following = bisect_left(marks, entry) + 1
                # A mark is the previous one of all up to the next, that one included.
                until = marks[following] if following < len(marks) else trail.facts[-1][:2]
                end = max(end, bisect_left(trail.facts, until) + 1)
        for _, _, one in trail.facts[place:end]:
            if one.event == self._event:
                yield one, {**one.columns, **dict(self._since(trail, one))}
        trail.drop(limit)
        if not trail.facts:
            del self.trails[fact.keys["conversation"]]

    def _since(self, trail: Trail, fact: Fact) -> Iterator[tuple[str, float]]:
        for (_, _, name), marks in zip(self._markers, trail.marks, strict=True):
            before = bisect_left(marks, (fact.event_time, fact.event_id))
            if before and fact.event_time - marks[before - 1][0] <= LOOKBACK_US:
                yield name, (fact.event_time - marks[before - 1][0]) / _SECOND_US


class Trail:
    """The facts of one conversation that ``seconds_since`` looks at, by event time and id."""

    __slots__ = ("facts", "marks")

    def __init__(self, markers: int) -> None:
        self.facts: list[tuple[int, bytes, Fact]] = []
        self.marks: list[list[tuple[int, bytes]]] = [[] for _ in range(markers)]

    def take(self, place: int) -> None:
        """Take out the fact at ``place``."""
        entry = self.facts.pop(place)[:2]
        for marks in self.marks:
            if entry in marks:
                marks.remove(entry)

    def drop(self, until: int) -> None:
        """Forget what happened up to ``until``."""
        if self.facts and self.facts[0][0] <= until:
            del self.facts[: bisect_left(self.facts, (until + 1,))]
            for marks in self.marks:
                del marks[: bisect_left(marks, (until + 1,))]


def decoded(content: bytes, kind: type[T]) -> T:
    """``content``, MessagePack of ``kind``.

    Raises:
        InvalidInput: it is something else.
    """
    try:
        return msgspec.msgpack.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput("content", f"is no stored state ({error}); fold the log again") from error
