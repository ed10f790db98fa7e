"""A picture of what a scenario asks of a contact centre: how many contacts, when, about what, and what is planted."""

from __future__ import annotations

import io
import warnings
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import matplotlib as mpl
import numpy as np
from msgspec import Struct

from headset.twin.demand import first_intents
from headset.twin.drawn_demand import DAY_H, WEEK_H, count_demand
from headset.twin.plot_lane import draw_faults, draw_lanes, draw_names, pack_lanes, pack_names
from headset.twin.plot_sheet import (
    COLOURS,
    GREY,
    HEIGHT,
    INK,
    LEFT,
    MAIN,
    ROW,
    TEXT_POINTS,
    WIDTH,
    Sheet,
    entitle,
    write_day,
    write_percent,
)
from headset.twin.truth import Episode, PlantedFault, episodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from headset.twin.catalogue import Catalogue
    from headset.twin.drawn_demand import DrawnDemand
    from headset.twin.scenario import Scenario

_STEPS = {1: "hour", 4: "4 hours", DAY_H: "day", WEEK_H: "week"}

# Up to how many days the volume is drawn by hours or days, and the mix by 4 hours or days.
_VOLUME_HOURLY, _VOLUME_DAILY = 14, 800
_MIX_FINE, _MIX_DAILY = 3, 42

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

# Inches.
_SIDE, _SIDE_WIDTH = 13.15, 2.35
_TOP, _BOTTOM, _GAP = 1.2, 0.85, 0.78
_PANEL = 2.2


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
        mpl.rcParams.update({"svg.hashsalt": "headset", "text.parse_math": False, "font.size": TEXT_POINTS})
        figure = _compose(scenario, catalogue, demand, seed=seed, days=days)
        unsaid = {"png": ("Software",), "svg": ("Creator", "Date")}[file_format]
        figure.savefig(stream, format=file_format, metadata=dict.fromkeys(unsaid))
    return stream.getvalue()


def _compose(scenario: Scenario, catalogue: Catalogue, demand: DrawnDemand, *, seed: int, days: float) -> Figure:
    """The figure of :func:`draw_year`, from what :func:`count_demand` counted."""
    sheet = Sheet(scenario.start, days)
    planted = [each for each in episodes(scenario, days) if each.start < sheet.end and each.end > sheet.start]
    faults = [each for each in planted if isinstance(each, PlantedFault)]
    lanes, left_out = pack_lanes(sheet, planted)
    rows = max((lane.row + 1 for lane in lanes), default=0)

    fault_lane = ROW if faults else 0.0
    mix_from = _BOTTOM + (rows * ROW + _GAP if rows else 0.0)
    height = max((HEIGHT - _TOP - fault_lane - _GAP - mix_from) / 2, _PANEL)
    volume_from = mix_from + height + _GAP + fault_lane
    sheet.figure.set_size_inches(WIDTH, volume_from + height + _TOP)

    _write_heading(sheet, scenario, demand, seed)
    volume = sheet.panel(LEFT, volume_from, MAIN, height)
    _draw_volume(sheet, volume, demand, [each for each in planted if isinstance(each, Episode)])
    if faults:
        volume.tick_params(axis="x", length=0, labelbottom=False)
        draw_faults(sheet, sheet.panel(LEFT, volume_from - fault_lane, MAIN, 0.8 * ROW), faults)
    _draw_profile(sheet, sheet.panel(_SIDE, volume_from + 0.4, _SIDE_WIDTH, height - 0.4), demand)
    usual = {*(scenario.intents or first_intents(catalogue))} & {*catalogue.usual}
    _draw_mix(sheet, sheet.panel(LEFT, mix_from, MAIN, height), demand, usual)
    if lanes:
        draw_lanes(sheet, sheet.panel(LEFT, _BOTTOM, MAIN, rows * ROW), lanes, left_out)
    return sheet.figure


def _write_heading(sheet: Sheet, scenario: Scenario, demand: DrawnDemand, seed: int) -> None:
    height = sheet.figure.get_size_inches()[1]
    total, made = int(demand.contacts.sum()), int(demand.from_incidents.sum())
    last = sheet.end - timedelta(microseconds=1)
    length = "1 day" if sheet.days == 1 else f"{sheet.days:g} days"
    facts = f"{write_day(sheet.start, year=True)} to {write_day(last, year=True)} · {length} · "
    facts += f"{total:,} contacts, {total / sheet.days:,.0f} per day"
    if made:
        facts += f" · {made:,} of them from incidents"
    left = LEFT / WIDTH
    sheet.figure.text(left, 1 - 0.22 / height, scenario.name, fontsize=17, weight="bold", va="top", color=INK)
    sheet.figure.text(left, 1 - 0.58 / height, facts, fontsize=10, va="top", color=INK)
    note = (
        f"Contacts as headset twin generate draws them with seed {seed}. Customers who come back are on top and not "
        "shown: how many do depends on how they are served. Times are the centre's own clock."
    )
    sheet.figure.text(left, 0.2 / height, note, va="bottom", color=GREY)


# -- volume ------------------------------------------------------------------------------------


