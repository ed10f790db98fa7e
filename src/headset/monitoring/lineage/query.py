"""One question for all lineage: an id or a name in, a graph out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from headset.monitoring.lineage.impact import trace_impact
from headset.monitoring.lineage.trace import trace_decision

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    import duckdb

    from headset.events.log import Log
    from headset.features.catalogue import Catalogue
    from headset.monitoring.lineage.graph import Lineage
    from headset.registry.store import Registry


def trace(
    name: str,
    *,
    log: Log,
    catalogue: Catalogue,
    registry: Registry,
    decisions: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
    risk_model: str = "risk",
    limit: int = 20,
) -> Lineage:
    """The lineage of a decision, by its id; of anything else that has a name, what depends on it.

    A model version has both: what it was made of, and what it made.

    Args:
        name: A decision id, or what :func:`~headset.monitoring.lineage.impact.trace_impact` takes.
        log: The log.
        catalogue: The definitions of features.
        registry: The models.
        decisions: Opens the decision record; called only where it is needed.
        risk_model: Name of the model that decisions asked for a risk.
        limit: How many ids of source events are named for each view.

    Raises:
        NotFound: nothing has this id or name.
        InvalidInput: several things have this name.
        StorageFailed: the log, the registry or the record cannot be read.
    """
    bare = name.removeprefix("decision:")
    if bare != name or _is_uuid(bare):
        return trace_decision(bare, log=log, catalogue=catalogue, registry=registry, risk_model=risk_model, limit=limit)
    with decisions() as connection:
        return trace_impact(name, catalogue=catalogue, registry=registry, decisions=connection, risk_model=risk_model)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
