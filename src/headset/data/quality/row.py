"""Checks that look at one row at a time: schema, what is empty, what is out of range."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from headset.core.clock import MICROSECONDS
from headset.data.quality.finding import judged
from headset.data.quality.table import SCHEMA
from headset.data.rule import LABEL_LIMIT

if TYPE_CHECKING:
    from headset.data.quality.finding import Finding
    from headset.data.quality.limit import Ceiling, RangeCeiling
    from headset.data.quality.table import LabelledTable

_DAY_US = 86_400 * MICROSECONDS
_NAME = r"\A[A-Za-z0-9._:-]{1,128}$"
_PLACEHOLDERS = ("null", "none", "nan", "n/a", "na", "nil", "undefined", "[null]", "<na>", "#n/a", "-", "?")

_ROWS = pa.DataFrameSchema(
    {
        "id": pa.Column(pl.String, unique=True),
        "text": pa.Column(pl.String, nullable=True),
        "label": pa.Column(
            pl.String,
            checks=[
                pa.Check.str_matches(r"\A(\S([^\x00-\x1f\x7f]*\S)?)?$"),
                pa.Check.str_length(max_value=LABEL_LIMIT),
            ],
            nullable=True,
        ),
        "time": pa.Column(pl.Int64, nullable=True),
        "language": pa.Column(pl.String, checks=pa.Check.str_matches(_NAME), nullable=True),
        "channel": pa.Column(pl.String, checks=pa.Check.str_matches(_NAME), nullable=True),
        "queue": pa.Column(pl.String, checks=pa.Check.str_matches(_NAME), nullable=True),
        "attributes": pa.Column(pl.String, nullable=True),
    },
    strict=True,
)
"""What is null or empty is another check's affair."""


def check_schema(table: LabelledTable, limit: Ceiling) -> Finding:
    """Columns, their types and the form of their values, by pandera."""
    bad: dict[str, list[int]] = {}
    try:
        _ROWS.validate(table.frame, lazy=True)
    except SchemaErrors as errors:
        for column, index in errors.failure_cases.select("column", "index").iter_rows():
            bad.setdefault(str(column), []).append(-1 if index is None else int(index))
    places = sorted({index for indices in bad.values() for index in indices if index >= 0})
    value = len(places) / max(table.frame.height, 1) if places or not bad else 1.0
    told = ", ".join(f"{column} ({len(indices)})" for column, indices in sorted(bad.items()))
    return judged(
        "schema",
        limit,
        value,
        f"values of another form than the schema's: {told}" if bad else f"all {len(SCHEMA)} columns fit",
        rows=table.frame["id"].gather(places).to_list(),
        parts={column: len(indices) for column, indices in bad.items()},
    )


def check_empty(table: LabelledTable, limit: Ceiling) -> Finding:
    """Rows without text or label, or with a placeholder for one."""
    hollow = {
        column: pl.col(column).fill_null("").str.strip_chars().str.to_lowercase().is_in(["", *_PLACEHOLDERS])
        for column in ("text", "label")
    }
    found = table.frame.filter(pl.any_horizontal(hollow.values()))
    counts = {column: table.frame.filter(expression).height for column, expression in hollow.items()}
    return judged(
        "empty",
        limit,
        found.height / max(table.frame.height, 1),
        f"{counts['text']} rows lack a text, {counts['label']} a label",
        rows=found["id"].to_list(),
        parts=counts,
    )


def check_ranges(table: LabelledTable, limit: RangeCeiling, *, now: int) -> Finding:
    """Texts that are too short or long, times that cannot be; ``now`` in microseconds since the epoch.

    A text without a letter counts as too short; an empty one is left to :func:`check_empty`.
    """
    length = pl.col("text").str.strip_chars().str.len_chars()
    earliest = round(datetime(limit.earliest, 1, 1, tzinfo=UTC).timestamp()) * MICROSECONDS
    wordless = ~pl.col("text").str.contains(r"\p{L}")
    kinds = {
        "too short": (length > 0) & ((length < limit.shortest) | wordless),
        "too long": length > limit.longest,
        f"before {limit.earliest}": pl.col("time") < earliest,
        "in the future": pl.col("time") > now + round(limit.ahead_days * _DAY_US),
    }
    kinds = {name: expression.fill_null(value=False) for name, expression in kinds.items()}
    found = table.frame.filter(pl.any_horizontal(kinds.values()))
    counts = {name: table.frame.filter(expression).height for name, expression in kinds.items()}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return judged(
        "ranges",
        limit,
        found.height / max(table.frame.height, 1),
        f"texts out of range: {told}" if told else f"all of {limit.shortest} to {limit.longest} characters, in time",
        rows=found["id"].to_list(),
        parts={name: count for name, count in counts.items() if count},
    )
