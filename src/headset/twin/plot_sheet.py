"""The sheet that a scenario is drawn on: its measures, its colours, and the time along its panels."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.transforms import Affine2D

from headset.twin.drawn_demand import DAY_H

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform
    from numpy.typing import NDArray

    from headset.twin.truth import Episode, PlantedFault

COLOURS = {"seasonal": "#009e73", "emergent": "#d55e00", "gradual": "#0072b2", "unfair": "#cc79a7", "fault": "#4d4d4d"}
"""Of what is planted; after Okabe and Ito, whose colours colour-blind people tell apart."""

INK = "#222222"
GREY = "#555555"

# Inches: the sheet, and where the wide panels begin and how wide they are.
WIDTH, HEIGHT = 16.0, 12.0
LEFT, MAIN = 0.95, 11.35
ROW = 0.215
"""Inches of a line of text."""

TEXT_POINTS = 8.5
_DOTS_PER_INCH = 100
_NARROWEST = 0.02  # inches
_NAMED_DAYS = 28  # up to which weekdays are named


class Sheet:
    """The figure, measured in inches, and the time along its wide panels.

    Args:
        start: Of the period.
        days: Its length.
    """

    def __init__(self, start: datetime, days: float) -> None:
        self.figure = Figure(figsize=(WIDTH, HEIGHT), dpi=_DOTS_PER_INCH)
        self.start = start
        self.end = start + timedelta(days=days)
        self.days = days
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()  # type: ignore[no-untyped-call] # has no types

    def panel(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes without a frame."""
        across, up = self.figure.get_size_inches()
        axes = self.figure.add_axes((left / across, bottom / up, width / across, height / up))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=INK)
        return axes

    def height_of(self, axes: Axes) -> float:
        """Of a panel, in inches."""
        return float(axes.get_position().height * self.figure.get_size_inches()[1])

    def inches_of(self, axes: Axes) -> Transform:
        """From the lower left corner of a wide panel."""
        return Affine2D().scale(1 / MAIN, 1 / self.height_of(axes)) + axes.transAxes

    def across(self, moment: datetime) -> float:
        """Inches from the left of a wide panel."""
        return (moment - self.start) / (self.end - self.start) * MAIN

    def span(self, each: Episode | PlantedFault) -> tuple[float, float]:
        """Where an episode or a fault begins and ends within the panel, far enough apart to be seen."""
        start = max(self.across(each.start), 0.0)
        return start, max(min(self.across(each.end), MAIN), start + _NARROWEST)

    def width_of(self, text: str) -> float:
        """Of a text, in inches."""
        width, _, _ = self._renderer.get_text_width_height_descent(text, FontProperties(size=TEXT_POINTS), ismath=False)
        return float(width) / _DOTS_PER_INCH

    def fit(self, text: str, room: float) -> str:
        """The text, or as much of its beginning as there is room for."""
        if self.width_of(text) <= room:
            return text
        kept = bisect_right(range(len(text)), room, lo=1, key=lambda count: self.width_of(text[:count] + "…")) - 1
        return text[:kept].rstrip() + "…"

    def moments(self, start: datetime, hours: NDArray[np.int64]) -> NDArray[np.float64]:
        """So many ``hours`` after ``start``, within the period, in days as matplotlib counts them."""
        return np.clip(_day_number(start) + hours / DAY_H, _day_number(self.start), _day_number(self.end))

    def show_time(self, axes: Axes) -> None:
        """From left to right."""
        axes.set_xlim(_day_number(self.start), _day_number(self.end))
        locator = AutoDateLocator(minticks=6, maxticks=14)  # type: ignore[no-untyped-call] # has no types
        axes.xaxis.set_major_locator(locator)
        day = "%a %d %b" if self.days <= _NAMED_DAYS else "%d %b"
        formats = ["%Y", "%b", day, "%H:%M", "%H:%M", "%H:%M"]
        zeros = ["", "%b\n%Y", "%b", day, "%H:%M", "%H:%M"]
        axes.xaxis.set_major_formatter(
            ConciseDateFormatter(  # type: ignore[no-untyped-call] # has no types
                locator, formats=formats, zero_formats=zeros, show_offset=False
            )
        )
        axes.tick_params(axis="x", length=3, color="#999999")


def entitle(axes: Axes, title: str) -> None:
    """Write the title of a panel."""
    axes.set_title(title, loc="left", fontsize=11, weight="bold", color=INK, pad=7)


def write_day(moment: datetime, *, year: bool) -> str:
    """A day.

    >>> write_day(datetime(2026, 3, 2), year=True)
    '2 Mar 2026'
    """
    return f"{moment.day} {moment:%b}" + (f" {moment.year}" if year else "")


def write_percent(share: float) -> str:
    """A share.

    >>> write_percent(0.25), write_percent(0.004), write_percent(0.0)
    ('25 %', '0.4 %', '0 %')
    """
    return f"{100 * share:.1f} %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _day_number(moment: datetime) -> float:
    """As matplotlib counts days."""
    return (moment - datetime(1970, 1, 1)) / timedelta(days=1)  # noqa: DTZ001 - the centre's own clock has no zone
