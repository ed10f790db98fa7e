"""From the fitted pipeline to the scorer that serves it: the same numbers, none of the libraries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from headset.registry.scorer import Arrays, Block, Scorer

if TYPE_CHECKING:
    from headset.training.intent import FittedIntent


def compile_scorer(fitted: FittedIntent) -> Scorer:
    """Compile a fitted model; its probabilities equal the pipeline's to about 1e-12."""
    features, head = fitted.pipeline["features"], fitted.pipeline["head"]
    blocks, terms, idf = [], [], []
    for name in ("words", "characters"):
        vectoriser = dict(features.transformer_list)[name]
        found = vectoriser.get_feature_names_out().tolist()
        shortest, longest = vectoriser.ngram_range
        blocks.append(Block(vectoriser.analyzer, shortest, longest, 1.0, len(found)))
        terms += found
        idf.append(vectoriser.idf_)
    columns, intercepts = head.machine_.coef_.T, head.machine_.intercept_
    if columns.shape[1] == 1:  # two labels share one machine
        columns, intercepts = np.hstack([-columns, columns]), np.concatenate([-intercepts, intercepts])
    embedding = columns[len(terms) :] * np.float32(features.transformer_weights["embedding"])
    arrays = Arrays(
        idf=np.concatenate(idf),
        coefficients=np.ascontiguousarray(columns[: len(terms)]),
        embedding=np.ascontiguousarray(embedding),
        intercepts=np.asarray(intercepts, np.float64),
    )
    labels = tuple(str(label) for label in head.classes_)
    return Scorer(labels, fitted.threshold, fitted.temperature, tuple(blocks), terms, arrays)
