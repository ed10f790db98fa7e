"""All checks of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from headset.data.quality.duplicate import (
    check_conflicts,
    check_duplicates,
    check_leakage,
    check_near_duplicates,
    check_near_leakage,
)
from headset.data.quality.finding import Finding
from headset.data.quality.label import check_balance, check_labels, check_rarest, check_unseen, check_vanished
from headset.data.quality.label_noise import check_label_noise
from headset.data.quality.limit import SHIPPED
from headset.data.quality.outlier import check_outliers
from headset.data.quality.row import check_empty, check_ranges, check_schema
from headset.data.quality.spoken import check_language
from headset.data.quality.table import LabelledTable
from headset.data.quality.volume import check_freshness, check_volume, check_volume_change

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from headset.data.quality.limit import Limits
    from headset.features.encoder import Encoder


class Beside(Struct, frozen=True, kw_only=True):
    """What a data set is compared with.

    Attributes:
        test: What a model of the data will be measured on.
        reference: Data that were accepted before, such as last month's.
        champion: The labels that the serving model knows.
    """

    test: LabelledTable | None = None
    reference: LabelledTable | None = None
    champion: tuple[str, ...] | None = None


ALONE = Beside()


class DataReport(Struct, frozen=True, kw_only=True):
    """What all checks found.

    Attributes:
        name: Of the data set.
        mark: ``fail`` where one check fails, else ``warn`` where one warns, else ``pass``.
        rows: All rows.
        looked_at: Texts that were looked at one by one; fewer than ``rows`` where they were sampled.
        test: Name of the test data, if any.
        reference: Name of the reference, if any.
        findings: One of each check, in the order of the limits.
    """

    name: str
    mark: Literal["pass", "warn", "fail"]
    rows: int
    looked_at: int
    test: str | None
    reference: str | None
    findings: tuple[Finding, ...]

    def finding(self, check: str) -> Finding:
        """The finding of the check of this name.

        Raises:
            KeyError: there is no such check.
        """
        return {each.check: each for each in self.findings}[check]


def check_data(
    table: LabelledTable,
    *,
    encoder: Encoder,
    now: int,
    beside: Beside = ALONE,
    limits: Limits = SHIPPED,
    only: Collection[str] | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> DataReport:
    """Run all checks; equal input gives an equal report.

    Args:
        table: The data.
        encoder: Gives the embeddings that label noise and outliers are found by.
        now: Microseconds since the epoch.
        beside: What it is compared with.
        limits: Of all checks.
        only: Names of the checks to run; all when left out.
        seed: Of folds and samples.
        progress: Called with the fraction done.
    """
    test, reference, champion = beside.test, beside.reference, beside.champion
    checks: dict[str, Callable[[], Finding]] = {
        "schema": lambda: check_schema(table, limits.schema),
        "empty": lambda: check_empty(table, limits.empty),
        "ranges": lambda: check_ranges(table, limits.ranges, now=now),
        "labels": lambda: check_labels(table, limits.labels),
        "rarest": lambda: check_rarest(table, limits.rarest),
        "unseen": lambda: check_unseen(table, limits.unseen, reference=reference, champion=champion, test=test),
        "vanished": lambda: check_vanished(table, limits.vanished, reference=reference),
        "balance": lambda: check_balance(table, limits.balance, reference=reference),
        "duplicates": lambda: check_duplicates(table, limits.duplicates),
        "near_duplicates": lambda: check_near_duplicates(table, limits.near_duplicates),
        "conflicts": lambda: check_conflicts(table, limits.conflicts),
        "label_noise": lambda: check_label_noise(table, limits, reference=reference, encoder=encoder, seed=seed),
        "leakage": lambda: check_leakage(table, limits.leakage, test=test),
        "near_leakage": lambda: check_near_leakage(table, limits.near_leakage, test=test),
        "language": lambda: check_language(table, limits.language, reference=reference),
        "outliers": lambda: check_outliers(table, limits.outliers, reference=reference, encoder=encoder, seed=seed),
        "volume": lambda: check_volume(table, limits.volume),
        "volume_change": lambda: check_volume_change(table, limits.volume_change, reference=reference),
        "freshness": lambda: check_freshness(table, limits.freshness, now=now),
    }
    wanted = [name for name in checks if only is None or name in only]
    findings = []
    for number, name in enumerate(wanted, start=1):
        findings.append(checks[name]())
        if progress is not None:
            progress(number / len(wanted))
    marks = {finding.mark for finding in findings}
    return DataReport(
        name=table.name,
        mark="fail" if "fail" in marks else "warn" if "warn" in marks else "pass",
        rows=table.rows,
        looked_at=table.frame.height,
        test=None if test is None else test.name,
        reference=None if reference is None else reference.name,
        findings=tuple(findings),
    )
