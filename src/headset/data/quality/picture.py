"""Pictures of a data set for its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headset.page.document import Picture
from headset.page.picture import BLUE, GREEN, GREY, INK, ORANGE, RED, make_figure, png

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headset.data.quality.finding import Finding

_BARS_SHOWN = 40
_NAME_LENGTH = 42
_COLOURS = {"pass": GREEN, "warn": ORANGE, "fail": RED}


def draw_bars(counts: Mapping[str, float], caption: str, *, other: str = "the other {}") -> Picture:
    """Horizontal bars, the largest on top; past some forty, the rest is one bar."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ranked[:_BARS_SHOWN]
    if rest := ranked[_BARS_SHOWN:]:
        shown.append((other.format(len(rest)), sum(value for _, value in rest)))
    figure, axes = make_figure(8, 0.7 + 0.19 * len(shown))
    names = [_short(name) for name, _ in shown]
    places = np.arange(len(shown))
    axes.barh(places, [value for _, value in shown], color=[BLUE] * len(ranked[:_BARS_SHOWN]) + [GREY] * bool(rest))
    axes.set_yticks(places, names, parse_math=False)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return Picture(png(figure), caption)


def draw_lengths(lengths: Sequence[int], caption: str) -> Picture:
    """A histogram of lengths in characters, on a logarithmic axis."""
    figure, axes = make_figure(8, 2.4)
    longest = max(*lengths, 2)
    axes.hist(lengths, bins=np.geomspace(1, longest + 1, 50).tolist(), color=BLUE)
    axes.set_xscale("log")
    axes.set_xlabel("characters in a text", fontsize=8, color=INK)
    axes.set_ylabel("texts", fontsize=8, color=INK)
    axes.axvline(float(np.median(lengths)), color=INK, linewidth=1)
    return Picture(png(figure), caption)


def draw_days(days: Mapping[str, int], caption: str) -> Picture:
    """Texts by day; days without any are gaps."""
    figure, axes = make_figure(8, 2.2)
    moments = np.array(list(days), dtype="datetime64[D]")
    axes.bar(moments, list(days.values()), width=0.9, color=BLUE)
    axes.set_ylabel("texts", fontsize=8, color=INK)
    figure.autofmt_xdate(rotation=0, ha="center")
    return Picture(png(figure), caption)


def draw_findings(findings: Sequence[Finding], caption: str) -> Picture:
    """How near each check is to its limits: the value as a part of what fails, on one scale for all."""
    loads = [(each, _load(each)) for each in findings]
    # what only warns, whatever its value, stays before the line
    shown = [(each, load if each.mark == "fail" else min(load, 0.98)) for each, load in loads if load is not None]
    figure, axes = make_figure(8, 0.9 + 0.24 * len(shown))
    places = np.arange(len(shown))
    axes.barh(places, [min(load, 1.6) for _, load in shown], color=[_COLOURS[each.mark] for each, _ in shown])
    axes.axvline(1, color=RED, linewidth=1)
    axes.set_yticks(places, [each.check for each, _ in shown])
    for place, (each, load) in enumerate(shown):
        axes.text(min(load, 1.6) + 0.01, place, f"{each.mark} {each.value:.3g}", va="center", fontsize=7, color=INK)
    axes.set_xlim(0, 1.9)
    axes.set_xticks([0, 0.5, 1], ["0", "half", "fails"])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return Picture(png(figure), caption)


def _load(finding: Finding) -> float | None:
    """The value as a part of the limit it fails at; above 1 where it fails; None where there is no such part."""
    if finding.value is None:
        return None
    if finding.warn > finding.fail or finding.check == "labels":  # less is worse
        return finding.fail / finding.value if finding.value else 2.0
    if finding.fail == 0:
        return 2.0 if finding.value else 0.0
    return finding.value / finding.fail


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"
