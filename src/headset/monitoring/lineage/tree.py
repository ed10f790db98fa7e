"""A lineage as a tree for the terminal."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from rich.text import Text
from rich.tree import Tree

if TYPE_CHECKING:
    from headset.monitoring.lineage.graph import Edge, Lineage, Node

_SHOWN = ("reason", "time", "artifact_sha256", "run_id", "seed", "fingerprint", "position", "event_id", "owner")


def render(lineage: Lineage) -> Tree:
    """Draw it from the root; what was drawn once is named again, but not what lies behind it."""
    nodes = {node.id: node for node in lineage.nodes}
    edges: dict[str, list[Edge]] = defaultdict(list)
    for edge in lineage.edges:
        edges[edge.source].append(edge)
    tree = Tree(_line("", nodes[lineage.root], again=False))
    waiting = [(tree, lineage.root)]
    drawn = {lineage.root}
    while waiting:
        branch, source = waiting.pop()
        for edge in edges[source]:
            again = edge.target in drawn
            grown = branch.add(_line(edge.relation, nodes[edge.target], again=again))
            if not again:
                drawn.add(edge.target)
                waiting.append((grown, edge.target))
    return tree


def _line(relation: str, node: Node, *, again: bool) -> Text:
    line = Text(f"{relation} " if relation else "", style="dim")
    line.append(node.label, style="")
    if again:
        return line.append(" (above)", style="dim") if node.kind not in {"commit", "queue", "feature"} else line
    told = [f"{name} {_short(node.details[name])}" for name in _SHOWN if name in node.details]
    if told:
        line.append(f"  {', '.join(told)}", style="dim")
    if problem := node.details.get("problem"):
        line.append(f"  {problem}", style="yellow")
    return line


def _short(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) == 64 else text
