"""The audit: what decisions were made from, computed again from the log and compared with what they say.

A decision names the log offset its features had heard of. The log is folded anew up to that offset, in a store of the
audit's own, and the features are read as they were then; the hash over all values must come out the same.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct

from headset.core.clock import MICROSECONDS
from headset.core.errors import NotFound, TextErased
from headset.events.schema import DecisionServed, TurnReceived
from headset.features.aggregation import VectorMean
from headset.features.on_demand import evaluate
from headset.features.served import SERVICE, feature_hash
from headset.features.situation import situation_of
from headset.features.store import FeatureRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from headset.events.log import Log, Record
    from headset.events.schema import Event
    from headset.events.vault import Vault
    from headset.features.catalogue import Catalogue
    from headset.features.definition import FeatureService
    from headset.features.fact import Entity
    from headset.features.follower import Follower
    from headset.features.signal import SignalReader
    from headset.features.store import OnlineStore

HOLD_US = 30 * MICROSECONDS
"""How long decisions are waited for before the log is folded past what they may have seen."""

_PAGE = 1_000
_LAG = 2_000
"""How many events a decision may be behind the log: for so long those that saw less are waited for."""

_REPORTED = 20


class Mismatch(Struct, frozen=True):
    """A decision whose features come out otherwise than it says.

    Attributes:
        decision_id: Which.
        offset: Its place in the log.
        served: The hash it says.
        computed: The hash computed now.
        values: What was computed now, by name; vectors are left out.
    """

    decision_id: str
    offset: int
    served: str
    computed: str
    values: dict[str, Any]


class Verified(Struct, frozen=True):
    """What an audit found.

    Attributes:
        checked: Decisions computed again.
        mismatched: Those among them that came out otherwise.
        passed_over: Decisions that cannot be computed again, by reason.
        mismatches: The first 20 of the mismatched.
        position: Offset of the newest decision looked at.
    """

    checked: int = 0
    mismatched: int = 0
    passed_over: dict[str, int] = {}
    mismatches: list[Mismatch] = []
    position: int = 0


class _Unverifiable(Exception):
    """Why a decision cannot be computed again."""


class _Pending(NamedTuple):
    position: int
    offset: int
    record: Record

    @property
    def served(self) -> DecisionServed:
        payload = self.record.event.payload
        assert isinstance(payload, DecisionServed)  # noqa: S101 - only these are read
        return payload

    @property
    def services(self) -> list[tuple[str, str]]:
        """Name and version of the feature services it read."""
        versions = self.served.feature_versions
        return [(name.removeprefix(SERVICE), versions[name]) for name in versions if name.startswith(SERVICE)]


class Audit:
    """Computes decisions again, in the order of the log. For one thread.

    Args:
        log: Holds the decisions and all they were made from.
        vault: Opens the texts.
        signals: Computes their signals.
        follower: Folds the log into ``store``; nobody else moves it.
        store: The audit's own.
        catalogue: Holds the definitions, also of services that are live no more.
    """

    def __init__(
        self,
        log: Log,
        vault: Vault,
        signals: SignalReader,
        follower: Follower,
        store: OnlineStore,
        catalogue: Catalogue,
    ) -> None:
        self._log = log
        self._vault = vault
        self._signals = signals
        self._follower = follower
        self._store = store
        self._catalogue = catalogue
        self._services: dict[tuple[str, str], FeatureService | None] = {}
        self._install([])
        self._seen = follower.furthest
        self._pending: list[_Pending] = []
        self._heads: deque[tuple[int, int]] = deque()

    def catch_up(
        self,
        *,
        since: int = 0,
        hold_us: int = 0,
        progress: Callable[[float], object] = lambda _: None,
    ) -> Verified:
        """Compute again the decisions of the log that were not yet.

        Args:
            since: Event time, microseconds; decisions from before are passed by.
            hold_us: Leave the newest microseconds of the log for the next call: decisions may yet come that saw less.
            progress: Called with the fraction that is done, 0 to 1.

        Raises:
            StorageFailed: the log cannot be read.
        """
        head, found = self._log.head(), Verified(position=self._seen)
        first = self._seen
        while self._seen < head:
            self._read_decisions(since, head)
            if self._seen < head:
                found = self._verify_all([each for each in self._pending if each.position <= self._seen - _LAG], found)
            progress((self._seen - first) / (head - first))
        newest = max((record.event.append_time for record in self._log.read(head - 1, 1)), default=0)
        self._heads.append((newest, head))
        limit = newest - hold_us
        ready = [each for each in self._pending if not hold_us or each.record.event.append_time <= limit]
        found = self._verify_all(ready, found)
        self._advance(limit)
        progress(1.0)
        return found

    def save(self) -> None:
        """Keep the state of the store on disk; see :meth:`Follower.save`."""
        self._follower.save()

    def _advance(self, limit: int) -> None:
        """Fold what was in the log at the time ``limit`` and no decision waited for saw less than."""
        reached = self._follower.position
        while self._heads and self._heads[0][0] <= limit:
            _, reached = self._heads.popleft()
        if self._pending:
            reached = min(reached, self._pending[0].position)
        self._follower.catch_up(until=reached)
        self._store.expire(limit)

    def _install(self, ready: Iterable[_Pending]) -> None:
        """Fold the live views, and those that decisions read that were computed again."""
        for each in ready:
            for name, version in each.services:
                if (name, version) not in self._services:
                    self._services[name, version] = self._service(name, version)
        views = {view.version: view for view in self._catalogue.views()}
        for service in self._services.values():
            views |= {view.version: view for view in (service.views if service else ())}
        self._follower.install(list(views.values()))

    def _service(self, name: str, version: str) -> FeatureService | None:
        """A service, of live views where these give the same; None where it was never applied."""
        service = self._catalogue.applied(name, version)
        if service is None:
            return None
        try:
            return self._catalogue.resolve(service)
        except NotFound:
            return service

    def _read_decisions(self, since: int, head: int) -> None:
        """Take a page of decisions in."""
        records = self._log.read(self._seen, _PAGE, types=(DecisionServed.__name__,))
        for record in records:
            served = record.event.payload
            if record.offset > head or not isinstance(served, DecisionServed):
                continue
            if served.feature_hash and record.event.event_time >= since:
                insort(self._pending, _Pending(_position(served, record.offset), record.offset, record))
        self._seen = min(head, records[-1].offset) if len(records) == _PAGE else head

    def _verify_all(self, ready: Sequence[_Pending], found: Verified) -> Verified:
        """Compute these again, in the order of what they saw."""
        self._install(ready)
        for each in ready:
            found = self._verify(each, found)
        done = {each.offset for each in ready}
        self._pending = [each for each in self._pending if each.offset not in done]
        return msgspec.structs.replace(found, position=self._seen)

    def _verify(self, each: _Pending, found: Verified) -> Verified:
        served = each.served
        try:
            values = self._values(each)
        except _Unverifiable as reason:
            passed = {**found.passed_over, str(reason): found.passed_over.get(str(reason), 0) + 1}
            return Verified(found.checked, found.mismatched, passed, found.mismatches, found.position)
        computed = feature_hash(served.feature_versions, values)
        if computed == served.feature_hash:
            return Verified(found.checked + 1, found.mismatched, found.passed_over, found.mismatches, found.position)
        plain = {name: value for name, value in values.items() if not hasattr(value, "tobytes")}
        mismatch = Mismatch(served.decision_id, each.offset, served.feature_hash, computed, plain)
        mismatches = [*found.mismatches, mismatch][:_REPORTED]
        return Verified(found.checked + 1, found.mismatched + 1, found.passed_over, mismatches, found.position)

    def _values(self, each: _Pending) -> dict[str, Any]:
        """All that a decision was made from, by name, as it was then."""
        served = each.served
        if _on_defaults(served):
            raise _Unverifiable("decided on defaults")
        conversation = self._log.conversation(each.record.event.conversation_id or "")
        at = situation_of(conversation, each.record, served.turn_id)
        if at.turn is None:
            raise _Unverifiable("turn not in the log")
        values: dict[str, Any] = {**at.columns, **self._signal_values(served, at.turn)}
        for name, version in each.services:
            values |= self._read(self._services[name, version], each, at.keys, at.turn.event_time - 1, values)
        return values

    def _signal_values(self, served: DecisionServed, turn: Event) -> dict[str, Any]:
        versions = {
            name: version for name, version in served.feature_versions.items() if name in self._signals.versions
        }
        if any(self._signals.versions[name] != version for name, version in versions.items()):
            raise _Unverifiable("signals of another version")
        if not versions:
            return {}
        assert isinstance(turn.payload, TurnReceived)  # noqa: S101 - a situation's turn is one
        try:
            text = self._vault.open(turn.subject, turn.payload.text)
        except TextErased:
            raise _Unverifiable("text erased") from None
        embeddings, sentiments = self._signals.compute([text])
        return {name: {"embedding": embeddings[0], "sentiment": sentiments[0]}[name] for name in versions}

    def _read(
        self,
        service: FeatureService | None,
        each: _Pending,
        keys: dict[Entity, str],
        as_of: int,
        known: dict[str, Any],
    ) -> dict[str, Any]:
        if service is None:
            raise _Unverifiable("definition not on record")
        if self._follower.furthest > each.position:
            raise _Unverifiable("saw less of the log than was waited for")
        self._follower.catch_up(until=each.position)
        if self._lost(service, keys):
            raise _Unverifiable("text erased")
        (row,) = self._store.read(service, [FeatureRequest(keys, as_of)])
        if row.problem:
            raise _Unverifiable(row.problem)
        said = {name: getattr(each.served, name) for name in ("intent", "confidence", "scope", "sentiment")}
        return evaluate(service, row.values, {**known, **said})

    def _lost(self, service: FeatureService, keys: dict[Entity, str]) -> bool:
        """Whether a text was erased whose embedding the decision may have seen."""
        return any(
            (view.entity, keys.get(view.entity)) in self._signals.erased
            for view in service.views
            if any(
                isinstance(feature.aggregation, VectorMean) and f"{view.name}.{feature.name}" in service.stored
                for feature in view.features
            )
        )


def _on_defaults(served: DecisionServed) -> bool:
    return served.error is not None and served.error.startswith("features")


def _position(served: DecisionServed, offset: int) -> int:
    """Where the log must be folded to; for one that read nothing stored, where it stands itself."""
    stored = any(name.startswith(SERVICE) for name in served.feature_versions)
    return served.feature_position if stored and not _on_defaults(served) else offset
