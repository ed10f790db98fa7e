"""Checks of how much there is, and how new it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from headset.core.clock import MICROSECONDS, iso
from headset.data.quality.finding import judged, skipped
from headset.data.quality.label import NO_REFERENCE

if TYPE_CHECKING:
    from headset.data.quality.finding import Finding
    from headset.data.quality.limit import Ceiling, Floor
    from headset.data.quality.table import LabelledTable

_DAY_US = 86_400 * MICROSECONDS
_END = 253_000_000_000_000_000  # in the year 9987: later moments cannot be written


def check_volume(table: LabelledTable, limit: Floor) -> Finding:
    """Rows, all of them."""
    erased = f"; {table.erased} more were erased" if table.erased else ""
    return judged("volume", limit, table.rows, f"{table.rows:,} rows{erased}", unit="rows")


def check_volume_change(table: LabelledTable, limit: Floor, *, reference: LabelledTable | None) -> Finding:
    """Rows as a part of the reference's."""
    if reference is None or not reference.rows:
        return skipped("volume_change", limit, f"nothing to compare with; {NO_REFERENCE}")
    summary = f"{table.rows:,} rows, the reference has {reference.rows:,}"
    return judged("volume_change", limit, table.rows / reference.rows, summary, unit="of the reference's rows")


def check_freshness(table: LabelledTable, limit: Ceiling, *, now: int) -> Finding:
    """Days since the newest text; what a file did not date counts from its import."""
    times = table.frame["time"].drop_nulls()
    times = times.filter((times >= 0) & (times < _END))
    if times.is_empty():
        return skipped("freshness", limit, "no row bears a time")
    newest = max(times)
    days = max(now - newest, 0) / _DAY_US
    return judged("freshness", limit, days, f"the newest text is of {iso(newest)[:10]}", unit="days")
