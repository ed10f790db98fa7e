"""What is planted in a period, drawn: names over the volume, bars in lanes."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from headset.twin.plot_sheet import COLOURS, INK, MAIN, ROW, Sheet, entitle, write_day, write_percent
from headset.twin.truth import Episode, PlantedFault

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PAD = 0.08  # inches
_GAP = 0.05
_LONGEST_NAME = 2.4
_NAME_ROWS = 5
_LANE_ROWS = 40
_YEAR_DAYS = 366


class Label(Struct):
    """A text and the span of time it names, in inches from the left of a wide panel.

    Attributes:
        kind: Of what is planted.
        text: Cut to the room there is.
        start: Where the span begins.
        end: Where it ends, or is taken.
        text_from: Where the text begins: within the span, right of it or left of it.
        width: Of the text.
        ramp: Where a gradual change begins and is complete, perhaps beyond the panel.
        row: From the top.
    """

    kind: str
    text: str
    start: float
    end: float
    text_from: float
    width: float
    ramp: tuple[float, float] | None = None
    row: int = 0


def pack_names(sheet: Sheet, spans: list[Episode]) -> list[Label]:
    """Names beside the beginning of each span; a name for which no row is free stands in the lanes only."""
    names = []
    for each in spans:
        text = sheet.fit(each.name, _LONGEST_NAME)
        start, _ = sheet.span(each)
        width = sheet.width_of(text)
        text_from = start + _GAP if start + _GAP + width <= MAIN else start - _GAP - width
        names.append(Label(each.drift, text, start, start, text_from, width))
    return _pack(names, _NAME_ROWS)


def draw_names(sheet: Sheet, axes: Axes, spans: list[Episode], names: list[Label], below: float) -> None:
    """Shade the spans up to ``below`` inches, and write the names above."""
    inches, height = sheet.inches_of(axes), sheet.height_of(axes)
    for each in spans:
        axes.fill_between(
            sheet.span(each), 0, below, transform=inches, color=COLOURS[each.drift], alpha=0.2, lw=0, zorder=0
        )
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
    for name in names:
        y = height - (name.row + 0.5) * ROW
        axes.plot([name.start] * 2, [below, y + ROW / 3], transform=inches, color=COLOURS[name.kind], linewidth=1)
        axes.text(name.text_from, y, name.text, transform=inches, va="center_baseline", color=INK, bbox=box)


def draw_faults(sheet: Sheet, axes: Axes, faults: list[PlantedFault]) -> None:
    """Draw when the data are faulty, in one lane."""
    axes.set_ylim(0, 1)
    axes.set_facecolor("#f2f2f2")
    axes.set_yticks([0.5], ["faults"])
    sheet.show_time(axes)
    inches, top = sheet.inches_of(axes), sheet.height_of(axes)
    for each in faults:
        axes.fill_between(
            sheet.span(each), 0.1 * top, 0.9 * top, transform=inches, color=COLOURS["fault"], alpha=0.7, lw=0
        )


def pack_lanes(sheet: Sheet, planted: list[Episode | PlantedFault]) -> tuple[list[Label], int]:
    """Rows of bars by kind, and how many found no row."""
    lanes: list[Label] = []
    rows = 0
    for kind in COLOURS:
        alike = [each for each in planted if (each.drift if isinstance(each, Episode) else "fault") == kind]
        found = _pack([_lane(sheet, kind, each) for each in alike], _LANE_ROWS - rows)
        for lane in found:
            lane.row += rows
        rows = max((lane.row + 1 for lane in found), default=rows)
        lanes += found
    return lanes, len(planted) - len(lanes)


def _pack(labels: list[Label], most: int) -> list[Label]:
    """Each in the first row where nothing is in its way."""
    rows: list[list[tuple[float, float]]] = [[] for _ in range(most)]
    found = []
    for label in labels:
        left, right = min(label.start, label.text_from), max(label.end, label.text_from + label.width)
        for row, taken in enumerate(rows):
            if all(right + _PAD <= other_left or other_right + _PAD <= left for other_left, other_right in taken):
                taken.append((left, right))
                label.row = row
                found.append(label)
                break
    return found


def _lane(sheet: Sheet, kind: str, each: Episode | PlantedFault) -> Label:
    """A bar, and its text within it, right of it or left of it."""
    start, end = sheet.span(each)
    ramp = None
    if kind == "gradual":
        ramp, end = (sheet.across(each.start), sheet.across(each.end)), MAIN
    within, right, left = end - start - 2 * _PAD, MAIN - end - _PAD, start - _PAD
    text = sheet.fit(_describe(sheet, each), max(within, right, left))
    width = sheet.width_of(text)
    text_from = start + _PAD if width <= within else end + _PAD if width <= right else start - _PAD - width
    return Label(kind, text, start, end, text_from, width, ramp)


def draw_lanes(sheet: Sheet, axes: Axes, lanes: list[Label], left_out: int) -> None:
    """Draw the bars, kind by kind."""
    rows = max(lane.row for lane in lanes) + 1
    axes.set_ylim(rows, 0)
    sheet.show_time(axes)
    middles = {}
    for kind in COLOURS:
        taken = [lane.row for lane in lanes if lane.kind == kind]
        if taken:
            middles[kind] = (min(taken) + max(taken) + 1) / 2
            if max(taken) + 1 < rows:
                axes.axhline(max(taken) + 1, color="0.85", linewidth=0.6)
    axes.set_yticks(list(middles.values()), list(middles))
    inches = sheet.inches_of(axes)
    for lane in lanes:
        middle = (rows - lane.row - 0.5) * ROW
        bottom, top = middle - 0.38 * ROW, middle + 0.38 * ROW
        colour = COLOURS[lane.kind]
        if lane.ramp:
            begun, complete = lane.ramp
            far = max(complete, MAIN)
            corners = ([begun, complete, far, far], [bottom, top, top, bottom])
        else:
            corners = ([lane.start, lane.end, lane.end, lane.start], [top, top, bottom, bottom])
        axes.fill(*corners, transform=inches, color=colour, alpha=0.35, linewidth=0)
        axes.plot([lane.start] * 2, [bottom, top], transform=inches, color=colour, linewidth=1.5)
        axes.text(lane.text_from, middle, lane.text, transform=inches, va="center_baseline", color=INK)
    entitle(axes, "What is planted" + (f"; {left_out} more found no room" if left_out else ""))


def _describe(sheet: Sheet, each: Episode | PlantedFault) -> str:
    """Name, dates, and what or whom it is about."""
    if isinstance(each, PlantedFault):
        about = [each.fault, each.field] + ([write_percent(each.share)] if each.share < 1 else [])
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
            return write_day(start, year=year)
        if (start.year, start.month) == (last.year, last.month):
            return f"{start.day}–{write_day(last, year=year)}"
        return f"{write_day(start, year=year)} – {write_day(last, year=year)}"
    if start.date() == end.date():
        return f"{write_day(start, year=year)} {start:%H:%M}–{end:%H:%M}"
    return f"{write_day(start, year=year)} {start:%H:%M} – {write_day(end, year=year)} {end:%H:%M}"
