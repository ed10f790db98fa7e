"""The report as a table for the terminal: a line per KPI, a column per model version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.monitoring.report import ModelReport, Share

_NONE = "–"


def render(reports: Sequence[ModelReport]) -> Table:
    """Draw ``reports`` side by side; a dash stands where nothing has been counted yet."""
    table = Table("KPI" if reports else "No decisions in this window")
    for report in reports:
        mode = " (shadow)" if report.shadow else ""
        table.add_column(f"{report.model} {report.model_version}{mode}", justify="right")
    lines = [_lines(report) for report in reports]
    for label in lines[0] if lines else ():
        table.add_row(label, *(line[label] for line in lines))
    return table


def _lines(report: ModelReport) -> dict[str, str]:
    latency = report.latency_ms
    return {
        "decisions": f"{report.decisions:,}",
        "accuracy (95 % interval)": _accuracy(report.accuracy),
        "calibration error": _number(report.calibration_error, ".3f"),
        "override rate": _percent(report.override),
        "acceptance (of shown)": _percent(report.acceptance),
        "edited": _percent(report.edited),
        "mean edit distance": _number(report.edit_distance, ".2f"),
        "containment": _percent(report.containment),
        "to a human": _percent(report.to_human),
        "reasons": "\n".join(f"{reason} {count:,}" for reason, count in report.human_reasons.items()) or _NONE,
        "automation coverage": _percent(report.automation),
        "latency p50 / p95 / p99, ms": f"{latency.p50:.1f} / {latency.p95:.1f} / {latency.p99:.1f}",
        "decisions per second": _number(report.per_second, ".3g"),
        "busiest minute": f"{report.peak_per_minute:,}",
        "errors": _percent(report.errors),
        "degraded": _percent(report.degraded),
    }


def _accuracy(share: Share) -> str:
    if share.value is None or share.low is None or share.high is None:
        return _NONE
    return f"{share.value:.2%} ({share.low:.1%} to {share.high:.1%}) of {share.of:,}"


def _percent(share: Share) -> str:
    return _NONE if share.value is None else f"{share.value:.1%} of {share.of:,}"


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)
