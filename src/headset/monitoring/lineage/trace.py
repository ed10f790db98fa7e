"""From a decision back to what it was made of: models, their training, feature versions, source events, commits."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from headset.core.clock import iso
from headset.core.errors import NotFound
from headset.events.schema import DecisionServed, DecisionShadowed, TurnReceived
from headset.features.fact import FactReader
from headset.features.served import SERVICE
from headset.features.situation import situation_of
from headset.monitoring.lineage.graph import Graph
from headset.monitoring.lineage.origin import add_features, add_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headset.events.log import Log, Record
    from headset.events.schema import Event
    from headset.features.catalogue import Catalogue
    from headset.features.definition import FeatureView
    from headset.features.fact import Fact
    from headset.monitoring.lineage.graph import Lineage
    from headset.registry.store import Registry

REACH = 100_000
"""Events of the log looked through for one decision, at most."""

_TOLD = (
    *("intent", "confidence", "route", "reason", "arm", "latency_ms", "degraded", "error", "shadow_of"),
    *("risk", "risk_version", "feature_hash", "feature_position"),
)
_DAY_US = 86_400_000_000
_PAGE = 5_000


def trace_decision(
    decision_id: str,
    *,
    log: Log,
    catalogue: Catalogue,
    registry: Registry,
    risk_model: str = "risk",
    limit: int = 20,
) -> Lineage:
    """All that a decision was made of.

    The decision and its conversation are looked up; of the log, only what may lie in the features' windows is read,
    and of that the newest :data:`REACH` events.

    Args:
        decision_id: Of a decision that was served or shadowed.
        log: The log.
        catalogue: The definitions of features.
        registry: The models.
        risk_model: Name of the model that the decision asked for its risk.
        limit: How many ids of source events are named for each view, the newest.

    Raises:
        NotFound: the log holds no such decision.
        StorageFailed: the log cannot be read.
    """
    record, decision = _decision(log, decision_id)
    event = record.event
    graph, applied = Graph(), catalogue.view_versions()
    conversation = log.conversation(event.conversation_id) if event.conversation_id else []
    root = _add_decision(graph, event, decision)
    if decision.model_version:
        by = (root, "decided by")
        add_model(graph, registry, applied, decision.model, decision.model_version, source=by)
    turn = _turn_of(conversation, decision.turn_id)
    if turn is not None:
        _add_turn(graph, turn.event, source=(root, "answered"))
    if isinstance(decision, DecisionServed):
        if decision.risk_version:
            add_model(graph, registry, applied, risk_model, decision.risk_version, source=(root, "risk by"))
        views = add_features(graph, applied, _read(catalogue, decision.feature_versions), source=(root, "read"))
        if turn is not None:
            known = {node: view.definition for node, view in views.items() if view.definition is not None}
            sources = _Sources(log, conversation, turn.event, record, decision.feature_position)
            for node, key, facts in sources.of(known):
                _add_events(graph, known[node], key, facts, sources, limit=limit, source=(node, "fed by"))
    return graph.lineage(root)


class _Sources:
    """The facts in the windows of views, as they were known when a turn was decided."""

    def __init__(self, log: Log, conversation: list[Record], turn: Event, decision: Record, position: int) -> None:
        self._log = log
        self._conversation = conversation
        self._reader = FactReader()
        self.as_of = turn.event_time - 1
        self.position = position
        self._keys = situation_of(conversation, decision, "").keys
        self.complete = True

    def of(self, views: Mapping[str, FeatureView]) -> Iterator[tuple[str, str, list[Fact]]]:
        """Each view's node, the key it was read for, and the facts, oldest first."""
        reached = {node: view for node, view in views.items() if view.entity in self._keys}
        near = [record for record in self._conversation if record.offset <= self.position]
        far = list(self._far([view for view in reached.values() if view.entity != "conversation"]))
        facts = {
            place: {fact.event_id: fact for record in records if (fact := self._read(record)) is not None}
            for place, records in (("near", near), ("far", far))
        }
        for node, view in reached.items():
            key = self._keys[view.entity]
            known = facts["near" if view.entity == "conversation" else "far"].values()
            fed = [fact for fact in known if fact.keys.get(view.entity) == key and self._counts(view, fact)]
            yield node, key, sorted(fed, key=lambda fact: (fact.event_time, fact.event_id))

    def _counts(self, view: FeatureView, fact: Fact) -> bool:
        if fact.event != view.event or not self.as_of - view.horizon_us < fact.event_time <= self.as_of:
            return False
        return view.filter is None or bool(view.markers) or view.filter.compile()(fact.columns) is True

    def _read(self, record: Record) -> Fact | None:
        return self._reader.read(record.event, offset=record.offset)

    def _far(self, views: list[FeatureView]) -> Iterator[Record]:
        if not views:
            return
        types = {view.event for view in views}
        # A fact happened at most a day after it was recorded, so what was recorded before this is in no window.
        earliest = self.as_of - max(view.horizon_us for view in views) - _DAY_US
        after = self._first_recorded(earliest) - 1
        if after < self.position - REACH:
            after, self.complete = self.position - REACH, False
        while page := self._log.read(after, _PAGE, types=types):
            yield from (record for record in page if record.offset <= self.position)
            after = page[-1].offset
            if after >= self.position:
                return

    def _first_recorded(self, moment: int) -> int:
        """The first offset recorded at ``moment`` or later, by bisection."""
        low, high = 1, self.position + 1
        while low < high:
            middle = (low + high) // 2
            found = self._log.read(middle - 1, 1)
            if found and found[0].event.append_time < moment:
                low = found[0].offset + 1
            else:
                high = middle
        return low


