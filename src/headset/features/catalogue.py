"""The catalogue: which definitions are live, projected from the log. Whoever computes or reads features asks it.

Several versions of one view may be live at once: the newest, and older ones that a model in use still reads.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from headset.core.clock import iso
from headset.core.errors import Conflict, HeadsetError, NotFound, StorageFailed
from headset.events.projection import Projector
from headset.events.schema import (
    Event,
    FeatureServiceApplied,
    FeatureServiceRemoved,
    FeatureViewApplied,
    FeatureViewRemoved,
)
from headset.features.definition import FeatureService, FeatureView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from headset.core.clock import Clock
    from headset.core.ids import Ids
    from headset.events.log import Log, Record
    from headset.features.plan import Plan

Definition = TypeVar("Definition", FeatureView, FeatureService)
_logger = logging.getLogger("headset.features")

What = Literal["view", "service"]

# Made here and not where they are used: msgspec 0.22 crashes where two threads are the first to decode a type.
_DECODERS: dict[Any, msgspec.json.Decoder[Any]] = {
    kind: msgspec.json.Decoder(kind) for kind in (FeatureView, FeatureService)
}


class Entry(Struct, frozen=True, kw_only=True):
    """Something that happened to a definition.

    Attributes:
        what: ``view`` or ``service``.
        name: Its name.
        version: Its version; "" where a service was removed.
        live: Whether it was applied; if not, it was removed.
        commit: The code it came from; "" where it was removed.
        when: ISO 8601.
    """

    what: What
    name: str
    version: str
    live: bool
    commit: str
    when: str


class AppliedVersion(Struct, Generic[Definition], frozen=True, kw_only=True):
    """A version of a view or a service that is live or was.

    Attributes:
        name: Its name.
        version: Its version.
        live: Whether it still is.
        commit: The code it was last applied from; "" where nobody knows.
        when: When that was, ISO 8601.
        definition: None where this Headset cannot read it.
    """

    name: str
    version: str
    live: bool
    commit: str
    when: str
    definition: Definition | None


class CatalogueProjection:
    """What happened to definitions, by place in the log; the last word on one counts."""

    name = "features"
    version = 1
    types = ("FeatureViewApplied", "FeatureViewRemoved", "FeatureServiceApplied", "FeatureServiceRemoved")

    def create(self, connection: sqlite3.Connection) -> None:
        """See :meth:`Projection.create`."""
        connection.execute(
            "CREATE TABLE entry (place INTEGER PRIMARY KEY, event_time INTEGER NOT NULL, what TEXT NOT NULL,"
            " name TEXT NOT NULL, version TEXT NOT NULL, definition TEXT, code TEXT NOT NULL)"
        )
        connection.execute(  # a view lives by its versions, a service by its name
            "CREATE VIEW live AS SELECT * FROM entry WHERE definition IS NOT NULL AND place IN ("
            " SELECT max(place) FROM entry GROUP BY what, name, CASE what WHEN 'view' THEN version END)"
        )

    def apply(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """See :meth:`Projection.apply`."""
        row: tuple[str, str, str, str | None, str]
        for record in records:
            match record.event.payload:
                case FeatureViewApplied() as told:
                    row = ("view", told.name, told.version, told.definition, told.commit)
                case FeatureViewRemoved() as told:
                    row = ("view", told.name, told.version, None, "")
                case FeatureServiceApplied() as told:
                    row = ("service", told.name, told.version, told.definition, told.commit)
                case FeatureServiceRemoved() as told:
                    row = ("service", told.name, "", None, "")
                case _:
                    continue
            stamp = (record.offset, record.event.event_time)
            connection.execute("INSERT OR REPLACE INTO entry VALUES (?, ?, ?, ?, ?, ?, ?)", (*stamp, *row))


class Catalogue:
    """Reads and changes the definitions of one installation.

    Args:
        log: Where they are kept.
        projections: Folder of the projection files.
    """

    def __init__(self, log: Log, projections: Path, clock: Clock, ids: Ids) -> None:
        self._log = log
        self._clock = clock
        self._ids = ids
        self._folder = projections
        self._held: tuple[int, dict[What, list[Any]]] = -1, {}
        self._projector = Projector(log, CatalogueProjection(), projections / "features.db")

    def views(self, name: str | None = None) -> list[FeatureView]:
        """The live views, of one name or of all: by name, the newest version first.

        Raises:
            StorageFailed: they cannot be read.
        """
        return self._live("view", name, FeatureView)

    def services(self) -> list[FeatureService]:
        """The live services, by name.

        Raises:
            StorageFailed: they cannot be read.
        """
        return self._live("service", None, FeatureService)

    def view(self, name: str) -> FeatureView:
        """The newest version of a live view.

        Raises:
            NotFound: there is none; the message lists what there is.
        """
        found = self.views(name)
        if not found:
            raise NotFound("view", f"{name!r} is not live; {_listed(view.name for view in self.views())}")
        return found[0]

    def service(self, name: str) -> FeatureService:
        """A live service, read from live views; see :meth:`resolve`.

        Raises:
            NotFound: there is none; the message lists what there is.
        """
        found = self._live("service", name, FeatureService)
        if not found:
            raise NotFound("service", f"{name!r} is not live; {_listed(each.name for each in self.services())}")
        return self.resolve(found[0])

    def applied(self, name: str, version: str) -> FeatureService | None:
        """A service in a version that is live or was; None where it was never applied or has become unreadable.

        Raises:
            StorageFailed: the catalogue cannot be read.
        """
        with self._reading() as connection:
            row = connection.execute(
                "SELECT definition FROM entry WHERE what = 'service' AND name = ? AND version = ?"
                " AND definition IS NOT NULL ORDER BY place DESC",
                (name, version),
            ).fetchone()
            return None if row is None else _readable(row[0], FeatureService)

    def resolve(self, service: FeatureService) -> FeatureService:
        """``service``, read from live views: each of its views replaced by a live one with the same features.

        A model brings its service with it. A view that gained a feature since serves it as well; one of which the
        service takes nothing is left out.

        Returns:
            A service of the same versions.

        Raises:
            NotFound: no live view has a feature in the version that the service reads.
        """
        views = tuple(self._resolved(service, view) for view in service.views if reads(service, view.name))
        resolved = replace(service, views=views)
        return resolved if resolved.versions == service.versions else replace(resolved, only=tuple(service.stored))

    def history(self, name: str | None = None) -> list[Entry]:
        """What happened to the definitions of one name, or of all; the oldest first.

        Raises:
            StorageFailed: it cannot be read.
        """
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT what, name, version, definition IS NOT NULL, code, event_time FROM entry"
                " WHERE ? IS NULL OR name = ? ORDER BY place",
                (name, name),
            )
            return [
                Entry(what=what, name=known, version=version, live=bool(live), commit=commit, when=iso(when))
                for what, known, version, live, commit, when in rows
            ]

    def view_versions(self) -> list[AppliedVersion[FeatureView]]:
        """All versions of views that were ever applied, the one applied last first.

        Raises:
            StorageFailed: the catalogue cannot be read.
        """
        return self._versions("view", FeatureView)

    def service_versions(self) -> list[AppliedVersion[FeatureService]]:
        """All versions of services that were ever applied, the one applied last first.

        Raises:
            StorageFailed: the catalogue cannot be read.
        """
        return self._versions("service", FeatureService)

    @property
    def position(self) -> int:
        """The log offset of the last change; 0 when nothing was ever applied."""
        with self._reading() as connection:
            return int(connection.execute("SELECT coalesce(max(place), 0) FROM entry").fetchone()[0])

    def apply(self, plan: Plan, *, commit: str) -> None:
        """Make ``plan`` true, all of it or nothing.

        Args:
            plan: What to change.
            commit: The code that the definitions came from.

        Raises:
            Conflict: the catalogue has changed since the plan was made.
            StorageFailed: the log failed; nothing was changed.
        """
        with _locked(self._folder):
            if plan.position != self.position:
                raise Conflict("plan", "was made before somebody else applied definitions; plan again")
            self._append(plan.payloads(commit))

    def close(self) -> None:
        """Release the projection."""
        self._projector.close()

    def _append(self, payloads: Sequence[Any]) -> None:
        now = self._clock.now()
        events = [
            Event(
                event_id=self._ids.new(),
                event_time=now,
                subject=f"feature:{payload.name}",
                source="features",
                payload=payload,
            )
            for payload in payloads
        ]
        if events:
            self._log.append(events)

    def _resolved(self, service: FeatureService, view: FeatureView) -> FeatureView:
        known = self.views(view.name)
        found = next((live for live in known if reads(service, view.name) <= live.versions.items()), None)
        if found is not None:
            return found
        lacking = sorted(reads(service, view.name) - (known[0].versions.items() if known else set()))
        named = ", ".join(f"{view.name}.{feature} {version}" for feature, version in lacking)
        raise NotFound(
            f"{service.name}.views",
            f"no live view has {named}; apply the definitions that the model was trained with, or train it again",
        )

    def _live(self, what: What, name: str | None, kind: type[Definition]) -> list[Definition]:
        """Those of one kind, read again only when something was applied since: servers ask all the time."""
        position = self.position
        held, known = self._held
        if held != position:
            known = {}
        if what not in known:
            known = {**known, what: self._read(what, kind)}
            self._held = position, known
        return [definition for definition in known[what] if name in {None, definition.name}]

    def _read(self, what: What, kind: type[Definition]) -> list[Definition]:
        with self._reading() as connection:
            rows = connection.execute("SELECT definition FROM live WHERE what = ? ORDER BY name, place DESC", (what,))
            found = [(text, _readable(text, kind)) for (text,) in rows]
        for text, definition in found:
            if definition is None:
                _logger.warning("a live %s cannot be read and is passed over; apply it again: %.200s", what, text)
        return [definition for _, definition in found if definition is not None]

    def _versions(self, what: What, kind: type[Definition]) -> list[AppliedVersion[Definition]]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT name, version, place IN (SELECT place FROM live), code, event_time, definition FROM entry"
                " WHERE place IN (SELECT max(place) FROM entry WHERE what = ? AND definition IS NOT NULL"
                " GROUP BY name, version) ORDER BY place DESC",
                (what,),
            )
            return [
                AppliedVersion(
                    name=name,
                    version=version,
                    live=bool(live),
                    commit=commit,
                    when=iso(when),
                    definition=_readable(definition, kind),
                )
                for name, version, live, commit, when, definition in rows
            ]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        self._projector.catch_up()
        try:
            yield self._projector.connection
        except (sqlite3.Error, msgspec.DecodeError, HeadsetError) as error:
            raise StorageFailed(
                f"the catalogue of features cannot be read ({error}); if its projection is damaged, delete it: it is"
                " rebuilt from the log"
            ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time changes the catalogue."""
    with (folder / "features.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def reads(service: FeatureService, view: str) -> set[tuple[str, str]]:
    """The features of ``view`` that ``service`` takes, with their versions."""
    return features_of(service.stored, view)


def features_of(features: dict[str, str], view: str) -> set[tuple[str, str]]:
    """Those of ``features``, by ``view.feature``, that are of ``view``, with their versions."""
    parts = ((*name.split(".", 1), version) for name, version in features.items())
    return {(feature, version) for owner, feature, version in parts if owner == view}


def _readable(definition: str, kind: type[Definition]) -> Definition | None:
    try:
        found: Definition = _DECODERS[kind].decode(definition)
    except (msgspec.DecodeError, HeadsetError, RecursionError):
        return None
    return found


def _listed(names: Iterable[str]) -> str:
    there = ", ".join(sorted(set(names)))
    return f"there are {there}" if there else "nothing is; apply definitions with 'headset features apply'"
