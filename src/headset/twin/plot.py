"""A picture of what a scenario asks of a contact centre: how many contacts, when, about what, and what is planted."""

from __future__ import annotations

import io
import math
import warnings
from bisect import bisect_right
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.transforms import Affine2D
from msgspec import Struct
from numpy.typing import NDArray

from headset.twin.demand import HOUR_S, Demand, first_intents
from headset.twin.truth import Episode, PlantedFault, episodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import Scenario

_DAY_H = 24
_WEEK_H = 168
_STEPS = {1: "hour", 4: "4 hours", _DAY_H: "day", _WEEK_H: "week"}

# Up to how many days the volume is drawn by hours or days, and the mix by 4 hours or days.
_VOLUME_HOURLY, _VOLUME_DAILY = 14, 800
_MIX_FINE, _MIX_DAILY = 3, 42
_YEAR_DAYS = 366

# After Okabe and Ito, whose colours colour-blind people tell apart.
_COLOURS = {"seasonal": "#009e73", "emergent": "#d55e00", "gradual": "#0072b2", "unfair": "#cc79a7", "fault": "#4d4d4d"}
# Pale and in turns darker and lighter for what is usual; strong for what is new.
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
_OTHER = "#ececec"
_BARS = "#a9c3df"
_INK = "#222222"
_GREY = "#555555"

# Inches of the sheet.
_DOTS_PER_INCH = 100
_WIDTH, _HEIGHT = 16.0, 12.0
_LEFT, _MAIN = 0.95, 11.35
_SIDE, _SIDE_WIDTH = 13.15, 2.35
_TOP, _BOTTOM, _GAP = 1.2, 0.85, 0.78
_PANEL = 2.2
_ROW = 0.215
_PAD = 0.08
_NARROWEST = 0.02
_TEXT_POINTS = 8.5
_LONGEST_NAME = 2.4
_NAME_ROWS = 5
_LANE_ROWS = 40