def _decision(log: Log, decision_id: str) -> tuple[Record, DecisionServed | DecisionShadowed]:
    try:
        record = log.get(UUID(decision_id))
    except ValueError:
        record = None
    if record is None or not isinstance(record.event.payload, DecisionServed | DecisionShadowed):
        found = f"is a {record.event.type}" if record else "is not in the log"
        raise NotFound(
            "id", f"{decision_id[:60]!r} {found}; take the decision_id of an answer, or of the decision record"
        )
    return record, record.event.payload


def _read(catalogue: Catalogue, versions: Mapping[str, str]) -> dict[str, str]:
    """What a decision says it read, with each feature of a service in place of the service."""
    found: dict[str, str] = {}
    for name, version in versions.items():
        service = catalogue.applied(name.removeprefix(SERVICE), version) if name.startswith(SERVICE) else None
        found |= {name: version} if service is None else service.versions
    return found


def _turn_of(conversation: list[Record], turn_id: str) -> Record | None:
    for record in conversation:
        if isinstance(record.event.payload, TurnReceived) and record.event.payload.turn_id == turn_id:
            return record
    return None


def _add_decision(graph: Graph, event: Event, decision: DecisionServed | DecisionShadowed) -> str:
    details = {name: getattr(decision, name, None) for name in _TOLD}
    outcome = f"{decision.intent or 'no intent'} ({decision.confidence:.2f}), to the {decision.route}"
    return graph.add(
        "decision",
        decision.decision_id,
        f"decision {decision.decision_id}: {outcome}",
        time=iso(event.event_time),
        conversation_id=event.conversation_id,
        turn_id=decision.turn_id,
        **details,
    )


def _add_turn(graph: Graph, event: Event, *, source: tuple[str, str]) -> None:
    turn = event.payload
    if isinstance(turn, TurnReceived):
        graph.add(
            "turn",
            str(event.event_id),
            f"turn {turn.turn_id!r} of conversation {event.conversation_id}",
            source=source,
            time=iso(event.event_time),
            event_id=str(event.event_id),
            sentiment_version=turn.sentiment_version,
            encoder_version=turn.encoder_version,
        )


def _add_events(
    graph: Graph,
    view: FeatureView,
    key: str,
    facts: list[Fact],
    sources: _Sources,
    *,
    limit: int,
    source: tuple[str, str],
) -> None:
    whole = view.entity == "conversation" or sources.complete
    graph.add(
        "events",
        f"{source[0].removeprefix('view:')}/{key}",
        f"{len(facts):,} {view.event} of {view.entity} {key}",
        source=source,
        entity=view.entity,
        key=key,
        event=view.event,
        count=len(facts),
        first=iso(facts[0].event_time) if facts else None,
        last=iso(facts[-1].event_time) if facts else None,
        after=iso(max(0, sources.as_of - view.horizon_us)),
        as_of=iso(sources.as_of),
        position=sources.position,
        event_ids=[str(UUID(bytes=fact.event_id)) for fact in facts[::-1][:limit]],
        problem=None if whole else f"only the newest {REACH:,} events before offset {sources.position} were looked at",
    )
