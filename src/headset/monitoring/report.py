"""How the models do: the KPIs of every model version, computed from the decision record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from headset.monitoring.kpi import RATIOS
from headset.stats.classification import BINS
from headset.stats.intervals import wilson

if TYPE_CHECKING:
    import duckdb

_SECOND = 1_000_000


class Share(Struct, frozen=True):
    """``count`` of ``of``, with its Wilson 95 % interval; without any cases there is no value, rather than 0."""

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None


class Latency(Struct, frozen=True):
    """Quantiles of the time a decision took, in milliseconds, interpolated between observed values."""

    p50: float
    p95: float
    p99: float


class ModelReport(Struct, frozen=True, kw_only=True):
    """The KPIs of one model version; the shares are defined in :mod:`headset.monitoring.kpi`.

    Attributes:
        model: Name of the model.
        model_version: Its version.
        shadow: True for the decisions it made without serving; they are reported apart from served ones.
        decisions: Decisions made. Maturity: at once, as for all figures below unless said otherwise.
        accuracy: See :data:`~headset.monitoring.kpi.ACCURACY`.
        calibration_error: See :func:`~headset.stats.classification.expected_calibration_error`. Denominator and
            maturity as accuracy, abstentions left out.
        override: See :data:`~headset.monitoring.kpi.OVERRIDE`.
        acceptance: See :data:`~headset.monitoring.kpi.ACCEPTANCE`.
        edited: See :data:`~headset.monitoring.kpi.EDITED`.
        edit_distance: Mean edit distance (0 to 1) of displayed suggestions that were edited. Maturity as acceptance.
        containment: See :data:`~headset.monitoring.kpi.CONTAINMENT`.
        to_human: See :data:`~headset.monitoring.kpi.TO_HUMAN`.
        human_reasons: Decisions routed to a person, by reason; most frequent first.
        automation: See :data:`~headset.monitoring.kpi.AUTOMATION`.
        latency_ms: Over all decisions, failed ones included.
        per_second: Decisions divided by the seconds of the window, the same for all versions; None when no time passed.
        peak_per_minute: Most decisions in one minute of the clock.
        errors: See :data:`~headset.monitoring.kpi.ERRORS`.
        degraded: See :data:`~headset.monitoring.kpi.DEGRADED`.
    """

    model: str
    model_version: str
    shadow: bool
    decisions: int
    accuracy: Share
    calibration_error: float | None
    override: Share
    acceptance: Share
    edited: Share
    edit_distance: float | None
    containment: Share
    to_human: Share
    human_reasons: dict[str, int]
    automation: Share
    latency_ms: Latency
    per_second: float | None
    peak_per_minute: int
    errors: Share
    degraded: Share


_SHARES = ", ".join(
    f"[count(*) FILTER (WHERE ({kpi.whole}) AND ({kpi.part})), count(*) FILTER (WHERE {kpi.whole})] AS {kpi.name}"
    for kpi in RATIOS
)
_QUERY = f"""
WITH chosen AS (SELECT *, arm = 'shadow' AS shadow FROM decisions WHERE {{window}}),
summary AS (
    SELECT model, model_version, shadow, count(*) AS decisions, {_SHARES},
        avg(edit_distance) FILTER (WHERE shown AND action = 'edited') AS edit_distance,
        quantile_cont(latency_ms, [0.5, 0.95, 0.99]) AS latency_ms,
        epoch_us(min(event_time)) AS first_time, epoch_us(max(event_time)) AS last_time
    FROM chosen GROUP BY ALL
),
routed AS (
    SELECT model, model_version, shadow, coalesce(reason, 'unknown') AS reason, count(*) AS n
    FROM chosen WHERE route = 'human' GROUP BY ALL
),
reasons AS (
    SELECT model, model_version, shadow,
        map(list(reason ORDER BY n DESC, reason), list(n ORDER BY n DESC, reason)) AS human_reasons
    FROM routed GROUP BY ALL
),
minutes AS (
    SELECT model, model_version, shadow, date_trunc('minute', event_time) AS minute, count(*) AS n
    FROM chosen GROUP BY ALL
),
peaks AS (SELECT model, model_version, shadow, max(n) AS peak_per_minute FROM minutes GROUP BY ALL),
bins AS (
    SELECT model, model_version, shadow, greatest(ceil(confidence * {BINS}), 1) AS bin, count(*) AS n,
        abs(sum(confidence) - count(*) FILTER (WHERE intent = label)) AS gap
    FROM chosen WHERE label IS NOT NULL AND intent IS NOT NULL GROUP BY ALL
),
calibration AS (
    SELECT model, model_version, shadow, sum(gap) / sum(n) AS calibration_error FROM bins GROUP BY ALL
)
SELECT * FROM summary
LEFT JOIN reasons USING (model, model_version, shadow)
LEFT JOIN peaks USING (model, model_version, shadow)
LEFT JOIN calibration USING (model, model_version, shadow)
ORDER BY model, shadow, first_time, model_version
"""  # noqa: S608 - made of this package's own conditions


def report(
    connection: duckdb.DuckDBPyConnection, *, since: int | None = None, until: int | None = None
) -> list[ModelReport]:
    """Compute the KPIs of every model version that decided in a window, by model, the earliest version first.

    Args:
        connection: Has the table or view ``decisions``; see :meth:`~headset.feedback.table.DecisionTable.open`.
        since: First event time of decisions to count, microseconds; None for all. What became of a decision counts
            whenever it was reported.
        until: First event time that is left out. Without limits the window is from the first decision to the last.

    The cost grows with the decisions in the window: a million take about half a second. Quantiles are exact, and
    keep 8 bytes per decision in memory.
    """
    bounds = ((">=", since), ("<", until))
    limits = [f"event_time {sign} make_timestamp({limit:d})" for sign, limit in bounds if limit is not None]
    result = connection.execute(_QUERY.format(window=" AND ".join(limits) or "TRUE"))
    names = [column[0] for column in result.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    start = min((row["first_time"] for row in rows), default=0) if since is None else since
    end = max((row["last_time"] for row in rows), default=0) if until is None else until
    return [_model_report(row, (end - start) / _SECOND) for row in rows]


def _model_report(row: dict[str, Any], seconds: float) -> ModelReport:
    """One report from one row of the query."""
    p50, p95, p99 = row["latency_ms"]
    return ModelReport(
        model=row["model"],
        model_version=row["model_version"],
        shadow=row["shadow"],
        decisions=row["decisions"],
        accuracy=_share(*row["accuracy"]),
        calibration_error=row["calibration_error"],
        override=_share(*row["override"]),
        acceptance=_share(*row["acceptance"]),
        edited=_share(*row["edited"]),
        edit_distance=row["edit_distance"],
        containment=_share(*row["containment"]),
        to_human=_share(*row["to_human"]),
        human_reasons=row["human_reasons"] or {},
        automation=_share(*row["automation"]),
        latency_ms=Latency(p50, p95, p99),
        per_second=row["decisions"] / seconds if seconds > 0 else None,
        peak_per_minute=row["peak_per_minute"],
        errors=_share(*row["errors"]),
        degraded=_share(*row["degraded"]),
    )


def _share(count: int, of: int) -> Share:
    if of == 0:
        return Share(count, of, None, None, None)
    low, high = wilson(count, of)
    return Share(count, of, count / of, low, high)
