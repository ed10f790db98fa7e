"""Pictures of the report: figures with their intervals, and lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headset.page.picture import BLUE, GREEN, GREY, INK, ORANGE, RED, make_figure, png

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headset.events.schema import GateResult

Interval = tuple[str, float, float, float, "GateResult"]
"""A name, a value, its bounds, and how it stands."""

COLOURS: dict[GateResult, str] = {"pass": GREEN, "fail": RED, "inconclusive": ORANGE}
_MARKERS: dict[GateResult, str] = {"pass": "o", "fail": "X", "inconclusive": "D"}
_NAME = 44


def draw_intervals(
    intervals: Sequence[Interval],
    *,
    axis: str,
    limit: float | None = None,
    limits: Sequence[float | None] = (),
    zero: bool = False,
) -> bytes:
    """Each value as a point with its interval, and its limit as a dashed line.

    Args:
        intervals: From top to bottom.
        axis: What the numbers are.
        limit: Of all of them.
        limits: Of each, where they differ.
        zero: Draw a line at 0.
    """
    figure, axes = make_figure(height=0.9 + 0.3 * len(intervals))
    for row, (_, value, low, high, result) in enumerate(intervals):
        axes.plot([low, high], [row, row], color=COLOURS[result], linewidth=2.5, solid_capstyle="round")
        axes.plot(value, row, _MARKERS[result], color=COLOURS[result], markersize=7)
    own = [limit] * len(intervals) if limit is not None else [*limits, *[None] * len(intervals)]
    for row, bound in zip(range(len(intervals)), own, strict=False):
        if bound is not None:
            axes.plot([bound, bound], [row - 0.4, row + 0.4], color=INK, linestyle=(0, (2, 1.5)), linewidth=1.4)
    if zero:
        axes.axvline(0, color=GREY, linewidth=0.8)
    names = [name if len(name) <= _NAME else f"{name[: _NAME - 1]}…" for name, *_ in intervals]
    axes.set_yticks(range(len(intervals)), names, parse_math=False)
    axes.set_ylim(len(intervals) - 0.4, -0.6)
    axes.set_xlabel(axis, fontsize=8)
    axes.margins(x=0.08)
    return png(figure)


def draw_reliability(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], threshold: float, *, bins: int = 15
) -> bytes:
    """Share of right answers by confidence, over how many answers have it; a perfect model is on the diagonal."""
    figure, axes = make_figure(width=6, height=4.2)
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    seen = counts > 0
    sure = np.bincount(place, confidence, bins)[seen] / counts[seen]
    share = np.bincount(place, right, bins)[seen] / counts[seen]
    axes.bar((np.arange(bins) + 0.5) / bins, counts / counts.sum(), 0.9 / bins, color="0.88", label="share of texts")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=":", label="perfect")
    axes.plot(sure, share, "o-", color=BLUE, markersize=4, label="right answers")
    if threshold <= 1:
        axes.axvline(threshold, color=INK, linestyle=(0, (2, 1.5)), linewidth=1.4, label="answers alone from here")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("confidence", fontsize=8)
    axes.set_ylabel("share", fontsize=8)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    return png(figure)


def draw_scores(inside: NDArray[np.float64], outside: dict[str, NDArray[np.float64]]) -> bytes:
    """How texts in scope and out of scope score: cumulative shares, apart where the model tells them apart."""
    figure, axes = make_figure()
    styles = ("-", "--", "-.", ":")
    for place, (name, scores) in enumerate({"in scope": inside, **outside}.items()):
        colour = BLUE if place == 0 else RED
        axes.step(
            np.sort(scores),
            np.arange(1, len(scores) + 1) / len(scores),
            color=colour,
            linestyle=styles[max(place - 1, 0) % len(styles)],
            label=name,
        )
    axes.set_xlabel("how well a text fits any intent", fontsize=8)
    axes.set_ylabel("share of texts at or below", fontsize=8)
    axes.legend(fontsize=8, frameon=False)
    return png(figure)
