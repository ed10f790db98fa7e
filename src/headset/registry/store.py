"""The model registry: versions and aliases are a projection of the log; artifacts are folders beside it.

A version is registered once and never changes. What serves is whatever the alias ``champion`` points at,
and an alias moves only by a ``Promoted`` event that names its evidence.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headset.core.clock import iso
from headset.core.errors import NotFound, StorageFailed
from headset.core.ids import stable_id
from headset.events.projection import Projector
from headset.events.schema import Event, ModelRegistered, Promoted

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

    from headset.core.clock import Clock
    from headset.core.ids import Ids
    from headset.events.log import Log, Record

CHAMPION = "champion"


class ModelVersion(Struct, frozen=True):
    """A registered version: how it was made, how good it was, and the aliases that point at it now."""

    model: str
    version: str
    registered: str
    aliases: list[str]
    made: ModelRegistered


class RegistryProjection:
    """Versions and aliases as tables."""

    name = "registry"
    version = 1

    def create(self, connection: sqlite3.Connection) -> None:
        """See :meth:`Projection.create`."""
        connection.execute(
            "CREATE TABLE versions (model TEXT, version TEXT, event_time INTEGER, payload BLOB,"
            " PRIMARY KEY (model, version))"
        )
        connection.execute(
            "CREATE TABLE aliases (model TEXT, alias TEXT, version TEXT, event_time INTEGER,"
            " PRIMARY KEY (model, alias))"
        )

    def apply(self, connection: sqlite3.Connection, records: Sequence[Record]) -> None:
        """See :meth:`Projection.apply`."""
        for record in records:
            event = record.event
            match event.payload:
                case ModelRegistered() as made:
                    connection.execute(
                        "INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?)",
                        (made.model, made.version, event.event_time, msgspec.json.encode(made)),
                    )
                case Promoted() as promoted:
                    connection.execute(
                        "INSERT INTO aliases VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET version = excluded.version,"
                        " event_time = excluded.event_time WHERE excluded.event_time >= event_time",
                        (promoted.model, promoted.alias, promoted.version, event.event_time),
                    )
                case _:
                    pass


class Registry:
    """Reads and extends the registry of one installation.

    Args:
        log: Where registrations and promotions are kept.
        projections: Folder of the projection files.
        models: Folder of the artifacts: ``<models>/<model>/<version>/``.
    """

    def __init__(self, log: Log, projections: Path, models: Path, clock: Clock, ids: Ids) -> None:
        self._log = log
        self._models = models
        self._clock = clock
        self._ids = ids
        self._projector = Projector(log, RegistryProjection(), projections / "registry.db")

    def register(self, made: ModelRegistered, artifact: Path) -> ModelVersion:
        """Take a copy of the folder ``artifact`` in as the next version; ``made.version`` is filled in here.

        Raises:
            StorageFailed: the files or the event could not be kept; nothing was registered.
        """
        taken = [int(known.version) for known in self.versions(made.model)]
        version = str(max(taken, default=0) + 1)
        place = self.artifact(made.model, version)
        partial = place.with_name(f".{version}.partial")
        try:
            for leftover in (partial, place):
                shutil.rmtree(leftover, ignore_errors=True)
            shutil.copytree(artifact, partial)
            partial.rename(place)
        except OSError as error:
            raise StorageFailed(
                f"the artifact could not be kept at {place} ({error}); nothing was registered"
            ) from error
        self._append(f"model:{made.model}", msgspec.structs.replace(made, version=version), "train")
        return self.get(made.model, version)

    def promote(self, model: str, version: str, alias: str, *, evidence: str) -> ModelVersion:
        """Point ``alias`` at a version, for the reason given.

        Raises:
            NotFound: there is no such version.
        """
        self.get(model, version)
        self._append(
            f"model:{model}", Promoted(model=model, version=version, alias=alias, evidence=evidence), "registry"
        )
        return self.get(model, version)

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """All versions, newest first, of one model or of all."""
        self._projector.catch_up()
        connection = self._projector.connection
        aliases: dict[tuple[str, str], list[str]] = {}
        for name, alias, version in connection.execute("SELECT model, alias, version FROM aliases ORDER BY alias"):
            aliases.setdefault((name, version), []).append(alias)
        rows = connection.execute(
            "SELECT model, version, event_time, payload FROM versions WHERE ? IS NULL OR model = ?"
            " ORDER BY model, CAST(version AS INTEGER) DESC",
            (model, model),
        )
        return [
            ModelVersion(
                name,
                version,
                iso(when),
                aliases.get((name, version), []),
                msgspec.json.decode(made, type=ModelRegistered),
            )
            for name, version, when, made in rows
        ]

    def get(self, model: str, version: str) -> ModelVersion:
        """One version, by number or alias.

        Raises:
            NotFound: there is none; the message lists what there is.
        """
        known = self.versions(model)
        for candidate in known:
            if version == candidate.version or version in candidate.aliases:
                return candidate
        there = ", ".join(candidate.version for candidate in known) or "none; train one with 'headset train'"
        raise NotFound("version", f"{model!r} has no version {version!r}; versions: {there}")

    def champion(self, model: str) -> ModelVersion | None:
        """The version that serves, if any."""
        return next((known for known in self.versions(model) if CHAMPION in known.aliases), None)

    def artifact(self, model: str, version: str) -> Path:
        """Folder of a version's files."""
        place = self._models / model / version
        place.parent.mkdir(parents=True, exist_ok=True)
        return place

    def close(self) -> None:
        """Release the projection."""
        self._projector.close()

    def _append(self, subject: str, payload: ModelRegistered | Promoted, source: str) -> None:
        event_id = (
            stable_id("model", payload.model, payload.version)
            if isinstance(payload, ModelRegistered)
            else self._ids.new()
        )
        self._log.append(
            [Event(event_id=event_id, event_time=self._clock.now(), subject=subject, source=source, payload=payload)]
        )
