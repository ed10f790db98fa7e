"""Two versions side by side: what they measure, by segment as well, and what gates found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headset.registry.card import ModelCard


class Figure(Struct, frozen=True):
    """One figure of both; None where a version does not have it."""

    name: str
    first: float | None
    second: float | None
    difference: float | None


class GateResults(Struct, frozen=True):
    """How both stand at one gate; None where it was not evaluated."""

    gate: str
    first: str | None
    second: str | None


class Comparison(Struct, frozen=True):
    """Version ``second`` beside version ``first``; differences are second minus first."""

    model: str
    first: str
    second: str
    gates: list[GateResults]
    metrics: list[Figure]
    segments: list[Figure]


def compare(first: ModelCard, second: ModelCard) -> Comparison:
    """Two versions of one model beside each other, from their cards."""
    mine, other = ({gate.gate: str(gate.result) for gate in card.gates} for card in (first, second))
    return Comparison(
        model=first.model,
        first=first.version,
        second=second.version,
        gates=[GateResults(gate, mine.get(gate), other.get(gate)) for gate in dict.fromkeys((*mine, *other))],
        metrics=_figures(first.metrics, second.metrics),
        segments=_figures(first.segments, second.segments),
    )


def _figures(first: Mapping[str, float], second: Mapping[str, float]) -> list[Figure]:
    told = []
    for name in dict.fromkeys((*first, *second)):
        mine, other = first.get(name), second.get(name)
        told.append(Figure(name, mine, other, None if mine is None or other is None else other - mine))
    return told
