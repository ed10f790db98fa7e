"""A picture of what a scenario asks of a contact centre: how many contacts, about what, when, and what is planted."""

from __future__ import annotations

import io
import math
import warnings
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from msgspec import Struct

from headset.twin.demand import HOUR_S, Demand, first_intents
from headset.twin.truth import Episode, episodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import Scenario
    from headset.twin.truth import PlantedFault

_DAY_H = 24
_WEEK_H = 168
_UNITS = {1: "hour", 4: "4 hours", _DAY_H: "day", _WEEK_H: "week"}

# Okabe and Ito's colours, which colour-blind people tell apart.
_COLOURS = {
    "seasonal": "#009e73",
    "emergent": "#d55e00",
    "gradual": "#0072b2",
    "unfair": "#cc79a7",
    "fault": "#4d4d4d",
}
# Pale for what is usual, in turns lighter and darker; strong for what is new.
_USUAL = (
    "#7ea6d0",
    "#cfe0f0",
    "#88c5b3",
    "#d9efe2",
    "#b9b05c",
    "#ebe6b4",
    "#9c9ccb",
    "#dedcf0",
    "#85a3ab",
    "#cddde0",
)
_NEW = ("#d55e00", "#7b1e5a", "#e6a100", "#e0218a", "#5a2d0c")
_REST = "#efefef"
_BARS = "#a9c3df"
_INK = "#222222"

_DOTS_PER_INCH = 100
_WIDTH_IN, _HEIGHT_IN = 16.0, 12.0
_LEFT_IN, _MAIN_IN = 0.95, 11.35
_SIDE_IN, _SIDE_WIDTH_IN = 13.15, 2.35
_TOP_IN, _BOTTOM_IN, _GAP_IN = 1.25, 0.95, 0.85
_PANEL_IN = 2.9
_FAULTS_IN = 0.2
_ROW_IN = 0.235
_TEXT = 8.5
_PAD_IN = 0.08
_NAMED_ROWS = 4
_LANE_ROWS = 40


class DrawnDemand(Struct, frozen=True, eq=False):
    """What customers ask within a period, by hours of the clock; the first and the last may be cut.

    Attributes:
        start: The full hour in which the period begins.
        intents: Those that occur, or could.
        contacts: Drawn contacts, hours x intents.
        from_incidents: How many of them incidents made, per hour.
        expected: Expected contacts, per hour.
        exposure: The share of each hour that lies within the period.
    """

    start: datetime
    intents: tuple[str, ...]
    contacts: NDArray[np.int64]
    from_incidents: NDArray[np.int64]
    expected: NDArray[np.float64]
    exposure: NDArray[np.float64]


class _Lane(Struct):
    """An episode or a fault, as drawn: a bar and its label, in inches from the left of the panel."""

    kind: str
    label: str
    start_in: float
    end_in: float
    full_in: float
    text_in: float
    row: int = 0