def _draw_volume(sheet: Sheet, axes: Axes, demand: DrawnDemand, drifts: list[Episode]) -> None:
    step = 1 if sheet.days <= _VOLUME_HOURLY else DAY_H if sheet.days <= _VOLUME_DAILY else WEEK_H
    bounds = demand.bounds(step)
    moments = sheet.moments(demand.start, bounds)
    drawn = np.add.reduceat(demand.contacts.sum(axis=1), bounds[:-1])
    made = np.add.reduceat(demand.from_incidents, bounds[:-1])
    expected = np.add.reduceat(demand.expected, bounds[:-1])

    shaded = [each for each in drifts if each.drift in {"seasonal", "emergent"}]
    names = pack_names(sheet, shaded)
    height = sheet.height_of(axes)
    free = 0.96 * height - ROW * max((name.row + 1 for name in names), default=0)
    most = max(float(drawn.max()), float(expected.max()), 1.0)
    axes.set_ylim(0, most * height / free)
    axes.set_yticks([tick for tick in axes.get_yticks() if tick <= most])
    axes.grid(visible=True, axis="y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.stairs(drawn - made, moments, fill=True, color=_BARS, label="drawn")
    axes.stairs(expected, moments, baseline=None, color=INK, linewidth=0.8, label="expected", zorder=1.1)
    if made.any():
        label = "drawn, from incidents"
        axes.stairs(drawn, moments, baseline=drawn - made, fill=True, color=COLOURS["emergent"], label=label)
    sheet.show_time(axes)
    draw_names(sheet, axes, shaded, names, free)
    entitle(axes, f"Contacts per {_STEPS[step]}")
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(MAIN, height + 0.08),
        bbox_transform=sheet.inches_of(axes),
        ncols=3,
        frameon=False,
        labelcolor=INK,
        borderaxespad=0,
        borderpad=0,
        handlelength=1,
        handleheight=0.9,
        handletextpad=0.5,
        columnspacing=1.6,
    )


# -- weekly profile ----------------------------------------------------------------------------


def _draw_profile(sheet: Sheet, axes: Axes, demand: DrawnDemand) -> None:
    contacts = np.bincount(demand.hours_of_week, demand.contacts.sum(axis=1), WEEK_H)
    exposure = np.bincount(demand.hours_of_week, demand.exposure, WEEK_H)
    means = np.ma.masked_array(contacts / np.where(exposure > 0, exposure, 1), exposure == 0)
    axes.set_facecolor("#e4e4e4")
    shades = axes.pcolormesh(means.reshape(7, DAY_H).T, cmap="Blues", vmin=0, edgecolors="white", linewidth=0.4)
    axes.invert_yaxis()
    axes.set_xticks(np.arange(7) + 0.5, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])
    axes.set_yticks(range(0, DAY_H + 1, 3), [f"{hour:02}:00" for hour in range(0, DAY_H + 1, 3)])
    entitle(axes, "Weekly profile")
    bar = axes.inset_axes((0, -0.45 / sheet.height_of(axes), 1, 0.1 / sheet.height_of(axes)))
    sheet.figure.colorbar(shades, cax=bar, orientation="horizontal").outline.set_visible(False)
    bar.set_xlabel("mean contacts per hour", color=INK)
    bar.tick_params(length=0, colors=INK)


# -- mix of intents ----------------------------------------------------------------------------


class _Band(Struct):
    """Intents drawn in one colour."""

    name: str
    colour: str
    columns: list[int]
    new: bool = False


def _draw_mix(sheet: Sheet, axes: Axes, demand: DrawnDemand, usual: set[str]) -> None:
    """Shares stacked, what is new on top."""
    step = 4 if sheet.days <= _MIX_FINE else DAY_H if sheet.days < _MIX_DAILY else WEEK_H
    bounds = demand.bounds(step)
    moments = sheet.moments(demand.start, bounds)
    counts = np.add.reduceat(demand.contacts, bounds[:-1], axis=0)
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    # Two standard errors off, so that a few contacts at night make no peak.
    peaks = (shares - 2 * np.sqrt(shares / np.maximum(totals, 1)[:, None])).max(axis=0)
    bands = _choose_bands(demand.intents, np.where(counts.any(axis=0), peaks, -np.inf), usual)

    axes.set_ylim(0, 1)
    axes.set_yticks(np.arange(6) / 5, [f"{percent} %" for percent in range(0, 101, 20)])
    heights = np.array([shares[:, band.columns].sum(axis=1) for band in bands]).reshape(len(bands), len(totals))
    tops = np.cumsum(heights, axis=0)
    bases = tops - heights
    for band, base, top in zip(bands, bases, tops, strict=True):
        axes.stairs(top, moments, baseline=base, fill=True, color=band.colour)
        axes.stairs(top, moments, baseline=None, color="white", linewidth=0.5)
    sheet.show_time(axes)
    entitle(axes, f"Mix of intents, shares per {_STEPS[step]}")

    last = int(np.flatnonzero(totals)[-1]) if totals.any() else 0
    middles = ((bases + tops)[:, last] / 2).tolist()
    heading = "share of all contacts"
    if any(band.new for band in bands):
        heading += "; of new ones, also the peak"
    places = _spread(middles, 0.18 / sheet.height_of(axes))
    axes.annotate(heading, (1.021, 1), (0, 8), "axes fraction", "offset points", color=GREY)
    for band, middle, place in zip(bands, middles, places, strict=True):
        text = write_percent(counts[:, band.columns].sum() / max(totals.sum(), 1))
        if band.new:
            text += f", up to {write_percent(shares[totals >= totals.mean() / 2][:, band.columns].sum(axis=1).max())}"
        line = ([1.001, 1.003, 1.018], [middle, middle, place])
        axes.plot(*line, transform=axes.transAxes, color="#999999", linewidth=0.7, clip_on=False)
        axes.annotate("■", (1.021, place), xycoords="axes fraction", color=band.colour, fontsize=11, va="center")
        name = sheet.fit(band.name, WIDTH - LEFT - 1.036 * MAIN - 0.3 - sheet.width_of(text))
        weight = "bold" if band.new else "normal"
        label = f"{name}  {text}"
        axes.text(1.036, place, label, transform=axes.transAxes, weight=weight, va="center_baseline", color=INK)


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
