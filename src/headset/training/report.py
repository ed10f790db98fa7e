"""What a training did and found, as data and as a page for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from rich.console import Group
from rich.table import Table
from rich.text import Text

from headset.training.baseline import Comparison
from headset.training.confusion import ConfusedPair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

_PAIRS_SHOWN = 5


class TrainingReport(Struct, frozen=True):
    """The outcome of one training.

    Attributes:
        model: Name of the model.
        version: The version it was registered as.
        champion: True when this version serves now.
        verdict: Why it does or does not, and the next step.
        dataset: What it learned from.
        data_fingerprint: Of ``dataset``.
        rows: Texts in ``dataset``.
        synthetic_rows: Made-up texts it learned from as well.
        labels: The intents it tells apart.
        tested_on: What it was measured on.
        test_rows: Texts it was measured on.
        refitted: True when, after measuring, it was fitted again on all rows, test rows included.
        metrics: Measured on the test rows with the compiled scorer; names as in docs/training.md.
        baseline: The plain model it was compared with.
        comparison: Both on the same test rows.
        confused: The pairs of intents it confused most.
        artifact_sha256: Of the registered files.
        run_id: In MLflow.
        tracking_uri: Of MLflow.
        commit: The code's.
        seed: Of everything random.
        duration_s: Wall-clock seconds.
    """

    model: str
    version: str
    champion: bool
    verdict: str
    dataset: str
    data_fingerprint: str
    rows: int
    synthetic_rows: int
    labels: list[str]
    tested_on: str
    test_rows: int
    refitted: bool
    metrics: dict[str, float]
    baseline: str
    comparison: Comparison
    confused: list[ConfusedPair]
    artifact_sha256: str
    run_id: str
    tracking_uri: str
    commit: str
    seed: int
    duration_s: float


def render(report: TrainingReport) -> RenderableType:
    """The report as a person reads it."""
    page = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(report):
        page.add_row(name, Text(value))
    return Group(page, "", Text(report.verdict))


def _rows(report: TrainingReport) -> Iterator[tuple[str, str]]:
    metrics, comparison = report.metrics, report.comparison
    low, high = metrics["accuracy_low"], metrics["accuracy_high"]
    yield "model", f"{report.model} version {report.version}" + (", the champion" if report.champion else "")
    yield "learned from", f"{report.rows} texts of {len(report.labels)} intents in {report.dataset!r}"
    if report.synthetic_rows:
        yield "", f"and {report.synthetic_rows} synthetic ones, never measured on"
    yield "measured on", f"{report.test_rows} texts: {report.tested_on}"
    if report.refitted:
        yield "", "then fitted again on all texts; the figures are those of the fit before"
    yield "accuracy", f"{metrics['accuracy']:.1%} (95 % interval {low:.1%} to {high:.1%})"
    yield (
        "baseline",
        f"{comparison.baseline_accuracy:.1%} ({report.baseline}); exact McNemar p = {comparison.p_value:.2g}",
    )
    yield "macro F1", f"{metrics['macro_f1']:.3f}"
    yield "calibration error", f"{metrics['calibration_error']:.3f}"
    yield "bot answers alone", _at_threshold(metrics)
    for index, pair in enumerate(report.confused[:_PAIRS_SHOWN]):
        yield "" if index else "most confused", f"{pair.intent} taken for {pair.predicted}: {pair.count}"
    yield "MLflow run", f"{report.run_id} in {report.tracking_uri}"
    yield "took", f"{report.duration_s:.0f} s"


def _at_threshold(metrics: dict[str, float]) -> str:
    if not metrics["automatic_ratio"]:
        return f"no text: none reaches the confidence {metrics['threshold']:.3f} that the stated precision asks for"
    return (
        f"{metrics['automatic_ratio']:.1%} of texts, at confidence {metrics['threshold']:.3f} or more;"
        f" {metrics['automatic_precision']:.1%} of them right"
    )
