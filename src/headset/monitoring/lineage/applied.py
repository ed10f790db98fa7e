"""Definitions of features on record: what was applied when, from which commit, and what is still live."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec
from msgspec import Struct

from headset.core.clock import iso
from headset.core.errors import HeadsetError
from headset.events.schema import (
    FeatureServiceApplied,
    FeatureServiceRemoved,
    FeatureViewApplied,
    FeatureViewRemoved,
)
from headset.features.definition import FeatureService, FeatureView
from headset.features.served import SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from headset.events.log import Log, Record

    Definition = TypeVar("Definition", FeatureView, FeatureService)

_PAGE = 1_000
_TYPES = ("FeatureViewApplied", "FeatureViewRemoved", "FeatureServiceApplied", "FeatureServiceRemoved")


class AppliedView(Struct, frozen=True):
    """A version of a view; ``definition`` is None where this Headset cannot read it."""

    name: str
    version: str
    commit: str
    applied: str
    live: bool
    definition: FeatureView | None


class AppliedService(Struct, frozen=True):
    """The newest definition of a service; None where this Headset cannot read it."""

    name: str
    version: str
    commit: str
    applied: str
    definition: FeatureService | None


class Applied(Struct, frozen=True):
    """All versions of views ever applied, the newest first, and the services that are live.

    ``definitions`` holds all versions of services ever applied, by name and version.
    """

    views: list[AppliedView]
    services: list[AppliedService]
    definitions: dict[tuple[str, str], FeatureService] = {}

    def read(self, versions: Mapping[str, str]) -> dict[str, str]:
        """What a decision says it read, with each feature of a service in place of the service."""
        found: dict[str, str] = {}
        for name, version in versions.items():
            service = self.definitions.get((name.removeprefix(SERVICE), version))
            found |= {name: version} if service is None else service.versions
        return found

    def view(self, name: str, features: Mapping[str, str]) -> AppliedView | None:
        """The view ``name`` that gives ``features`` in these versions: a live one, else the newest."""
        giving = [
            view
            for view in self.views
            if view.name == name and view.definition and features.items() <= view.definition.versions.items()
        ]
        return next((view for view in giving if view.live), giving[0] if giving else None)


def read_applied(log: Log) -> Applied:
    """What the log says of definitions.

    Raises:
        StorageFailed: the log cannot be read.
    """
    views: dict[tuple[str, str], AppliedView] = {}
    services: dict[str, AppliedService] = {}
    definitions: dict[tuple[str, str], FeatureService] = {}
    for record in _records(log):
        payload, applied = record.event.payload, iso(record.event.event_time)
        match payload:
            case FeatureViewApplied(name=name, version=version, commit=commit):
                view = _decoded(payload.definition, FeatureView)
                views.pop((name, version), None)
                views[name, version] = AppliedView(name, version, commit, applied, live=True, definition=view)
            case FeatureViewRemoved(name=name, version=version) if (name, version) in views:
                views[name, version] = msgspec.structs.replace(views[name, version], live=False)
            case FeatureServiceApplied(name=name, version=version, commit=commit):
                service = _decoded(payload.definition, FeatureService)
                services[name] = AppliedService(name, version, commit, applied, service)
                if service is not None:
                    definitions[name, version] = service
            case FeatureServiceRemoved(name=name):
                services.pop(name, None)
            case _:
                pass
    return Applied(list(reversed(views.values())), list(services.values()), definitions)


def _records(log: Log) -> Iterator[Record]:
    after = 0
    while page := log.read(after, _PAGE, types=_TYPES):
        yield from page
        after = page[-1].offset


def _decoded(definition: str, kind: type[Definition]) -> Definition | None:
    try:
        return msgspec.json.decode(definition, type=kind)
    except (msgspec.DecodeError, HeadsetError):
        return None
