"""Pictures of a search: how the best came about, what each field does, which fields matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headset.page.picture import BLUE, GREEN, GREY, INK, ORANGE, RED, bare, make_figure, png
from headset.training.search.run import best_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from headset.training.search.study import Trial

_COLOURS = {"complete": BLUE, "pruned": ORANGE, "failed": RED}
_MARKERS = {"complete": "o", "pruned": "x", "failed": "v"}
_COLUMNS = 3


def draw_history(trials: Sequence[Trial], metric: str, *, higher_is_better: bool) -> bytes:
    """Every trial in its order, and the best so far."""
    figure, axes = make_figure()
    _scatter(axes, [(trial, float(trial.number)) for trial in trials])
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    if complete:
        keep = np.maximum if higher_is_better else np.minimum
        best = keep.accumulate([trial.value or 0.0 for trial in complete])
        numbers = [trial.number for trial in complete]
        axes.step([*numbers, trials[-1].number], [*best, best[-1]], where="post", color=GREEN, label="best so far")
    axes.set_xlabel("trial", fontsize=8, color=INK)
    axes.set_ylabel(metric, fontsize=8, color=INK)
    axes.legend(frameon=False, fontsize=8)
    return png(figure)


def draw_slices(trials: Sequence[Trial], metric: str) -> bytes:
    """Every field that varies, against the metric."""
    fields = _fields(trials)
    lines = -(-len(fields) // _COLUMNS)
    figure, first = make_figure(8.0, 2.6 * lines)
    first.remove()
    for place, name in enumerate(fields):
        axes = figure.add_subplot(lines, min(_COLUMNS, len(fields)), place + 1)
        bare(axes)
        seen = [trial for trial in trials if name in trial.drawn]
        if _numeric(seen, name):
            _scatter(axes, [(trial, float(trial.drawn[name])) for trial in seen])
            if _spread(seen, name):
                axes.set_xscale("log")
        else:
            choices = sorted({str(trial.drawn[name]) for trial in seen})
            _scatter(axes, [(trial, float(choices.index(str(trial.drawn[name])))) for trial in seen])
            axes.set_xticks(range(len(choices)), choices)
            axes.set_xlim(-0.5, len(choices) - 0.5)
        axes.set_xlabel(name, fontsize=8, color=INK)
        if place % _COLUMNS == 0:
            axes.set_ylabel(metric, fontsize=8, color=INK)
    return png(figure)


def draw_parallel(trials: Sequence[Trial], metric: str, *, higher_is_better: bool) -> bytes:
    """Complete trials as lines through their values; the darker, the better, the best in green."""
    fields = _fields(trials)
    complete = [trial for trial in trials if trial.state == "complete" and all(name in trial.drawn for name in fields)]
    figure, axes = make_figure(8.0, 3.6)
    columns = [_places(complete, name) for name in fields]
    values = np.array([trial.value or 0.0 for trial in complete])
    columns.append((_unit(values), [(0.0, f"{values.min():.3f}"), (1.0, f"{values.max():.3f}")]))
    rank = np.argsort(np.argsort(values if higher_is_better else -values)) / max(len(values) - 1, 1)
    best = best_of(list(complete), higher_is_better=higher_is_better)
    for place in np.argsort(rank):
        chosen = best is not None and complete[place].number == best.number
        colour, alpha = (GREEN, 1.0) if chosen else (BLUE, 0.1 + 0.5 * float(rank[place]))
        heights = [places[place] for places, _ in columns]
        axes.plot(range(len(columns)), heights, color=colour, alpha=alpha, linewidth=2.2 if chosen else 1.0)
    for column, (_, ticks) in enumerate(columns):
        axes.axvline(column, color=GREY, linewidth=0.8)
        for height, said in ticks:
            axes.annotate(said, (column, height), xytext=(4, 0), textcoords="offset points", fontsize=7, color=INK)
    axes.set_xticks(range(len(columns)), [*fields, metric], fontsize=8)
    axes.set_xlim(-0.2, len(columns) - 0.6)
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[["left", "bottom"]].set_visible(False)
    return png(figure)


def draw_importance(importance: dict[str, float]) -> bytes:
    """The share of the metric's variance that each field explains."""
    ranked = sorted(importance.items(), key=lambda each: each[1])
    figure, axes = make_figure(8.0, 0.9 + 0.35 * len(ranked))
    bars = axes.barh([name for name, _ in ranked], [share for _, share in ranked], color=BLUE, height=0.6)
    axes.bar_label(bars, [f" {share:.0%}" for _, share in ranked], fontsize=8, color=INK)
    axes.set_xlim(0, 1.08 * max(*(share for _, share in ranked), 0.01))
    axes.set_xlabel("share of the variance explained (fANOVA)", fontsize=8, color=INK)
    axes.grid(visible=False, axis="y")
    return png(figure)


def _scatter(axes: Axes, points: Sequence[tuple[Trial, float]]) -> None:
    for state, colour in _COLOURS.items():
        some = [(place, trial.value) for trial, place in points if trial.state == state and trial.value is not None]
        if some:
            places, values = zip(*some, strict=True)
            axes.scatter(places, values, s=18, color=colour, marker=_MARKERS[state], label=state, linewidths=1)


def _fields(trials: Sequence[Trial]) -> list[str]:
    return list(dict.fromkeys(name for trial in trials for name in trial.drawn))


def _numeric(trials: Sequence[Trial], name: str) -> bool:
    return all(isinstance(trial.drawn[name], int | float) for trial in trials)


def _spread(trials: Sequence[Trial], name: str) -> bool:
    """Whether numbers lie so far apart that their logarithms say more."""
    values = [float(trial.drawn[name]) for trial in trials]
    return min(values) > 0 and max(values) > 10 * min(values)


def _places(trials: Sequence[Trial], name: str) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Heights from 0 to 1, and what to write beside the axis."""
    if _numeric(trials, name):
        values = np.array([float(trial.drawn[name]) for trial in trials])
        said = [(0.0, f"{values.min():.3g}"), (1.0, f"{values.max():.3g}")] if len(values) else []
        return _unit(np.log(values) if _spread(trials, name) else values), said
    choices = sorted({str(trial.drawn[name]) for trial in trials})
    heights = np.linspace(0, 1, len(choices)) if len(choices) > 1 else np.array([0.5])
    place = dict(zip(choices, heights.tolist(), strict=True))
    return np.array([place[str(trial.drawn[name])] for trial in trials]), [(place[each], each) for each in choices]


def _unit(values: np.ndarray) -> np.ndarray:
    spread = values.max() - values.min()
    return (values - values.min()) / spread if spread else np.full(len(values), 0.5)
