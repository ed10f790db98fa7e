"""Checks of texts that occur more than once: equal, nearly equal, under several labels, in the test data as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from headset.data.quality.finding import judged, skipped
from headset.data.quality.near_duplicate import near_pairs
from headset.data.quality.table import text_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from headset.data.quality.finding import Finding
    from headset.data.quality.limit import Ceiling, SimilarCeiling
    from headset.data.quality.table import LabelledTable


def check_duplicates(table: LabelledTable, limit: Ceiling) -> Finding:
    """Rows whose text stood in an earlier row; counted over all rows."""
    keys = table.keys[table.keys != 0]
    count = len(keys) - len(np.unique(keys))
    again: list[str] = []
    seen: set[int] = set()
    for place, text in table.frame.select("id", "text").iter_rows():
        if text and text.strip():
            key = text_key(text)
            again += [place] if key in seen else []
            seen.add(key)
    value = count / max(table.rows, 1)
    return judged("duplicates", limit, value, f"{count} rows repeat the text of another", rows=again)


def check_conflicts(table: LabelledTable, limit: Ceiling) -> Finding:
    """Rows whose text bears another label in another row; counted over all rows."""
    labels = pl.DataFrame({"key": table.keys, "code": table.codes}).filter(pl.col("key") != 0)
    torn = labels.group_by("key").agg(pl.col("code").n_unique(), rows=pl.len()).filter(pl.col("code") > 1)
    value = int(torn["rows"].sum()) / max(table.rows, 1)
    wanted = set(torn["key"])
    rows = [place for place, text in table.frame.select("id", "text").iter_rows() if text_key(text or "") in wanted]
    return judged("conflicts", limit, value, f"{len(torn)} texts bear more than one label", rows=rows)


def check_near_duplicates(table: LabelledTable, limit: SimilarCeiling) -> Finding:
    """Different texts that are nearly an earlier one."""
    ids, texts, _ = _distinct(table)
    found: dict[int, float] = {}
    for _, later, similarity in near_pairs(texts, limit.similarity):
        found[later] = max(similarity, found.get(later, 0.0))
    ranked = sorted(found, key=lambda place: (-found[place], ids[place]))
    summary = f"{len(found)} of {len(texts)} different texts are nearly another{_of_sample(table)}"
    value = len(found) / max(len(texts), 1)
    return judged(
        "near_duplicates", limit, value, summary, unit="of different texts", rows=[ids[place] for place in ranked]
    )


def check_leakage(table: LabelledTable, limit: Ceiling, *, test: LabelledTable | None) -> Finding:
    """Test rows whose text is in the data, case and spaces aside; counted over all rows."""
    if test is None:
        return skipped("leakage", limit, "no test data; name them with --test")
    known = np.unique(table.keys[table.keys != 0])
    count = int(np.isin(test.keys, known).sum())
    rows = _rows_among(test, known)
    return judged(
        "leakage",
        limit,
        count / max(test.rows, 1),
        f"{count} of {test.rows} test texts are in the data",
        unit="of test rows",
        rows=rows,
    )


def check_near_leakage(table: LabelledTable, limit: SimilarCeiling, *, test: LabelledTable | None) -> Finding:
    """Test texts that are nearly one of the data; equal ones are left to :func:`check_leakage`."""
    if test is None:
        return skipped("near_leakage", limit, "no test data; name them with --test")
    _, texts, keys = _distinct(table)
    test_ids, test_texts, _ = _distinct(test, without=set(keys))
    both = [*texts, *test_texts]
    found: dict[int, float] = {}
    for earlier, later, similarity in near_pairs(both, limit.similarity):
        if earlier < len(texts) <= later:
            place = later - len(texts)
            found[place] = max(similarity, found.get(place, 0.0))
    ranked = sorted(found, key=lambda place: (-found[place], test_ids[place]))
    return judged(
        "near_leakage",
        limit,
        len(found) / max(len(test_texts), 1),
        f"{len(found)} more test texts are nearly one of the data{_of_sample(table)}",
        unit="of different test texts",
        rows=[test_ids[place] for place in ranked],
    )


def _distinct(table: LabelledTable, without: Collection[int] = ()) -> tuple[list[str], list[str], list[int]]:
    """Ids, texts and keys of the first rows of each text."""
    found: dict[int, tuple[str, str]] = {}
    for place, text in table.frame.select("id", "text").iter_rows():
        if text and text.strip() and (key := text_key(text)) not in without:
            found.setdefault(key, (place, text))
    return [place for place, _ in found.values()], [text for _, text in found.values()], list(found)


def _rows_among(table: LabelledTable, keys: NDArray[np.uint64]) -> list[str]:
    wanted = set(keys.tolist())
    return [place for place, text in table.frame.select("id", "text").iter_rows() if text_key(text or "") in wanted]


def _of_sample(table: LabelledTable) -> str:
    if table.share == 1:
        return ""
    return f"; seen in {table.share:.2%} of all, where most pairs are out of sight: look at more with --rows"
