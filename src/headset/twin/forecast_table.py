"""A forecast as a table for the terminal: a line per KPI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from rich.markup import escape
from rich.table import Table

from headset.twin.forecast import Forecast

if TYPE_CHECKING:
    from headset.twin.forecast import Estimate, WhatIf

_NONE = "–"


class _Form(Struct, frozen=True):
    """How a KPI is written: its name, and ``scale`` times its value with ``digits`` and a ``unit``."""

    title: str
    scale: float = 100.0
    digits: int = 1
    unit: str = " %"


_FORMS = {
    "containment": _Form("containment"),
    "durable_containment": _Form("durable containment"),
    "fcr": _Form("first contact resolution"),
    "transfer_rate": _Form("transfers"),
    "abandonment": _Form("abandonment"),
    "service_level": _Form("service level"),
    "asa_s": _Form("mean wait", 1.0, 1, " s"),
    "aht_s": _Form("mean handle time", 1.0, 1, " s"),
    "occupancy": _Form("occupancy"),
    "csat": _Form("satisfaction, 1 to 5", 1.0, 2, ""),
    "cost_per_contact": _Form("cost per contact", 1.0, 2, ""),
}


def render(found: Forecast | WhatIf) -> Table:
    """Draw a forecast, or two and what is between them, as a line per KPI."""
    if isinstance(found, Forecast):
        table = _table(found, f"mean of {found.study.runs} runs", f"{100 * found.study.level:g} % of periods")
        for kpi, estimate in found.figures.items():
            table.add_row(_FORMS[kpi].title, _mean(kpi, estimate), _interval(kpi, estimate))
        return table
    base, changed = found.base, found.changed
    table = _table(changed, "as it is", "changed", "difference", f"{100 * base.study.level:g} % of periods")
    moves = [f"{team} {base.agents[team]} → {now}" for team, now in changed.agents.items() if now != base.agents[team]]
    if changed.threshold != base.threshold:
        moves.append(f"threshold {base.threshold} → {changed.threshold}")
    table.title = ", ".join([str(table.title), *moves])
    for kpi, difference in found.differences.items():
        sides = (_mean(kpi, side.figures[kpi]) for side in (base, changed))
        table.add_row(
            _FORMS[kpi].title, *sides, _mean(kpi, difference, change=True), _interval(kpi, difference, change=True)
        )
    return table


def _table(found: Forecast, *columns: str) -> Table:
    table = Table("KPI", title=f"{found.scenario}, period of {found.study.days:g} d", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    if found.unlearned:
        table.caption = escape(f"The model has not learned, and gets wrong: {', '.join(found.unlearned)}.")
        table.caption_justify = "left"
    return table


def _mean(kpi: str, estimate: Estimate, *, change: bool = False) -> str:
    return _NONE if estimate.mean is None else _written(kpi, estimate.mean, change=change) + _unit(kpi, change=change)


def _interval(kpi: str, estimate: Estimate, *, change: bool = False) -> str:
    if estimate.low is None or estimate.high is None:
        return _NONE
    low, high = (_written(kpi, bound, change=change) for bound in (estimate.low, estimate.high))
    where = "" if estimate.defined == 1 else f"\n(where defined: {100 * estimate.defined:.0f} % of runs)"
    return f"{low} to {high}{_unit(kpi, change=change)}{where}"


def _written(kpi: str, value: float, *, change: bool) -> str:
    form = _FORMS[kpi]
    return f"{form.scale * value:{'+' if change else ''}z.{form.digits}f}"


def _unit(kpi: str, *, change: bool) -> str:
    unit = _FORMS[kpi].unit
    return " points" if change and unit == " %" else unit
