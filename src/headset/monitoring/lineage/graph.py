"""Lineage as a graph: things that have a version or a moment, and how one leads to the next."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Kind = Literal[
    "decision",
    "turn",
    "model",
    "run",
    "dataset",
    "commit",
    "service",
    "view",
    "feature",
    "signal",
    "events",
    "event",
    "decisions",
    "queue",
]


class Node(Struct, frozen=True):
    """One thing.

    Attributes:
        kind: What it is.
        id: ``kind:name``, unique in the graph; ids of models, views, features, data sets, commits and event types can
            be asked for in turn.
        label: One line for people.
        details: What is known of it, as JSON values; times are ISO 8601. ``problem`` says what is not known, and why.
    """

    kind: Kind
    id: str
    label: str
    details: dict[str, Any] = {}


class Edge(Struct, frozen=True):
    """``target`` is what ``source`` was made from, or what is made from it; ``relation`` says which."""

    source: str
    target: str
    relation: str


class Lineage(Struct, frozen=True):
    """What can be reached from ``root``; all edges lead away from it."""

    root: str
    nodes: list[Node]
    edges: list[Edge]

    def node(self, node_id: str) -> Node:
        """The node of this id.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)

    def of(self, kind: Kind) -> list[Node]:
        """All nodes of a kind, in order of discovery."""
        return [node for node in self.nodes if node.kind == kind]

    def targets(self, node_id: str, kind: Kind) -> list[Node]:
        """The nodes of a kind that edges from a node lead to."""
        reached = {edge.target for edge in self.edges if edge.source == node_id}
        return [node for node in self.of(kind) if node.id in reached]


class Graph:
    """A lineage in the making: each node and edge once.

    >>> graph = Graph()
    >>> model = graph.add("model", "intent@3", "intent 3")
    >>> graph.add("dataset", "bank", "bank", source=(model, "learned from"), fingerprint="ab12")
    'dataset:bank'
    >>> [(edge.source, edge.relation, edge.target) for edge in graph.lineage(model).edges]
    [('model:intent@3', 'learned from', 'dataset:bank')]
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[Edge, None] = {}

    def add(
        self,
        kind: Kind,
        name: str,
        label: str,
        /,
        *,
        source: tuple[str, str] | None = None,
        **details: Any,  # noqa: ANN401 - JSON values
    ) -> str:
        """A node, and the edge from ``source`` (node id, relation) to it; gives the node's id.

        Details that are None or empty are left out. A node that is there stays as it is.
        """
        node_id = f"{kind}:{name}"
        known = {key: value for key, value in details.items() if value not in (None, "", [], {})}
        self._nodes.setdefault(node_id, Node(kind, node_id, label, known))
        if source is not None:
            self._edges.setdefault(Edge(source[0], node_id, source[1]))
        return node_id

    def lineage(self, root: str) -> Lineage:
        """The whole."""
        return Lineage(root, list(self._nodes.values()), list(self._edges))
