"""What a data set looks like, in figures."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from msgspec import Struct

from headset.core.clock import iso
from headset.data.quality.language import detect_language
from headset.data.quality.word import words_of

if TYPE_CHECKING:
    from headset.data.quality.table import LabelledTable

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_WORDS_SHOWN = 20
_END = 253_000_000_000_000_000  # in the year 9987: later moments cannot be written


class LabelProfile(Struct, frozen=True):
    """One label: its rows, their part of all, and the median length of their texts in characters."""

    label: str
    rows: int
    ratio: float
    median_length: float | None


class DataProfile(Struct, frozen=True):
    """Counts over a data set.

    Attributes:
        name: Of the data set.
        rows: All labelled texts.
        looked_at: Texts the figures below ``duplicates`` come from; all of them, unless there are very many.
        erased: Labelled texts that are gone because their subject was erased.
        labels: Most frequent first.
        duplicates: Rows whose text occurs in an earlier row, case and spaces aside.
        lengths: Characters of a text, by quantile (``0.5`` is the median).
        words: The same of words.
        vocabulary: Different words.
        once: Words that occur once.
        common_words: The most frequent words of three letters or more, with the texts they occur in.
        languages: Texts by language as stated, and as recognised.
        channels: Texts by channel; likewise queues and attributes of customers.
        first_time: When the oldest text was said, ISO 8601.
        last_time: When the newest was.
        days: Texts by day (UTC), in order.
    """

    name: str
    rows: int
    looked_at: int
    erased: int
    labels: tuple[LabelProfile, ...]
    duplicates: int
    lengths: dict[str, float]
    words: dict[str, float]
    vocabulary: int
    once: int
    common_words: dict[str, int]
    languages: dict[str, int]
    recognised_languages: dict[str, int]
    channels: dict[str, int]
    queues: dict[str, int]
    attributes: dict[str, int]
    first_time: str | None
    last_time: str | None
    days: dict[str, int]


def profile_data(table: LabelledTable) -> DataProfile:
    """Count what a table holds.

    >>> from headset.data.quality.table import table_of
    >>> rows = pl.DataFrame({"text": ["My bill is wrong", "my bill  is wrong"], "label": ["bill", "bill"]})
    >>> found = profile_data(table_of(rows, "mine"))
    >>> found.duplicates, found.vocabulary, found.recognised_languages
    (1, 4, {'en': 2})
    """
    frame = table.frame
    texts = frame["text"].fill_null("").to_list()
    words = [words_of(text) for text in texts]
    used = Counter(word for each in words for word in each)
    spread = Counter(word for each in words for word in set(each) if len(word) > 2)
    keys = table.keys[table.keys != 0]
    times = frame["time"].drop_nulls()
    times = times.filter((times >= 0) & (times < _END))
    return DataProfile(
        name=table.name,
        rows=table.rows,
        looked_at=frame.height,
        erased=table.erased,
        labels=_labels(table),
        duplicates=len(keys) - len(np.unique(keys)),
        lengths=_quantiles([len(text) for text in texts]),
        words=_quantiles([len(each) for each in words]),
        vocabulary=len(used),
        once=sum(count == 1 for count in used.values()),
        common_words=dict(sorted(spread.items(), key=_by_count)[:_WORDS_SHOWN]),
        languages=_counts(frame["language"]),
        recognised_languages=_counts(pl.Series([detect_language(text) for text in texts], dtype=pl.String)),
        channels=_counts(frame["channel"]),
        queues=_counts(frame["queue"]),
        attributes=_counts(frame["attributes"].str.split(",").explode(empty_as_null=True, keep_nulls=True)),
        first_time=None if times.is_empty() else iso(min(times)),
        last_time=None if times.is_empty() else iso(max(times)),
        days=_days(times),
    )


def _labels(table: LabelledTable) -> tuple[LabelProfile, ...]:
    lengths = dict(table.frame.group_by("label").agg(pl.col("text").str.len_chars().median()).iter_rows())
    ranked = sorted(table.labels.items(), key=_by_count)
    return tuple(LabelProfile(label, rows, rows / table.rows, lengths.get(label)) for label, rows in ranked)


def _quantiles(values: list[int]) -> dict[str, float]:
    if not values:
        return {}
    return {f"{q:g}": float(value) for q, value in zip(_QUANTILES, np.quantile(values, _QUANTILES), strict=True)}


def _counts(values: pl.Series) -> dict[str, int]:
    counted = Counter(values.drop_nulls().to_list())
    return dict(sorted(counted.items(), key=_by_count))


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _days(times: pl.Series) -> dict[str, int]:
    days = Counter(iso(time)[:10] for time in times)
    return dict(sorted(days.items()))
