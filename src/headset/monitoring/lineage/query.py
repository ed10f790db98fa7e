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
    from headset.monitoring.lineage.graph import Lineage
    from headset.registry.store import Registry


def trace(
    name: str,
    *,
    log: Log,
    registry: Registry,
    decisions: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
    limit: int = 20,
) -> Lineage:
    """The lineage of a decision, by its id; of anything else that has a name, what depends on it.

    A model version has both: what it was made of, and what it made.

    Args:
        name: A decision id, or what :func:`~headset.monitoring.lineage.impact.trace_impact` takes.
        log: The log.
        registry: The models.
        decisions: Opens the decision record; called only where it is needed.
        limit: How many ids of source events are named for each view.

    Raises:
        NotFound: nothing has this id or name.
        InvalidInput: several things have this name.
        StorageFailed: the log, the registry or the record cannot be read.
    """
    bare = name.removeprefix("decision:")
    if bare != name or _is_uuid(bare):
        return trace_decision(bare, log=log, registry=registry, limit=limit)
    with decisions() as connection:
        return trace_impact(name, log=log, registry=registry, decisions=connection)


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
