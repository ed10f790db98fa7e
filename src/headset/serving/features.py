"""Features over HTTP: what is declared, and the values of one entity now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import msgspec
import numpy as np

from headset.core.clock import iso
from headset.core.errors import NotFound, Overloaded
from headset.features.definition import FeatureService
from headset.features.fact import Entity
from headset.features.store import FeatureRequest

if TYPE_CHECKING:
    from headset.core.clock import Clock
    from headset.features.catalogue import Catalogue
    from headset.features.definition import FeatureView
    from headset.features.store import OnlineStore


class FeatureAnswers:
    """Answers what people and programs ask about features.

    Args:
        catalogue: What is declared.
        store: The values.
        clock: Says when now is.
    """

    def __init__(self, catalogue: Catalogue, store: OnlineStore, clock: Clock) -> None:
        self._catalogue = catalogue
        self._store = store
        self._clock = clock
        self._asked: dict[str, FeatureService] = {}

    def declared(self) -> dict[str, Any]:
        """All live views and services, with their versions."""
        return {
            "views": [describe(view) for view in self._catalogue.views()],
            "services": [
                {
                    "name": service.name,
                    "version": service.version,
                    "owner": service.owner,
                    "description": service.description,
                    "features": service.versions,
                }
                for service in self._catalogue.services()
            ],
        }

    def view(self, name: str) -> dict[str, Any]:
        """One live view, whole.

        Raises:
            NotFound: there is none of that name.
        """
        view = self._catalogue.view(name)
        return describe(view) | {"definition": msgspec.to_builtins(view)}

    def values(self, entity: str, key: str, *, vectors: bool) -> dict[str, Any]:
        """The values of all live views about one entity now; ``unknown`` names the views that give defaults.

        Args:
            entity: A kind of entity.
            key: Which one.
            vectors: Whether vectors are wanted as well; without, only their lengths are told.

        Raises:
            NotFound: there is no such kind of entity, or no view about it.
            Overloaded: the store cannot answer now.
        """
        kinds = get_args(Entity)
        if entity not in kinds:
            raise NotFound("entity", f"{entity!r} is none of {', '.join(kinds)}")
        newest: dict[str, FeatureView] = {}
        for view in self._catalogue.views():
            if view.entity == entity:
                newest.setdefault(view.name, view)
        if not newest:
            raise NotFound("entity", f"no live view is about a {entity}; see 'headset features list'")
        service = FeatureService(name="asked", views=tuple(newest.values()), owner="", description="")
        if entity in self._asked and self._asked[entity].version == service.version:
            service = self._asked[entity]  # stores remember what a service read lately
        self._asked[entity] = service
        now = self._clock.now()
        (row,) = self._store.read(service, [FeatureRequest({entity: key}, now)])  # type: ignore[dict-item]
        if row.problem:
            raise Overloaded(row.problem, retry_after_s=5)
        return {
            "entity": entity,
            "key": key,
            "as_of": iso(now),
            "position": row.position,
            "unknown": list(row.unknown),
            "versions": service.versions,
            "values": {name: _shown(value, vectors=vectors) for name, value in row.values.items()},
        }


def describe(view: FeatureView) -> dict[str, Any]:
    """A view as it is listed."""
    return {
        "name": view.name,
        "version": view.version,
        "entity": view.entity,
        "event": view.event,
        "owner": view.owner,
        "description": view.description,
        "freshness": view.freshness,
        "features": {
            feature.name: {"version": view.versions[feature.name], "description": feature.description}
            for feature in view.features
        },
    }


def _shown(value: Any, *, vectors: bool) -> Any:  # noqa: ANN401 - the value of any feature
    if isinstance(value, np.ndarray):
        return value.tolist() if vectors else {"numbers": len(value)}
    return value