class DrawnDemand(Struct, frozen=True, eq=False):
    """What customers want within a period, by full hours of the clock; it covers only a part of the first and last.

    Attributes:
        start: The hour in which the period begins.
        intents: All that may occur.
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
    start = scenario.start.replace(minute=0, second=0, microsecond=0)
    late_s = (scenario.start - start).total_seconds()
    late = late_s / HOUR_S
    length = days * _DAY_H
    bins = math.ceil(late + length)
    named = (*catalogue.groups, *scenario.intents, *(each.intent for each in scenario.incidents))
    columns = {intent: column for column, intent in enumerate(dict.fromkeys(named))}
    contacts = np.zeros((bins, len(columns)), np.int64)
    from_incidents = np.zeros(bins, np.int64)
    expected, exposure = np.zeros(bins + 1), np.zeros(bins + 1)
    phase = f"drawing {scenario.name}"
    for number in range(math.ceil(length)):
        if number % _DAY_H == 0:
            progress(phase, number / length)
        hour = demand.hour(number)
        rate = hour.contacts + sum(extra for _, extra in hour.incidents)
        before = min(1 - late, length - number)
        after = max(min(late, length - number - before), 0.0)
        for at, share in ((number, before), (number + 1, after)):
            expected[at] += rate * share
            exposure[at] += share
        for arrival in demand.arrivals(number):
            if arrival.time_s < length * HOUR_S:
                at = min(int((late_s + arrival.time_s) // HOUR_S), bins - 1)
                contacts[at, columns[arrival.intent]] += 1
                from_incidents[at] += arrival.incident is not None
    progress(phase, 1.0)
    return DrawnDemand(start, tuple(columns), contacts, from_incidents, expected[:bins], exposure[:bins])


def draw_year(
    scenario: Scenario,
    catalogue: Catalogue,
    *,
    seed: int,
    days: float,
    file_format: Literal["png", "svg"] = "png",
    progress: Callable[[str, float], None] = lambda _phase, _fraction: None,
) -> bytes:
    """A period as a picture: volume, weekly profile, mix of intents, and all that is planted in it.

    Args:
        scenario: Checked.
        catalogue: Its intents.
        seed: Equal seeds give equal bytes.
        days: How many, from a day to several years; the resolution goes with it.
        file_format: PNG is 1600 dots wide and 1200 high, or higher where very much is planted.
        progress: Told the phase and the fraction done.
    """
    demand = count_demand(scenario, catalogue, seed=seed, days=days, progress=progress)
    stream = io.BytesIO()
    with mpl.rc_context(), warnings.catch_warnings():
        # Characters that no font has are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "headset", "text.parse_math": False, "font.size": _TEXT_POINTS})
        figure = _compose(scenario, catalogue, demand, seed=seed, days=days)
        unsaid = {"png": ("Software",), "svg": ("Creator", "Date")}[file_format]
        figure.savefig(stream, format=file_format, metadata=dict.fromkeys(unsaid))
    return stream.getvalue()


def _compose(scenario: Scenario, catalogue: Catalogue, demand: DrawnDemand, *, seed: int, days: float) -> Figure:
    """The figure of :func:`draw_year`, from what :func:`count_demand` counted."""
    sheet = _Sheet(scenario.start, days)
    planted = [each for each in episodes(scenario, days) if each.start < sheet.end and each.end > sheet.start]
    faults = [each for each in planted if isinstance(each, PlantedFault)]
    lanes, left_out = _pack_lanes(sheet, planted)
    rows = max((lane.row + 1 for lane in lanes), default=0)

    fault_lane = _ROW if faults else 0.0
    mix_from = _BOTTOM + (rows * _ROW + _GAP if rows else 0.0)
    height = max((_HEIGHT - _TOP - fault_lane - _GAP - mix_from) / 2, _PANEL)
    volume_from = mix_from + height + _GAP + fault_lane
    sheet.figure.set_size_inches(_WIDTH, volume_from + height + _TOP)

    _write_heading(sheet, scenario, demand, seed)
    volume = sheet.panel(_LEFT, volume_from, _MAIN, height)
    _draw_volume(sheet, volume, demand, [each for each in planted if isinstance(each, Episode)])
    if faults:
        volume.tick_params(axis="x", length=0, labelbottom=False)
        _draw_faults(sheet, sheet.panel(_LEFT, volume_from - fault_lane, _MAIN, 0.8 * _ROW), faults)
    _draw_profile(sheet, sheet.panel(_SIDE, volume_from + 0.4, _SIDE_WIDTH, height - 0.4), demand)
    usual = {*(scenario.intents or first_intents(catalogue))} & {*catalogue.usual}
    _draw_mix(sheet, sheet.panel(_LEFT, mix_from, _MAIN, height), demand, usual)
    if lanes:
        _draw_lanes(sheet, sheet.panel(_LEFT, _BOTTOM, _MAIN, rows * _ROW), lanes, left_out)
    return sheet.figure


class _Sheet:
    """The figure, measured in inches, and the time along its wide panels.

    Args:
        start: Of the period.
        days: Its length.
    """

    def __init__(self, start: datetime, days: float) -> None:
        self.figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DOTS_PER_INCH)
        self.start = start
        self.end = start + timedelta(days=days)
        self.days = days
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()  # type: ignore[no-untyped-call] # has no types

    def panel(self, left: float, bottom: float, width: float, height: float) -> Axes:
        """Axes without a frame."""
        across, up = self.figure.get_size_inches()
        axes = self.figure.add_axes((left / across, bottom / up, width / across, height / up))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, colors=_INK)
        return axes

    def height_of(self, axes: Axes) -> float:
        """Of a panel, in inches."""
        return float(axes.get_position().height * self.figure.get_size_inches()[1])

    def inches_of(self, axes: Axes) -> Transform:
        """From the lower left corner of a wide panel."""
        return Affine2D().scale(1 / _MAIN, 1 / self.height_of(axes)) + axes.transAxes

    def across(self, moment: datetime) -> float:
        """Inches from the left of a wide panel."""
        return (moment - self.start) / (self.end - self.start) * _MAIN

    def span(self, each: Episode | PlantedFault) -> tuple[float, float]:
        """Where an episode or a fault begins and ends within the panel, far enough apart to be seen."""
        start = max(self.across(each.start), 0.0)
        return start, max(min(self.across(each.end), _MAIN), start + _NARROWEST)

    def width_of(self, text: str) -> float:
        """Of a text, in inches."""
        width, _, _ = self._renderer.get_text_width_height_descent(
            text, FontProperties(size=_TEXT_POINTS), ismath=False
        )
        return float(width) / _DOTS_PER_INCH

    def fit(self, text: str, room: float) -> str:
        """The text, or as much of its beginning as there is room for."""
        if self.width_of(text) <= room:
            return text
        kept = bisect_right(range(len(text)), room, lo=1, key=lambda count: self.width_of(text[:count] + "…")) - 1
        return text[:kept].rstrip() + "…"

    def show_time(self, axes: Axes) -> None:
        """From left to right."""
        axes.set_xlim(_day_number(self.start), _day_number(self.end))
        locator = AutoDateLocator(minticks=6, maxticks=14)  # type: ignore[no-untyped-call] # has no types
        axes.xaxis.set_major_locator(locator)
        day = "%a %d %b" if self.days <= 2 * _VOLUME_HOURLY else "%d %b"
        formats = ["%Y", "%b", day, "%H:%M", "%H:%M", "%H:%M"]
        zeros = ["", "%b\n%Y", "%b", day, "%H:%M", "%H:%M"]
        axes.xaxis.set_major_formatter(
            ConciseDateFormatter(  # type: ignore[no-untyped-call] # has no types
                locator, formats=formats, zero_formats=zeros, show_offset=False
            )
        )
        axes.tick_params(axis="x", length=3, color="#999999")


def _entitle(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=11, weight="bold", color=_INK, pad=7)


def _write_heading(sheet: _Sheet, scenario: Scenario, demand: DrawnDemand, seed: int) -> None:
    height = sheet.figure.get_size_inches()[1]
    total, made = int(demand.contacts.sum()), int(demand.from_incidents.sum())
    last = sheet.end - timedelta(microseconds=1)
    length = "1 day" if sheet.days == 1 else f"{sheet.days:g} days"
    facts = f"{_day(sheet.start, year=True)} to {_day(last, year=True)} · {length} · "
    facts += f"{total:,} contacts, {total / sheet.days:,.0f} per day"
    if made:
        facts += f" · {made:,} of them from incidents"
    left = _LEFT / _WIDTH
    sheet.figure.text(left, 1 - 0.22 / height, scenario.name, fontsize=17, weight="bold", va="top", color=_INK)
    sheet.figure.text(left, 1 - 0.58 / height, facts, fontsize=10, va="top", color=_INK)
    note = (
        f"Contacts as headset twin generate draws them with seed {seed}. Customers who come back are on top and not "
        "shown: how many do depends on how they are served. Times are the centre's own clock."
    )
    sheet.figure.text(left, 0.2 / height, note, va="bottom", color=_GREY)


# -- steps of time -----------------------------------------------------------------------------


def _bounds(demand: DrawnDemand, step: int) -> NDArray[np.int64]:
    """The hours at which a step begins, and the end: steps of 4 hours begin at 0:00, weeks on Monday."""
    hours = np.arange(1, len(demand.expected))
    return np.array([0, *hours[(_hour_of_week(demand) + hours) % step == 0], len(demand.expected)])


def _hour_of_week(demand: DrawnDemand) -> int:
    return demand.start.weekday() * _DAY_H + demand.start.hour


def _moments(sheet: _Sheet, demand: DrawnDemand, bounds: NDArray[np.int64]) -> NDArray[np.float64]:
    """The bounds in matplotlib's days, within the period."""
    days = _day_number(demand.start) + bounds / _DAY_H
    return np.clip(days, _day_number(sheet.start), _day_number(sheet.end))


