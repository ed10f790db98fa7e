"""Checks of the labels' counts: how many, how rare, new ones, gone ones, another mix."""

from __future__ import annotations

from math import log, pi, sqrt
from typing import TYPE_CHECKING

import polars as pl

from headset.data.quality.finding import judged, skipped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from headset.data.quality.finding import Finding
    from headset.data.quality.limit import Ceiling, Floor, UnseenCeiling
    from headset.data.quality.table import LabelledTable

NO_REFERENCE = "name what it should be like with --reference"
_CHANCE = 1e-5
"""A label counts as vanished when so many rows miss it with less than this probability."""


def check_labels(table: LabelledTable, limit: Floor) -> Finding:
    """How many labels there are."""
    count = len(_named(table))
    return judged("labels", limit, count, f"{count} different labels", unit="labels")


def check_rarest(table: LabelledTable, limit: Floor) -> Finding:
    """Rows of the rarest label."""
    counts = _named(table)
    if not counts:
        return skipped("rarest", limit, "there is no label")
    few = {label: count for label, count in sorted(counts.items(), key=_by_count) if count < limit.warn}
    least = min(counts.values())
    told = f"{len(few)} labels with fewer than {limit.warn:g} rows, the rarest with {least}"
    summary = told if few else f"the rarest label has {least} rows"
    return judged("rarest", limit, least, summary, unit="rows", parts=few)


def check_unseen(
    table: LabelledTable,
    limit: UnseenCeiling,
    *,
    reference: LabelledTable | None,
    champion: Collection[str] | None,
    test: LabelledTable | None,
) -> Finding:
    """Labels, languages and channels that the reference lacks, and labels of the test data that the data lack.

    Without a reference, labels that the champion does not know are told, and never fail: a model is no agreement.
    """
    if reference is None and champion is None and test is None:
        return skipped("unseen", limit, f"nothing to compare with; {NO_REFERENCE}")
    allowed = set(limit.allowed)
    known = _named(reference).keys() if reference is not None else champion
    fresh = {} if known is None else _outside(_named(table), {*known, *allowed})
    untaught = {} if test is None else _outside(_named(test), {*_named(table), *allowed})
    kinds = [pl.col("label").is_in(list(fresh))]
    told = [f"{len(fresh)} labels" if fresh else ""]
    if reference is not None:
        for column in ("language", "channel"):
            usual = set(reference.frame[column].drop_nulls())
            strange = {each for each in table.frame[column].drop_nulls() if usual and each not in usual | allowed}
            kinds.append(pl.col(column).is_in(list(strange)))
            told.append(f"{column} {', '.join(sorted(strange)[:5])}" if strange else "")
    rows = table.frame.filter(pl.any_horizontal(kinds).fill_null(value=False))["id"].to_list()
    of_labels = sum(fresh.values()) / max(table.rows, 1)
    of_test = sum(untaught.values()) / max(test.rows, 1) if test is not None else 0.0
    value = max(of_labels, len(rows) / max(table.frame.height, 1), of_test)
    told.append(f"{len(untaught)} labels only in the test data" if untaught else "")
    beside = "the reference" if reference is not None else "the champion" if champion is not None else "the data"
    found = "; ".join(filter(None, told))
    return judged(
        "unseen",
        limit,
        value,
        f"new to {beside}: {found}" if found else f"nothing that {beside} lacks",
        rows=rows,
        parts=fresh | untaught,
        blocks=reference is not None or of_test > limit.fail,
    )


def check_vanished(table: LabelledTable, limit: Ceiling, *, reference: LabelledTable | None) -> Finding:
    """Labels of the reference that the data lack, where chance would hardly leave them out."""
    if reference is None:
        return skipped("vanished", limit, f"nothing to compare with; {NO_REFERENCE}")
    counts, before = _named(table), _named(reference)
    total = max(sum(before.values()), 1)
    gone = {
        label: count
        for label, count in before.items()
        if label not in counts and (count == total or table.rows * log(1 - count / total) < log(_CHANCE))
    }
    summary = f"{len(gone)} labels of the reference are gone" if gone else "all labels of the reference are there"
    return judged("vanished", limit, len(gone), summary, unit="labels", parts=gone)


def check_balance(table: LabelledTable, limit: Ceiling, *, reference: LabelledTable | None) -> Finding:
    """How far the labels' shares are from the reference's.

    The total variation distance, less what two samples of one distribution differ by on average.
    """
    if reference is None:
        return skipped("balance", limit, f"nothing to compare with; {NO_REFERENCE}")
    now, before = _named(table), _named(reference)
    total, total_before = sum(now.values()), sum(before.values())
    if not total or not total_before:
        return skipped("balance", limit, "there is no label on one side")
    moves = {
        label: now.get(label, 0) / total - before.get(label, 0) / total_before for label in sorted({*now, *before})
    }
    chance = 0.0
    for label in moves:
        share = (now.get(label, 0) + before.get(label, 0)) / (total + total_before)
        chance += sqrt(share * (1 - share) * (1 / total + 1 / total_before) * 2 / pi) / 2
    value = max(sum(map(abs, moves.values())) / 2 - chance, 0.0)
    parts = dict(sorted(moves.items(), key=lambda item: (-abs(item[1]), item[0]))[:10])
    summary = f"{value:.0%} of rows would have to change their label to give the reference's mix"
    return judged("balance", limit, value, summary, unit="of rows", parts=parts)


def _named(table: LabelledTable) -> dict[str, int]:
    return {label: count for label, count in table.labels.items() if label}


def _outside(counts: Mapping[str, int], known: Collection[str]) -> dict[str, int]:
    return {label: count for label, count in sorted(counts.items()) if label not in known}


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return item[1], item[0]
