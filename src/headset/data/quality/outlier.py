"""Texts unlike all others: log lines, keyboard noise, another genre.

An isolation forest (Liu, Ting and Zhou, "Isolation Forest", ICDM 2008) on the form of a text (lengths, shares of
letters, digits and signs, of shingles that hardly any other text has) and the main directions of its embedding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from headset.data.quality.finding import judged, skipped
from headset.data.quality.near_duplicate import shingles
from headset.data.quality.word import words_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headset.data.quality.finding import Finding
    from headset.data.quality.limit import Ceiling
    from headset.data.quality.table import LabelledTable
    from headset.features.encoder import Encoder

    Floats = NDArray[np.float64]

LOOKED_AT = 20_000
"""Texts that are looked at; drawn from the rows of a larger data set."""

_LEAST_ROWS = 60
_FITTED = 5_000
_DIRECTIONS = 6
_TREES = 100
_SPREADS = 4.0
"""How many robust standard deviations above the median an isolation score is an outlier's."""


def check_outliers(
    table: LabelledTable, limit: Ceiling, *, reference: LabelledTable | None, encoder: Encoder, seed: int
) -> Finding:
    """Texts unlike those of the reference, or without one, unlike the rest."""
    rows = _texts(table, seed)
    base = rows if reference is None else _texts(reference, seed)
    if min(rows.height, base.height) < _LEAST_ROWS:
        return skipped("outliers", limit, f"too few texts to compare; it takes {_LEAST_ROWS}")
    finder = _Finder(base["text"].to_list(), encoder, seed)
    scores = finder.score(rows["text"].to_list())
    usual = 0.0 if reference is None else finder.usual
    strange = np.flatnonzero(scores > finder.cut)
    ranked = strange[np.argsort(-scores[strange], kind="stable")]
    ratio = len(strange) / rows.height
    beside = "" if reference is None else f" ({ratio:.1%}), of the reference's own {usual:.1%}"
    return judged(
        "outliers",
        limit,
        max(ratio - usual, 0.0),
        f"{len(strange)} of {rows.height} texts are unlike the others{beside}",
        unit="of texts" if reference is None else "of texts more than in the reference",
        rows=rows["id"].gather(ranked).to_list(),
    )


class _Finder:
    """Scores texts by how easily they are told apart from those it was fitted on."""

    def __init__(self, texts: Sequence[str], encoder: Encoder, seed: int) -> None:
        self._encoder = encoder
        grams, counts = np.unique(np.concatenate([shingles(text) for text in texts]), return_counts=True)
        self._common = grams[counts > max(1, len(texts) // 2_000)]
        self._pca = PCA(n_components=_DIRECTIONS, random_state=seed, svd_solver="randomized").fit(
            encoder.encode(texts[:_FITTED])
        )
        measured = self._measure(texts)
        self._forest = IsolationForest(n_estimators=_TREES, random_state=seed).fit(measured[:_FITTED])
        scores = -self._forest.score_samples(measured)
        middle = float(np.median(scores))
        self.cut = middle + _SPREADS * 1.4826 * float(np.median(np.abs(scores - middle)))
        self.usual = float((scores > self.cut).mean())

    def score(self, texts: Sequence[str]) -> Floats:
        return np.asarray(-self._forest.score_samples(self._measure(texts)))

    def _measure(self, texts: Sequence[str]) -> Floats:
        form = np.array([self._form(text) for text in texts])
        return np.hstack([form, self._pca.transform(self._encoder.encode(texts))])

    def _form(self, text: str) -> list[float]:
        words = words_of(text)
        length = max(len(text), 1)
        letters = sum(map(str.isalpha, text))
        digits = sum(map(str.isdigit, text))
        grams = shingles(text)
        rare = 1 - np.isin(grams, self._common, assume_unique=True).mean()
        return [
            np.log1p(len(text)),
            letters / max(len(words), 1),
            letters / length,
            digits / length,
            (length - letters - digits - sum(map(str.isspace, text))) / length,
            sum(map(str.isupper, text)) / length,
            rare,
        ]


def _texts(table: LabelledTable, seed: int) -> pl.DataFrame:
    frame = table.frame.filter(pl.col("text").str.strip_chars().str.len_chars() > 0).select("id", "text")
    return (
        frame.sample(LOOKED_AT, seed=seed)
        if frame.height > LOOKED_AT
        else frame.sample(fraction=1, shuffle=True, seed=seed)
    )
