"""From a definition, a data set, a model or a commit on to what depends on it: who breaks if this changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from headset.core.clock import iso
from headset.core.errors import InvalidInput, NotFound
from headset.features.fact import COLUMNS
from headset.monitoring.lineage.graph import Graph
from headset.monitoring.lineage.origin import add_model, add_version, add_view

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

    from headset.features.catalogue import AppliedVersion, Catalogue
    from headset.features.definition import FeatureService, FeatureView
    from headset.monitoring.lineage.graph import Lineage
    from headset.registry.store import ModelVersion, Registry

_SHORTEST_COMMIT = 7
_LISTED = 12


class _Made(NamedTuple):
    """What a model version made."""

    decisions: int
    last: int
    queues: list[str]


def trace_impact(
    name: str,
    *,
    catalogue: Catalogue,
    registry: Registry,
    decisions: duckdb.DuckDBPyConnection,
    risk_model: str = "risk",
) -> Lineage:
    """All that depends on something.

    Args:
        name: A view (``mood``), a feature (``mood.sentiment``), both perhaps with a version (``mood@3f2a…``), an event
            type, a data set, a model (``intent``) or its version (``intent@3``, ``intent@champion``), or a commit (its
            first 7 digits or more). Where the name says two things, put the kind before it: ``view:mood``.
        catalogue: The definitions of features.
        registry: The models.
        decisions: Has the view ``decisions``; see :meth:`~headset.feedback.table.DecisionTable.open`.
        risk_model: Name of the model that decisions asked for a risk.

    Raises:
        NotFound: nothing has this name; the message lists what there is.
        InvalidInput: several things have it.
        StorageFailed: the catalogue or the registry cannot be read.
    """
    return _Impact(catalogue, registry, _made(decisions, risk_model)).of(name)


class _Impact:
    def __init__(self, catalogue: Catalogue, registry: Registry, made: Mapping[tuple[str, str], _Made]) -> None:
        self._graph = Graph()
        self._registry = registry
        self._views = catalogue.view_versions()
        self._services = [service for service in catalogue.service_versions() if service.live]
        self._models = registry.versions()
        self._made = made

    def of(self, name: str) -> Lineage:
        kinds: dict[str, Callable[[str], str | None]] = {
            "view": self._view,
            "feature": self._feature,
            "event": self._event,
            "dataset": self._dataset,
            "model": self._model,
            "commit": self._commit,
        }
        given, colon, rest = name.partition(":")
        if colon and given in kinds:
            kinds, name = {given: kinds[given]}, rest
        found: dict[str, Lineage] = {}
        for kind, read in kinds.items():
            self._graph = Graph()
            root = read(name)
            if root is not None:
                found[kind] = self._graph.lineage(root)
        if not found:
            raise self._unknown(name)
        if len(found) > 1:
            choice = " or ".join(f"{kind}:{name}" for kind in found)
            raise InvalidInput("id", f"{name!r} is several things; say {choice}")
        (only,) = found.values()
        return only

    def _view(self, name: str) -> str | None:
        name, _, version = name.partition("@")
        views = [view for view in self._views if view.name == name and view.version.startswith(version)]
        if not views:
            return None
        root = self._graph.add("view", name, f"view {name}", name=name)
        for view in views:
            node = add_view(self._graph, view, source=(root, "version"))
            self._add_readers(node, self._given_by(view))
        return root

    def _feature(self, name: str) -> str | None:
        name, _, version = name.partition("@")
        versions = {
            given: known
            for view in reversed(self._views)
            for feature, given in self._given_by(view).items()
            if feature == name and given.startswith(version)
            for known in [view]
        }
        if not versions:
            return None
        root = self._graph.add("feature", name, f"feature {name}", name=name)
        for given, view in versions.items():
            label = f"{name}, version {given}" + ("" if view.live else " (removed)")
            node = self._graph.add("feature", f"{name}@{given}", label, source=(root, "version"), version=given)
            self._add_readers(node, {name: given})
        return root

    def _event(self, name: str) -> str | None:
        if name not in COLUMNS:
            return None
        root = self._graph.add("event", name, f"events of type {name}", name=name)
        for view in self._views:
            read = view.definition and {view.definition.event, *(one.event for one in view.definition.markers)}
            if read and name in read:
                node = add_view(self._graph, view, source=(root, "folded by"))
                self._add_readers(node, self._given_by(view))
        return root

    def _dataset(self, name: str) -> str | None:
        learned = [known for known in self._models if known.made.dataset == name]
        if not learned:
            return None
        root = self._graph.add("dataset", name, f"data set {name}", name=name)
        for known in learned:
            self._add_model(known, (root, "taught"))
        return root

    def _model(self, name: str) -> str | None:
        name, _, version = name.partition("@")
        versions = [
            known
            for known in self._models
            if known.model == name and (not version or version == known.version or version in known.aliases)
        ]
        if not versions:
            return None
        if version:
            (known,) = versions
            node = add_model(self._graph, self._registry, self._views, name, known.version, source=None)
            self._add_made(node, known)
            return node
        root = self._graph.add("model", name, f"model {name}", model=name)
        for known in versions:
            self._add_model(known, (root, "version"))
        return root

    def _commit(self, name: str) -> str | None:
        if len(name) < _SHORTEST_COMMIT:
            return None
        models = [known for known in self._models if known.made.commit.startswith(name)]
        views = [view for view in self._views if view.commit.startswith(name)]
        services = [service for service in self._services if service.commit.startswith(name)]
        if not (models or views or services):
            return None
        root = self._graph.add("commit", name, f"commit {name}", commit=name)
        for view in views:
            node = add_view(self._graph, view, source=(root, "defined"))
            self._add_readers(node, self._given_by(view))
        for service in services:
            node = self._add_service(service, (root, "defined"), {})
            for known in self._models:
                if known.made.feature_service == service.name:
                    self._add_model(known, (node, "read by"))
        for known in models:
            self._add_model(known, (root, "trained"))
        return root

    @staticmethod
    def _given_by(view: AppliedVersion[FeatureView]) -> dict[str, str]:
        versions = view.definition.versions if view.definition else {}
        return {f"{view.name}.{feature}": version for feature, version in versions.items()}

    def _add_readers(self, node: str, features: dict[str, str]) -> None:
        """Services and models that read any of ``features`` in this version."""
        services = {}
        for service in self._services:
            if service.definition and features.items() & service.definition.stored.items():
                services[service.name] = self._add_service(service, (node, "read by"), features)
        for known in self._models:
            if known.made.features.items() & features.items():
                self._add_model(known, (services.get(known.made.feature_service, node), "read by"))

    def _add_service(
        self, service: AppliedVersion[FeatureService], source: tuple[str, str], features: Mapping[str, str]
    ) -> str:
        definition = service.definition
        node = self._graph.add(
            "service",
            service.name,
            f"feature service {service.name}",
            source=source,
            name=service.name,
            version=service.version,
            owner=definition and definition.owner,
            description=definition and definition.description,
            applied=service.when,
            commit=service.commit,
        )
        for one in definition.on_demand if definition else ():
            touched = sorted(set(one.columns) & set(features))
            if touched:
                name = f"on_demand.{one.name}"
                self._graph.add("feature", name, name, source=(node, "computes"), made_of=touched)
        return node

    def _add_model(self, known: ModelVersion, source: tuple[str, str]) -> None:
        self._add_made(add_version(self._graph, known, source=source), known)

    def _add_made(self, node: str, known: ModelVersion) -> None:
        made = self._made.get((known.model, known.version))
        if made is None:
            return
        decisions = self._graph.add(
            "decisions",
            f"{known.model}@{known.version}",
            f"{made.decisions:,} decisions, the last at {iso(made.last)}",
            source=(node, "made"),
            count=made.decisions,
            last=iso(made.last),
            queues=made.queues,
        )
        for queue in made.queues:
            self._graph.add("queue", queue, f"queue {queue}", source=(decisions, "in"))

    def _unknown(self, name: str) -> NotFound:
        known = {
            "views": {view.name for view in self._views},
            "data sets": {model.made.dataset for model in self._models},
            "models": {model.model for model in self._models},
        }
        there = "; ".join(f"{kind}: {', '.join(sorted(names)[:_LISTED]) or 'none'}" for kind, names in known.items())
        return NotFound(
            "id",
            f"{name[:60]!r} is no decision id (a UUID), view, view.feature, event type, data set, model, model@version"
            f" or commit on record; {there}",
        )


def _made(decisions: duckdb.DuckDBPyConnection, risk_model: str) -> dict[tuple[str, str], _Made]:
    """What each model version made, in the decision record; a decision counts for the risk model that was asked too."""
    rows = decisions.execute(
        "SELECT model, model_version, count(*), epoch_us(max(event_time)),"
        " list_sort(list(DISTINCT queue) FILTER (WHERE queue IS NOT NULL))"
        " FROM (SELECT model, model_version, event_time, queue FROM decisions UNION ALL"
        " SELECT ?, risk_version, event_time, queue FROM decisions WHERE risk_version IS NOT NULL) GROUP BY ALL",
        [risk_model],
    ).fetchall()
    return {(model, version): _Made(count, last, queues or []) for model, version, count, last, queues in rows}
