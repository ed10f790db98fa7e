"""What a training of the risk model did and found, as data and as a page for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from rich.console import Group
from rich.table import Table
from rich.text import Text

from headset.training.risk.evaluation import MAJORITY, SENTIMENT, Evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType


class RiskReport(Struct, frozen=True):
    """The outcome of one training.

    Attributes:
        model: Name of the model.
        version: The version it was registered as.
        champion: True when this version serves now.
        verdict: Why it does or does not, and the next step.
        dataset: What it learned from; empty for all the log.
        data_fingerprint: Of turns, features and labels.
        data_position: Log offset up to which the features looked.
        feature_service: What it reads.
        features: The version of each feature, by ``view.feature``.
        conversations: How many it learned from.
        bad: How many of them ended badly.
        turns: Customer turns in them.
        evaluation: On conversations that were held out.
        threshold: Risk from which a person should take over.
        metrics: As registered; names as in docs/risk.md.
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
    data_position: int
    feature_service: str
    features: dict[str, str]
    conversations: int
    bad: int
    turns: int
    evaluation: Evaluation
    threshold: float
    metrics: dict[str, float]
    artifact_sha256: str
    run_id: str
    tracking_uri: str
    commit: str
    seed: int
    duration_s: float


def render(report: RiskReport) -> RenderableType:
    """The report as a person reads it."""
    page = Table(show_header=False, box=None, pad_edge=False)
    for name, value in _rows(report):
        page.add_row(name, Text(value))
    return Group(page, "", _figures(report.evaluation), "", Text(report.verdict))


def _rows(report: RiskReport) -> Iterator[tuple[str, str]]:
    found = report.evaluation
    yield "model", f"{report.model} version {report.version}" + (", the champion" if report.champion else "")
    where = repr(report.dataset) if report.dataset else "the log"
    yield "learned from", f"{report.turns} customer turns of {report.conversations} conversations in {where}"
    yield "", f"{report.bad} of them ended unresolved or dissatisfied"
    yield "reads", f"{len(report.features)} features of the service {report.feature_service}"
    yield "measured on", "the same conversations, each held out once; intervals of 95 %"
    yield "AUROC", f"{found.auroc:.3f} at the last turn, {found.auroc_every:.3f} over all turns"
    yield "calibration error", f"{found.calibration_error:.3f}"
    handed = found.handoffs
    yield "handed to a person", f"{handed.share:.1%} of conversations, at risk {report.threshold:.3f} or more"
    yield "", f"{handed.precision:.1%} of them end badly, which is {handed.recall:.1%} of all that do"
    yield "MLflow run", f"{report.run_id} in {report.tracking_uri}"
    yield "took", f"{report.duration_s:.0f} s"


def _figures(found: Evaluation) -> Table:
    table = Table("macro-F1", f"last turn (n = {found.last.turns})", f"all turns (n = {found.every.turns})")
    rows = {
        "model": "model",
        "majority": MAJORITY,
        "sentiment": SENTIMENT,
        "over_majority": "gain over the first",
        "over_sentiment": "gain over the second",
    }
    for field, name in rows.items():
        table.add_row(name, *(str(getattr(compared, field)) for compared in (found.last, found.every)))
    return table