def count_demand(
    scenario: Scenario,
    catalogue: Catalogue,
    *,
    seed: int,
    days: float,
    progress: Callable[[str, float], None] = lambda _phase, _fraction: None,
) -> DrawnDemand:
    """Draw a period hour by hour and keep the counts.

    These are the contacts that ``headset twin generate`` simulates with the same seed, without the customers who come
    back: how many do depends on how they are served.

    Args:
        scenario: Checked.
        catalogue: Its intents.
        seed: Equal seeds give equal counts.
        days: How many; may be a fraction.
        progress: Told the phase and the fraction done.
    """
    demand = Demand(scenario, catalogue, seed)
    full_hour = scenario.start.replace(minute=0, second=0, microsecond=0)
    late_s = (scenario.start - full_hour).total_seconds()
    late = late_s / HOUR_S
    length = days * _DAY_H
    hours = math.ceil(length)
    bins = math.ceil(late + length)
    named = [*catalogue.groups, *scenario.intents, *(each.intent for each in scenario.incidents)]
    position = {intent: index for index, intent in enumerate(dict.fromkeys(named))}
    contacts = np.zeros((bins, len(position)), np.int64)
    from_incidents = np.zeros(bins, np.int64)
    expected = np.zeros(bins + 1)
    exposure = np.zeros(bins + 1)
    for number in range(hours):
        hour = demand.hour(number)
        rate = hour.contacts + sum(extra for _, extra in hour.incidents)
        first = min(1 - late, length - number)
        second = max(min(late, length - number - first), 0.0)
        for at, share in ((number, first), (number + 1, second)):
            expected[at] += rate * share
            exposure[at] += share
        for arrival in demand.arrivals(number):
            if arrival.time_s < length * HOUR_S:
                at = min(int((late_s + arrival.time_s) // HOUR_S), bins - 1)
                contacts[at, position[arrival.intent]] += 1
                from_incidents[at] += arrival.incident is not None
        if number % _DAY_H == 0:
            progress(f"drawing {scenario.name}", number / hours)
    progress(f"drawing {scenario.name}", 1.0)
    return DrawnDemand(full_hour, tuple(position), contacts, from_incidents, expected[:bins], exposure[:bins])


def draw_year(
    scenario: Scenario,
    catalogue: Catalogue,
    *,
    seed: int,
    days: float,
    file_format: Literal["png", "svg"] = "png",
    progress: Callable[[str, float], None] = lambda _phase, _fraction: None,
) -> bytes:
    """A period as a picture: volume, weekly profile, mix of intents, and what is planted in it.

    Args:
        scenario: Checked.
        catalogue: Its intents.
        seed: Equal seeds give equal bytes.
        days: How many, from one to several years; the resolution follows.
        file_format: PNG is 1600 dots wide and 1200 high, higher where very much is planted.
        progress: Told the phase and the fraction done.
    """
    demand = count_demand(scenario, catalogue, seed=seed, days=days, progress=progress)
    stream = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "headset", "text.parse_math": False, "font.size": _TEXT})
        figure = compose_year(scenario, catalogue, demand, seed=seed, days=days)
        nothing = {"png": ("Software",), "svg": ("Date", "Creator")}[file_format]
        figure.savefig(stream, format=file_format, metadata=dict.fromkeys(nothing))
    return stream.getvalue()


def compose_year(
    scenario: Scenario, catalogue: Catalogue, demand: DrawnDemand, *, seed: int, days: float
) -> Figure:
    """The figure behind :func:`draw_year`."""
    sheet = _Sheet(scenario, demand, days)
    planted = [each for each in episodes(scenario, days) if each.start < sheet.end and each.end > scenario.start]
    lanes, hidden = _pack_lanes(sheet, planted)
    rows = max((lane.row + 1 for lane in lanes), default=0)
    faulty = [each for each in planted if not isinstance(each, Episode)]

    below_in = _BOTTOM_IN + (rows * _ROW_IN + _GAP_IN if rows else 0.0)
    between_in = _GAP_IN + (2 * _FAULTS_IN if faulty else 0.0)
    panel_in = max((_HEIGHT_IN - _TOP_IN - between_in - below_in) / 2, _PANEL_IN)
    sheet.resize(_TOP_IN + 2 * panel_in + between_in + below_in)

    volume_in = below_in + panel_in + between_in
    volume = sheet.panel(_LEFT_IN, volume_in, _MAIN_IN, panel_in)
    _draw_volume(volume, sheet, demand, [each for each in planted if isinstance(each, Episode)])
    if faulty:
        _draw_faults(sheet.panel(_LEFT_IN, volume_in - 2 * _FAULTS_IN, _MAIN_IN, _FAULTS_IN), sheet, faulty, volume)
    _draw_week(sheet.panel(_SIDE_IN, volume_in, _SIDE_WIDTH_IN, panel_in), sheet, demand)
    _draw_mix(
        sheet.panel(_LEFT_IN, below_in, _MAIN_IN, panel_in), sheet, demand, {*(scenario.intents or first_intents(catalogue))} & {*catalogue.usual}
    )
    if rows:
        _draw_lanes(sheet.panel(_LEFT_IN, _BOTTOM_IN, _MAIN_IN, rows * _ROW_IN), sheet, lanes, hidden)
    _write_heading(sheet, scenario, demand, seed=seed, days=days)
    return sheet.figure
