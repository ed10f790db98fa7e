"""Labels that are probably wrong.

Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR
2021) by cleanlab, on probabilities of a cheap model for rows it has not seen: ridge regression onto the labels, made
probabilities by one temperature. Of what confident learning proposes, those count whose own label the model holds for
all but impossible: the rest are mostly intents that are hard to tell apart.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from cleanlab.filter import find_label_issues
from scipy.optimize import minimize_scalar
from sklearn.feature_extraction.text import HashingVectorizer

from headset.data.quality.finding import judged, skipped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from headset.data.quality.finding import Finding
    from headset.data.quality.limit import Limits
    from headset.data.quality.table import LabelledTable
    from headset.features.encoder import Encoder

    Floats = NDArray[np.float64]

LOOKED_AT = 20_000
"""Texts that the model reads; drawn from the rows of a larger data set."""

_FOLDS = 5
_PENALTY = 1.0
_IMPOSSIBLE = 0.02
_LEAST_ROWS = 60
_HASHED = 512
_ERRORS = 2.0
"""Standard errors of a rise that chance is given."""


def check_label_noise(
    table: LabelledTable, limits: Limits, *, reference: LabelledTable | None, encoder: Encoder, seed: int
) -> Finding:
    """Labels that a model, trained on the other rows, holds for all but impossible.

    With a reference, one model reads both, and what counts is how many more such labels the data have than the
    reference, beyond two standard errors: intents differ in how well they can be told apart, and the reference's
    labels were accepted.
    """
    rows = _learnable(table, LOOKED_AT, seed)
    if rows is None:
        reason = f"too little to learn from: it takes {_LEAST_ROWS} texts, and {_FOLDS} of each of 2 labels"
        return skipped("label_noise", limits.label_noise, reason)
    before = None if reference is None else _learnable(reference, rows.height, seed)
    places = _impossible(rows if before is None else pl.concat([rows, before]), encoder, seed)
    wrong = places[places < rows.height]
    value = len(wrong) / rows.height
    told = f"{len(wrong)} of {rows.height} labels look wrong"
    found = rows.select("id", "label").gather(wrong)
    counts = found["label"].value_counts(name="rows").sort(["rows", "label"], descending=[True, False])
    ids, parts = found["id"].to_list(), dict(counts.iter_rows())
    if before is None or limits.label_noise.judge(value) == "fail":
        return judged("label_noise", limits.label_noise, value, told, unit="of labels", rows=ids, parts=parts)
    usual = (len(places) - len(wrong)) / before.height
    middle = len(places) / (rows.height + before.height)
    error = sqrt(middle * (1 - middle) * (1 / rows.height + 1 / before.height))
    return judged(
        "label_noise",
        limits.label_noise_rise,
        max(value - usual - _ERRORS * error, 0.0),
        f"{told} ({value:.1%}), in the reference {usual:.1%}",
        unit="of labels more than in the reference, beyond chance",
        rows=ids,
        parts=parts,
    )


def _learnable(table: LabelledTable, limit: int, seed: int) -> pl.DataFrame | None:
    """Different texts with labels that occur often enough, at most ``limit`` of them."""
    frame = table.frame.filter(pl.col("text").str.contains(r"\p{L}"), pl.col("label").str.len_chars() > 0)
    frame = frame.unique("text", keep="first", maintain_order=True)
    frame = frame.filter(pl.len().over("label") >= _FOLDS)
    if frame.height > limit:
        frame = frame.sample(limit, seed=seed).sort("id").filter(pl.len().over("label") >= _FOLDS)
    return frame if frame.height >= _LEAST_ROWS and frame["label"].n_unique() > 1 else None


def _impossible(rows: pl.DataFrame, encoder: Encoder, seed: int) -> NDArray[np.int64]:
    """Places of the rows whose label cannot be, the least likely first."""
    labels, codes = np.unique(rows["label"].to_numpy(), return_inverse=True)
    probabilities = out_of_fold(features(rows["text"].to_list(), encoder), codes, len(labels), seed)
    issues = find_label_issues(codes, probabilities, filter_by="confident_learning", n_jobs=1)
    own = probabilities[np.arange(len(codes)), codes]
    places = np.flatnonzero(issues & (own < _IMPOSSIBLE))
    return places[np.argsort(own[places], kind="stable")]


def features(texts: Sequence[str], encoder: Encoder) -> Floats:
    """(n, d): the sentence embedding, and the words hashed, each of length one."""
    words = HashingVectorizer(n_features=_HASHED, ngram_range=(1, 2)).transform(texts).toarray()
    return np.hstack([encoder.encode(texts).astype(np.float64), words])


def out_of_fold(inputs: Floats, codes: NDArray[np.int64], count: int, seed: int) -> Floats:
    """(n, count) probabilities of the labels for rows that the model did not see.

    Args:
        inputs: (n, d).
        codes: (n,) labels from 0.
        count: Of labels.
        seed: Of the folds.
    """
    size = len(codes)
    design = np.hstack([inputs, np.ones((size, 1))])
    targets = np.where(np.arange(count) == codes[:, None], 1.0, -1.0)
    folds = np.random.Generator(np.random.PCG64(seed)).permutation(size) % _FOLDS
    gram = design.T @ design + _PENALTY * np.eye(design.shape[1])
    moment = design.T @ targets
    margins = np.empty((size, count))
    for fold in range(_FOLDS):
        out = folds == fold
        left = design[out]
        weights = np.linalg.solve(gram - left.T @ left, moment - left.T @ targets[out])
        margins[out] = left @ weights
    rows = np.arange(size)

    def surprise(log_sharpness: float) -> float:
        return -float(np.log(np.maximum(_softmax(margins * np.exp(log_sharpness))[rows, codes], 1e-12)).mean())

    best = minimize_scalar(surprise, bounds=(-1, 5), method="bounded", options={"maxiter": 20}).x
    return _softmax(margins * np.exp(best))


def _softmax(margins: Floats) -> Floats:
    raised = np.exp(margins - margins.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float64)
