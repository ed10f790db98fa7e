"""Texts cut into n-grams and embedded once, for any number of fits to any of their rows.

A fit to some of the rows gets the numbers it would have got from its own vectoriser: n-grams that none of its rows
has are left out, and document frequencies are those of its rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from headset.training.pipeline import TemperatureScaled, build_pipeline, vectorisers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import Pipeline

    from headset.features.encoder import Encoder
    from headset.training.recipe import Recipe


class Analysis:
    """The n-grams and embeddings of (n,) texts, each kind computed when it is first asked for, and kept.

    >>> from headset.features.static_encoder import load_encoder
    >>> from headset.training.recipe import SHIPPED
    >>> seen, unseen = Analysis(["my card", "my bill", "lost card"]).split(SHIPPED, load_encoder(), [0, 1], [2])
    >>> seen.shape[0], unseen.shape[0], seen.shape[1] == unseen.shape[1]
    (2, 1, True)
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = list(texts)
        self._counts: dict[tuple[str, tuple[int, int]], tuple[TfidfVectorizer, csr_matrix]] = {}
        self._embeddings: dict[str, NDArray[np.float32]] = {}

    def split(
        self, recipe: Recipe, encoder: Encoder, seen: Sequence[int], unseen: Sequence[int]
    ) -> tuple[csr_matrix, csr_matrix]:
        """Features of the rows to fit to, and of others as that fit sees them."""
        blocks = [_weigh(counts, seen, unseen) for _, counts in self._counted(recipe)]
        embedding = self._embedded(encoder) * np.float32(recipe.embedding_weight)
        return (
            _join([block for block, _ in blocks], embedding[seen]),
            _join([block for _, block in blocks], embedding[unseen]),
        )

    def fit(self, recipe: Recipe, encoder: Encoder, labels: Sequence[str], *, seed: int) -> Pipeline:
        """The pipeline, fitted to all rows."""
        pipeline = build_pipeline(encoder, recipe, seed=seed)
        union, blocks = pipeline["features"], []
        for place, (vectoriser, counts) in enumerate(self._counted(recipe)):
            weights = TfidfTransformer(sublinear_tf=True).fit(counts)
            vectoriser.idf_ = weights.idf_
            union.transformer_list[place] = (union.transformer_list[place][0], vectoriser)
            blocks.append(weights.transform(counts))
        embedding = self._embedded(encoder) * np.float32(recipe.embedding_weight)
        union.transformer_list[-1][1].fit(self._texts)
        pipeline["head"].fit(_join(blocks, embedding), list(labels))
        return pipeline

    def _counted(self, recipe: Recipe) -> list[tuple[TfidfVectorizer, csr_matrix]]:
        found = []
        for name, vectoriser in vectorisers(recipe):
            key = name, vectoriser.ngram_range
            if key not in self._counts:
                self._counts[key] = vectoriser, CountVectorizer.fit_transform(vectoriser, self._texts)
            found.append(self._counts[key])
        return found

    def _embedded(self, encoder: Encoder) -> NDArray[np.float32]:
        if encoder.version not in self._embeddings:
            self._embeddings[encoder.version] = encoder.encode(self._texts)
        return self._embeddings[encoder.version]


def out_of_fold(
    analysis: Analysis, recipe: Recipe, encoder: Encoder, labels: NDArray[np.str_], unseen: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Margins of the unseen rows by a head fitted to the others, and the labels its columns stand for."""
    rows = np.flatnonzero(~unseen)
    learned, asked = analysis.split(recipe, encoder, rows.tolist(), np.flatnonzero(unseen).tolist())
    head = TemperatureScaled(recipe.penalty, seed=seed).fit(learned, labels[rows])
    return head.decision_function(asked), head.classes_


def _weigh(counts: csr_matrix, seen: Sequence[int], unseen: Sequence[int]) -> tuple[csr_matrix, csr_matrix]:
    """Tf-idf of the seen rows, and of the unseen ones with the n-grams and frequencies of the seen."""
    learned = counts[seen]
    known = np.flatnonzero(np.bincount(learned.indices, minlength=counts.shape[1]))
    learned = learned[:, known]
    weights = TfidfTransformer(sublinear_tf=True).fit(learned)
    return weights.transform(learned, copy=False), weights.transform(counts[unseen][:, known], copy=False)


def _join(blocks: Sequence[csr_matrix], embedding: NDArray[np.float32]) -> csr_matrix:
    """(n, f) blocks side by side, the dense embedding last; without the detours of ``scipy.sparse.hstack``."""
    rows, width = embedding.shape
    offsets = np.cumsum([0, *(block.shape[1] for block in blocks)])
    lengths = np.sum([np.diff(block.indptr) for block in blocks], axis=0) + width
    starts = np.concatenate([[0], np.cumsum(lengths)])
    indices, data = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float64)
    place = starts[:-1].copy()
    for block, offset in zip(blocks, offsets[:-1], strict=True):
        block.sort_indices()
        counted = np.diff(block.indptr)
        target = np.repeat(place - block.indptr[:-1], counted) + np.arange(block.nnz)
        indices[target], data[target] = block.indices + offset, block.data
        place += counted
    dense = place[:, None] + np.arange(width)
    indices[dense], data[dense] = offsets[-1] + np.arange(width), embedding
    limit = np.iinfo(np.int32).max
    kind = np.int32 if starts[-1] <= limit else np.int64
    return csr_matrix((data, indices, starts.astype(kind)), shape=(rows, int(offsets[-1]) + width))
