"""The model registry: versions and aliases are a projection of the log; artifacts are folders beside it.

A version is registered once and never changes. What serves is whatever the alias ``champion`` points at,
and an alias moves only by a ``Promoted`` event that names its evidence.
"""

from __future__ import annotations

import math
import shutil
import sqlite3
from itertools import count
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headset.core.clock import iso
from headset.core.errors import InvalidInput, NotFound, StorageFailed
from headset.core.ids import stable_id
from headset.events.projection import Projector
from headset.events.schema import Event, GateEvaluated, ModelRegistered, Promoted, ValidationEnded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from uuid import UUID

    from headset.core.clock import Clock
    from headset.core.ids import Ids
    from headset.events.log import Log, Record

CHAMPION = "champion"
_MADE = msgspec.json.Decoder(ModelRegistered)  # made here: two threads must not be the first to decode a type


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
    types = ("ModelRegistered", "Promoted")

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

        Any number of trainings may register at once: each gets a version of its own. A number whose folder is
        there is never given again, also when a crash kept it from being registered.

        Raises:
            InvalidInput: a metric is not a finite number.
            StorageFailed: the files or the event could not be kept; nothing was registered.
        """
        for name, value in made.metrics.items():
            if not math.isfinite(value):
                raise InvalidInput(f"metrics.{name}", f"is {value}; leave out what could not be measured")
        taken = [int(known.version) for known in self.versions(made.model)]
        folder = self._models / made.model
        partial = folder / f".{self._ids.new()}.partial"
        try:
            shutil.copytree(artifact, partial)
            version = self._number(made, partial, first=max(taken, default=0) + 1)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise StorageFailed(
                f"the artifact could not be kept in {folder} ({error}); nothing was registered"
            ) from error
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

    def tell_validation(self, gates: Sequence[GateEvaluated], ended: ValidationEnded) -> None:
        """Keep what gates found of a version, together.

        Raises:
            StorageFailed: it could not be kept.
        """
        now = self._clock.now()
        told: list[GateEvaluated | ValidationEnded] = [*gates, ended]
        self._log.append(
            [
                Event(
                    event_id=self._ids.new(),
                    event_time=now,
                    subject=f"model:{payload.model}",
                    source="validate",
                    payload=payload,
                )
                for payload in told
            ]
        )

    def versions(self, model: str | None = None) -> list[ModelVersion]:
        """All versions, newest first, of one model or of all.

        Raises:
            StorageFailed: they cannot be read.
        """
        self._projector.catch_up()
        try:
            return _versions(self._projector.connection, model)
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise StorageFailed(
                f"the registry's projection cannot be read ({error}); delete it, it is rebuilt from the log"
            ) from error

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

    def _number(self, made: ModelRegistered, partial: Path, *, first: int) -> str:
        """Register ``made`` and the folder ``partial`` under the first number that is free."""
        numbers = count(first)
        while True:
            version = str(next(numbers))
            place = partial.with_name(version)
            if not _claim(place):
                continue
            partial.rename(place)  # takes the place of the empty folder, at once
            if self._is_ours(msgspec.structs.replace(made, version=version)):
                return version
            place.rename(partial)  # a registry with another folder of artifacts has this number

    def _is_ours(self, made: ModelRegistered) -> bool:
        """Append the event; False when the log says already that this version is another."""
        self._append(f"model:{made.model}", made, "train")
        record = self._log.get(_id_of(made))
        return record is not None and record.event.payload == made

    def _append(self, subject: str, payload: ModelRegistered | Promoted, source: str) -> None:
        event_id = _id_of(payload) if isinstance(payload, ModelRegistered) else self._ids.new()
        self._log.append(
            [Event(event_id=event_id, event_time=self._clock.now(), subject=subject, source=source, payload=payload)]
        )


def _id_of(made: ModelRegistered) -> UUID:
    return stable_id("model", made.model, made.version)


def _claim(place: Path) -> bool:
    """Make the folder ``place``; False when it is there."""
    try:
        place.mkdir()
    except FileExistsError:
        return False
    return True


def _versions(connection: sqlite3.Connection, model: str | None) -> list[ModelVersion]:
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
            _MADE.decode(made),
        )
        for name, version, when, made in rows
    ]