def _day_number(moment: datetime) -> float:
    """As matplotlib counts days."""
    return (moment - datetime(1970, 1, 1)) / timedelta(days=1)  # noqa: DTZ001 - the centre's own clock has no zone


# -- volume ------------------------------------------------------------------------------------


def _draw_volume(sheet: _Sheet, axes: Axes, demand: DrawnDemand, drifts: list[Episode]) -> None:
    step = 1 if sheet.days <= _VOLUME_HOURLY else _DAY_H if sheet.days <= _VOLUME_DAILY else _WEEK_H
    bounds = _bounds(demand, step)
    moments = _moments(sheet, demand, bounds)
    drawn = np.add.reduceat(demand.contacts.sum(axis=1), bounds[:-1])
    made = np.add.reduceat(demand.from_incidents, bounds[:-1])
    expected = np.add.reduceat(demand.expected, bounds[:-1])

    shaded = [each for each in drifts if each.drift in {"seasonal", "emergent"}]
    names = _pack_names(sheet, shaded)
    height = sheet.height_of(axes)
    free = 0.96 * height - _ROW * max((name.row + 1 for name in names), default=0)
    most = max(float(drawn.max()), float(expected.max()), 1.0)
    axes.set_ylim(0, most * height / free)
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= most])
    axes.grid(visible=True, axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.stairs(drawn - made, moments, fill=True, color=_BARS)
    axes.stairs(drawn, moments, baseline=drawn - made, fill=True, color=_COLOURS["emergent"])
    axes.stairs(expected, moments, baseline=None, color=_INK, linewidth=0.8)
    sheet.show_time(axes)
    inches = sheet.inches_of(axes)
    for each in shaded:
        left, right = sheet.span(each)
        axes.fill_between(
            [left, right], 0, free, transform=inches, color=_COLOURS[each.drift], alpha=0.2, lw=0, zorder=0
        )
    for name in names:
        y = height - (name.row + 0.5) * _ROW
        axes.plot([name.start] * 2, [free, y + _ROW / 3], transform=inches, color=_COLOURS[name.kind], linewidth=1)
        axes.text(
            name.text_from,
            y,
            name.label,
            transform=inches,
            va="center_baseline",
            color=_INK,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"},
        )
    _entitle(axes, f"Contacts per {_STEPS[step]}")
    keys = [("■", _BARS, "drawn"), ("━", _INK, "expected")]
    if made.any():
        keys.append(("■", _COLOURS["emergent"], "drawn, from incidents"))
    _write_key(sheet, axes, keys)


def _write_key(sheet: _Sheet, axes: Axes, keys: list[tuple[str, str, str]]) -> None:
    """What colours mean, at the right of the title."""
    at = _MAIN
    for sign, colour, text in reversed(keys):
        at -= sheet.width_of(text)
        axes.annotate(text, (at / _MAIN, 1), (0, 8), "axes fraction", "offset points", color=_INK)
        at -= 0.17
        axes.annotate(sign, (at / _MAIN, 1), (0, 8), "axes fraction", "offset points", color=colour, fontsize=10)
        at -= 0.2


def _draw_faults(sheet: _Sheet, axes: Axes, faults: list[PlantedFault]) -> None:
    axes.set_ylim(0, 1)
    axes.set_facecolor("#f2f2f2")
    axes.set_yticks([0.5], ["faults"])
    sheet.show_time(axes)
    inches = sheet.inches_of(axes)
    top = sheet.height_of(axes)
    for each in faults:
        axes.fill_between(
            sheet.span(each), 0.1 * top, 0.9 * top, transform=inches, color=_COLOURS["fault"], alpha=0.7, lw=0
        )


# -- weekly profile ----------------------------------------------------------------------------


def _draw_profile(sheet: _Sheet, axes: Axes, demand: DrawnDemand) -> None:
    hours = (_hour_of_week(demand) + np.arange(len(demand.expected))) % _WEEK_H
    contacts = np.bincount(hours, demand.contacts.sum(axis=1), _WEEK_H)
    exposure = np.bincount(hours, demand.exposure, _WEEK_H)
    means = np.ma.masked_array(contacts / np.where(exposure > 0, exposure, 1), exposure == 0)
    axes.set_facecolor("#e4e4e4")
    shades = axes.pcolormesh(means.reshape(7, _DAY_H).T, cmap="Blues", vmin=0, edgecolors="white", linewidth=0.4)
    axes.invert_yaxis()
    axes.set_xticks(np.arange(7) + 0.5, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    axes.set_yticks(range(0, _DAY_H + 1, 3), [f"{hour:02}:00" for hour in range(0, _DAY_H + 1, 3)])
    _entitle(axes, "Weekly profile")
    bar = axes.inset_axes((0, -0.45 / sheet.height_of(axes), 1, 0.1 / sheet.height_of(axes)))
    sheet.figure.colorbar(shades, cax=bar, orientation="horizontal").outline.set_visible(False)
    bar.set_xlabel("mean contacts per hour", color=_INK)
    bar.tick_params(length=0, colors=_INK)


# -- mix of intents ----------------------------------------------------------------------------


class _Band(Struct):
    """Intents drawn in one colour."""

    name: str
    colour: str
    columns: list[int]
    new: bool = False


def _draw_mix(sheet: _Sheet, axes: Axes, demand: DrawnDemand, usual: set[str]) -> None:
    """Shares stacked, what is new on top."""
    step = 4 if sheet.days <= _MIX_FINE else _DAY_H if sheet.days < _MIX_DAILY else _WEEK_H
    bounds = _bounds(demand, step)
    moments = _moments(sheet, demand, bounds)
    counts = np.add.reduceat(demand.contacts, bounds[:-1], axis=0)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    # Two standard errors off, so that a few contacts at night make no peak.
    peaks = (shares - 2 * np.sqrt(shares / np.maximum(totals, 1)[:, None])).max(axis=0)
    bands = _choose_bands(demand.intents, np.where(counts.any(axis=0), peaks, -np.inf), usual)

    axes.set_ylim(0, 1)
    axes.set_yticks(np.arange(6) / 5, [f"{percent} %" for percent in range(0, 101, 20)])
    heights = np.array([shares[:, band.columns].sum(axis=1) for band in bands])
    tops = np.cumsum(heights.reshape(len(bands), len(totals)), axis=0)
    bases = np.vstack([np.zeros_like(totals), tops])
    for band, base, top in zip(bands, bases, tops, strict=False):
        axes.stairs(top, moments, baseline=base, fill=True, color=band.colour)
        axes.stairs(top, moments, baseline=None, color="white", linewidth=0.5)
    sheet.show_time(axes)
    _entitle(axes, f"Mix of intents, shares per {_STEPS[step]}")

    last = int(np.flatnonzero(totals)[-1]) if totals.any() else 0
    middles = [float(base[last] + top[last]) / 2 for base, top in zip(bases, tops, strict=False)]
    heading = "share of all contacts"
    if any(band.new for band in bands):
        heading += "; of new ones, also the peak"
    places = _spread(middles, 0.18 / sheet.height_of(axes))
    axes.annotate(heading, (1.021, 1), (0, 8), "axes fraction", "offset points", color=_GREY)
    for band, middle, place in zip(bands, middles, places, strict=True):
        text = _percent(counts[:, band.columns].sum() / max(totals.sum(), 1))
        if band.new:
            text += f", up to {_percent(shares[totals >= totals.mean() / 2][:, band.columns].sum(axis=1).max())}"
        line = ([1.001, 1.003, 1.018], [middle, middle, place])
        axes.plot(*line, transform=axes.transAxes, color="#999999", linewidth=0.7, clip_on=False)
        axes.annotate("■", (1.021, place), xycoords="axes fraction", color=band.colour, fontsize=11, va="center")
        name = sheet.fit(band.name, _WIDTH - _LEFT - 1.036 * _MAIN - 0.3 - sheet.width_of(text))
        weight = "bold" if band.new else "normal"
        place_of = axes.transAxes
        axes.text(1.036, place, f"{name}  {text}", transform=place_of, weight=weight, va="center_baseline", color=_INK)


def _choose_bands(intents: tuple[str, ...], peaks: NDArray[np.float64], usual: set[str]) -> list[_Band]:
    """From below: the other intents, the usual ones with the highest peaks, the new ones."""
    ranked = [int(column) for column in np.argsort(-peaks, kind="stable") if np.isfinite(peaks[column])]
    common = [column for column in ranked if intents[column] in usual]
    new = [column for column in ranked if intents[column] not in usual]
    shown = common[: len(_USUAL)]
    bands = [_Band(intents[column], colour, [column]) for column, colour in zip(shown, _USUAL, strict=False)]
    bands.reverse()
    if rest := common[len(_USUAL) :]:
        bands.insert(0, _Band(f"{len(rest)} other intents", _OTHER, rest))
    *single, last = _NEW
    bands += [_Band(intents[column], colour, [column], new=True) for column, colour in zip(new, single, strict=False)]
    if rest := new[len(single) :]:
        bands.append(_Band(f"{len(rest)} other new intents", last, rest, new=True))
    return bands


def _spread(wanted: list[float], gap: float) -> list[float]:
    """Ascending places from 0 to 1, near those wanted and at least a gap apart, if they fit.

    >>> _spread([0.5, 0.5, 1.0], 0.25)
    [0.5, 0.75, 1.0]
    """
    places: list[float] = []
    for each in wanted:
        places.append(max(each, places[-1] + gap) if places else each)
    limit = 1.0
    for at in reversed(range(len(places))):
        places[at] = min(places[at], limit)
        limit = places[at] - gap
    return places


def _percent(share: float) -> str:
    """A share to read.

    >>> _percent(0.25), _percent(0.004), _percent(0.0)
    ('25 %', '0.4 %', '0 %')
    """
    return f"{100 * share:.1f} %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


# -- lanes -------------------------------------------------------------------------------------


class _Label(Struct):
    """A span of time and its name, in inches from the left of a wide panel.

    ``ramp`` is where a gradual change begins and is complete, perhaps beyond the panel.
    """

    kind: str
    label: str
    start: float
    end: float
    text_from: float
    row: int = 0
    ramp: tuple[float, float] | None = None


def _pack_names(sheet: _Sheet, shaded: list[Episode]) -> list[_Label]:
    """Names beside the beginning of each span; a name for which no row is free stands in the lanes only."""
    names = []
    for each in shaded:
        label = sheet.fit(each.name, _LONGEST_NAME)
        start, end = sheet.span(each)
        width = sheet.width_of(label)
        text_from = start + 0.05 if start + 0.05 + width <= _MAIN else start - 0.05 - width
        names.append(_Label(each.drift, label, start, end, text_from))
    return _packed([(name, name.text_from, name.text_from + sheet.width_of(name.label)) for name in names], _NAME_ROWS)


def _pack_lanes(sheet: _Sheet, planted: list[Episode | PlantedFault]) -> tuple[list[_Label], int]:
    """Rows of bars by kind, and how many found no row."""
    lanes: list[_Label] = []
    rows = 0
    for kind in _COLOURS:
        extents = []
        for each in planted:
            if (each.drift if isinstance(each, Episode) else "fault") == kind:
                lane = _lane(sheet, kind, each)
                end = _MAIN if lane.ramp else lane.end
                width = sheet.width_of(lane.label)
                extents.append((lane, min(lane.start, lane.text_from), max(end, lane.text_from + width)))
        found = _packed(extents, _LANE_ROWS - rows)
        for lane in found:
            lane.row += rows
        rows = max((lane.row + 1 for lane in found), default=rows)
        lanes += found
    return lanes, len(planted) - len(lanes)


def _packed(extents: list[tuple[_Label, float, float]], most: int) -> list[_Label]:
    """Each in the first row where nothing is in its way."""
    ends: list[list[tuple[float, float]]] = [[] for _ in range(most)]
    found = []
    for label, left, right in extents:
        for row, taken in enumerate(ends):
            if all(right + _PAD <= other_left or other_right + _PAD <= left for other_left, other_right in taken):
                taken.append((left, right))
                label.row = row
                found.append(label)
                break
    return found


def _lane(sheet: _Sheet, kind: str, each: Episode | PlantedFault) -> _Label:
    """A bar, and its text within it, right of it or left of it."""
    start, end = sheet.span(each)
    ramp = (sheet.across(each.start), sheet.across(each.end)) if kind == "gradual" else None
    covered = _MAIN if ramp else end
    room = max(covered - start - 2 * _PAD, _MAIN - covered - _PAD, start - _PAD)
    text = sheet.fit(_describe(sheet, each), room)
    width = sheet.width_of(text)
    if width <= covered - start - 2 * _PAD:
        text_from = start + _PAD
    elif width <= _MAIN - covered - _PAD:
        text_from = covered + _PAD
    else:
        text_from = start - _PAD - width
    return _Label(kind, text, start, end, text_from, ramp=ramp)


def _draw_lanes(sheet: _Sheet, axes: Axes, lanes: list[_Label], left_out: int) -> None:
    rows = max(lane.row for lane in lanes) + 1
    axes.set_ylim(rows, 0)
    sheet.show_time(axes)
    middles = {}
    for kind in _COLOURS:
        taken = [lane.row for lane in lanes if lane.kind == kind]
        if taken:
            middles[kind] = (min(taken) + max(taken) + 1) / 2
            if max(taken) + 1 < rows:
                axes.axhline(max(taken) + 1, color="0.85", linewidth=0.6)
    axes.set_yticks(list(middles.values()), list(middles))
    inches = sheet.inches_of(axes)
    for lane in lanes:
        middle = (rows - lane.row - 0.5) * _ROW
        bottom, top = middle - 0.38 * _ROW, middle + 0.38 * _ROW
        colour = _COLOURS[lane.kind]
        if lane.ramp:
            begun, complete = lane.ramp
            far = max(complete, _MAIN)
            corners = ([begun, complete, far, far], [bottom, top, top, bottom])
        else:
            corners = ([lane.start, lane.end, lane.end, lane.start], [top, top, bottom, bottom])
        axes.fill(*corners, transform=inches, color=colour, alpha=0.35, linewidth=0)
        axes.plot([lane.start] * 2, [bottom, top], transform=inches, color=colour, linewidth=1.5)
        axes.text(lane.text_from, middle, lane.label, transform=inches, va="center_baseline", color=_INK)
    _entitle(axes, "What is planted" + (f"; {left_out} more found no room" if left_out else ""))


def _describe(sheet: _Sheet, each: Episode | PlantedFault) -> str:
    """Name, dates, and what or whom it is about."""
    if isinstance(each, PlantedFault):
        about = [each.fault, each.field] + ([_percent(each.share)] if each.share < 1 else [])
    else:
        about = [*each.intents, *(f"{attribute} {value}" for attribute, value in each.where.items())]
        about += [f"{old} → {new}" for old, new in each.words.items()]
    whole = each.start <= sheet.start and each.end >= sheet.end
    dates = "all the time" if whole else _dates(each.start, each.end, year=sheet.days > _YEAR_DAYS)
    return f"{each.name} · {dates}" + (f" · {', '.join(filter(None, about))}" if any(about) else "")


def _dates(start: datetime, end: datetime, *, year: bool) -> str:
    """When, to the day or to the minute.

    >>> _dates(datetime(2026, 3, 2), datetime(2026, 3, 5), year=False)
    '2–4 Mar'
    >>> _dates(datetime(2026, 3, 2, 9), datetime(2026, 3, 2, 15), year=True)
    '2 Mar 2026 09:00–15:00'
    """
    if start.time() == end.time() == time():
        last = end - timedelta(days=1)
        if last.date() == start.date():
            return _day(start, year=year)
        if (start.year, start.month) == (last.year, last.month):
            return f"{start.day}–{_day(last, year=year)}"
        return f"{_day(start, year=year)} – {_day(last, year=year)}"
    if start.date() == end.date():
        return f"{_day(start, year=year)} {start:%H:%M}–{end:%H:%M}"
    return f"{_day(start, year=year)} {start:%H:%M} – {_day(end, year=year)} {end:%H:%M}"


def _day(moment: datetime, *, year: bool) -> str:
    return f"{moment.day} {moment:%b}" + (f" {moment.year}" if year else "")
