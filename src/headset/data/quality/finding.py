"""What a check found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from headset.data.quality.limit import Ceiling, Floor

Mark = Literal["pass", "warn", "fail", "skipped"]

ROWS_KEPT = 100
"""Rows named by a finding; all are counted."""


class Finding(Struct, frozen=True, kw_only=True):
    """The outcome of one check.

    Attributes:
        check: Its name, as in the limits.
        mark: How it stands.
        owner: Who is to act.
        value: What was measured; None where the check was skipped.
        unit: Of the value.
        warn: Its limits.
        fail: The same.
        summary: The finding in a sentence; no text of any person.
        rows: Ids of the first rows that are to blame, worst first where the check ranks them.
        row_count: All of them among the rows that were looked at.
        parts: The value by label, language or whatever the check tells apart, the worst first.
    """

    check: str
    mark: Mark
    owner: str
    value: float | None
    unit: str
    warn: float
    fail: float
    summary: str
    rows: tuple[str, ...] = ()
    row_count: int = 0
    parts: dict[str, float] = {}


def judged(
    check: str,
    limit: Ceiling | Floor,
    value: float,
    summary: str,
    *,
    unit: str = "of rows",
    rows: Sequence[str] = (),
    parts: Mapping[str, float] | None = None,
    blocks: bool = True,
) -> Finding:
    """A finding whose mark is what the limit says of the value; where it does not block, it warns at most."""
    mark = limit.judge(value)
    return Finding(
        check=check,
        mark=mark if blocks or mark != "fail" else "warn",
        owner=limit.owner,
        value=float(value),
        unit=unit,
        warn=limit.warn,
        fail=limit.fail,
        summary=summary,
        rows=tuple(rows[:ROWS_KEPT]),
        row_count=len(rows),
        parts={name: float(part) for name, part in (parts or {}).items()},
    )


def skipped(check: str, limit: Ceiling | Floor, reason: str) -> Finding:
    """A finding of a check that had nothing to look at."""
    return Finding(
        check=check,
        mark="skipped",
        owner=limit.owner,
        value=None,
        unit="",
        warn=limit.warn,
        fail=limit.fail,
        summary=reason,
    )
