"""What things were made from, as parts of a graph: models from runs, features from views, definitions from commits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headset.features.catalogue import AppliedVersion
    from headset.features.definition import FeatureView
    from headset.monitoring.lineage.graph import Graph
    from headset.registry.store import ModelVersion, Registry

    Views = Sequence[AppliedVersion[FeatureView]]


def add_model(
    graph: Graph, registry: Registry, views: Views, model: str, version: str, *, source: tuple[str, str] | None
) -> str:
    """A model version with the run that made it, and what this read; gives the node's id."""
    try:
        known = registry.get(model, version)
    except NotFound as error:
        return graph.add(
            "model", f"{model}@{version}", f"{model} {version}", source=source, problem=f"not registered: {error}"
        )
    node = add_version(graph, known, source=source)
    made = known.made
    run = graph.add(
        "run",
        made.run_id or f"{model}@{known.version}",
        f"training of {known.registered}",
        source=(node, "trained in"),
        run_id=made.run_id,
        seed=made.seed,
        ended=known.registered,
        features=made.features,
    )
    graph.add(
        "dataset",
        made.dataset,
        f"data set {made.dataset}",
        source=(run, "learned from"),
        fingerprint=made.data_fingerprint,
        position=made.data_position,
    )
    add_commit(graph, made.commit, source=(run, "code of"))
    if made.feature_service:
        graph.add(
            "service", made.feature_service, f"feature service {made.feature_service}", source=(run, "read features of")
        )
    add_features(graph, views, made.features, source=(run, "read"))
    return node


def add_version(graph: Graph, known: ModelVersion, *, source: tuple[str, str] | None) -> str:
    """A registered model version."""
    made = known.made
    return graph.add(
        "model",
        f"{known.model}@{known.version}",
        f"{known.model} {known.version}" + (f" ({', '.join(known.aliases)})" if known.aliases else ""),
        source=source,
        model=known.model,
        version=known.version,
        registered=known.registered,
        aliases=known.aliases,
        artifact_sha256=made.artifact_sha256,
        encoder_version=made.encoder_version,
        metrics=made.metrics,
    )


def add_features(
    graph: Graph, views: Views, versions: Mapping[str, str], *, source: tuple[str, str]
) -> dict[str, AppliedVersion[FeatureView]]:
    """Features by ``view.feature`` under their views, and signals; gives the views on record by node id."""
    found = {}
    by_view: dict[str, dict[str, str]] = {}
    for name, version in versions.items():
        view, _, feature = name.rpartition(".")
        if not view:
            graph.add("signal", f"{name}@{version}", f"{name}, computed by {version}", source=source, version=version)
        else:
            by_view.setdefault(view, {})[feature] = version
    for name, features in by_view.items():
        known = _giving(views, name, features)
        node = _add_view(graph, name, known, source)
        if known is not None:
            found[node] = known
        for feature, version in features.items():
            label = f"{name}.{feature}, version {version}"
            graph.add("feature", f"{name}.{feature}@{version}", label, source=(node, "gave"), version=version)
    return found


def add_view(graph: Graph, known: AppliedVersion[FeatureView], *, source: tuple[str, str] | None) -> str:
    """A view as it was applied, without the code it came from."""
    view = known.definition
    return graph.add(
        "view",
        f"{known.name}@{known.version}",
        f"view {known.name}, version {known.version}" + ("" if known.live else " (removed)"),
        source=source,
        name=known.name,
        version=known.version,
        live=known.live,
        applied=known.when,
        commit=known.commit,
        owner=view and view.owner,
        description=view and view.description,
        entity=view and view.entity,
        event=view and view.event,
        kinds=view and view.kinds,
        problem=None if view else "this Headset cannot read its definition",
    )


def add_commit(graph: Graph, commit: str, *, source: tuple[str, str] | None) -> None:
    """A commit, where one is known."""
    if commit:
        graph.add("commit", commit, f"commit {commit[:12]}", source=source, commit=commit)


def _add_view(graph: Graph, name: str, known: AppliedVersion[FeatureView] | None, source: tuple[str, str]) -> str:
    if known is not None:
        node = add_view(graph, known, source=source)
        add_commit(graph, known.commit, source=(node, "defined in"))
        return node
    if name == "on_demand":
        return graph.add("view", name, "computed on demand, from the request", source=source, name=name)
    return graph.add(
        "view", name, f"view {name}", source=source, name=name, problem="no definition on record gives these versions"
    )


def _giving(views: Views, name: str, features: Mapping[str, str]) -> AppliedVersion[FeatureView] | None:
    """The view ``name`` that gives ``features`` in these versions: a live one, else the one applied last."""
    giving = [
        view
        for view in views
        if view.name == name and view.definition and features.items() <= view.definition.versions.items()
    ]
    return next((view for view in giving if view.live), giving[0] if giving else None)
