"""The compiled intent model: what serving runs, numpy arrays and a dictionary, equal in numbers to the fitted one.

A text's n-grams are looked up in one table per block; a row of the coefficient matrix belongs to each n-gram
found, and the margins are those rows summed with tf-idf weights, plus the embedding times its own matrix.
An artifact is a folder: ``manifest.json`` with the SHA-256 of every other file, ``terms.json``, and ``.npy`` arrays.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from headset.core.errors import ArtifactError, ModelFailed
from headset.registry.artifact import AGAIN, digests, read_array, read_manifest, verify, write_manifest
from headset.registry.ngram import character_ngrams, word_ngrams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FORMAT = "headset-scorer/1"
_TERMS = "terms.json"
_CUTTERS = {"word": word_ngrams, "char": character_ngrams}


@dataclass(frozen=True, eq=False)
class Scores:
    """What the model says of n texts.

    Attributes:
        probabilities: (n, k) float64, calibrated; rows sum to one.
        in_scope: (n,) float64: the largest margin, before the temperature. Below zero, no intent claims the text.
    """

    probabilities: NDArray[np.float64]
    in_scope: NDArray[np.float64]


class Block(Struct, frozen=True):
    """One kind of n-gram.

    Attributes:
        analyzer: ``word`` or ``char``.
        shortest: Words or characters of the shortest n-gram.
        longest: The same of the longest.
        weight: Length of the block's tf-idf vector.
        terms: How many n-grams are known; their rows follow those of the blocks before.
    """

    analyzer: str
    shortest: int
    longest: int
    weight: float
    terms: int


@dataclass(frozen=True, eq=False)
class Arrays:
    """The numbers of a model of f n-grams, d embedding columns and k labels.

    Attributes:
        idf: (f,) float64 inverse document frequencies.
        coefficients: (f, k) float32.
        embedding: (d, k) float32, to be multiplied with the embedding.
        intercepts: (k,) float64.
    """

    idf: NDArray[np.float64]
    coefficients: NDArray[np.float32]
    embedding: NDArray[np.float32]
    intercepts: NDArray[np.float64]


_ARRAYS = tuple(field.name for field in fields(Arrays))


class _Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    labels: tuple[str, ...]
    threshold: float
    temperature: float
    blocks: tuple[Block, ...]
    sha256: dict[str, str]


class Scorer:
    """The compiled model. Threads may share it: scoring changes nothing.

    Args:
        labels: The k intents, in the order of the columns.
        threshold: Confidence from which an answer reaches the stated precision; above 1 where none does.
        temperature: Margins are divided by it before they become probabilities.
        blocks: The kinds of n-grams, in the order of their rows.
        terms: All n-grams, in the order of their rows.
        arrays: The numbers.

    Raises:
        ArtifactError: the arrays do not fit together.
    """

    def __init__(
        self,
        labels: tuple[str, ...],
        threshold: float,
        temperature: float,
        blocks: tuple[Block, ...],
        terms: list[str],
        arrays: Arrays,
    ) -> None:
        _check(labels, temperature, blocks, terms, arrays)
        self.labels = labels
        self.threshold = threshold
        self.temperature = temperature
        self._blocks = blocks
        self._terms = terms
        self._arrays = arrays
        self._lookups = []
        first = 0
        for block in blocks:
            rows = {term: first + place for place, term in enumerate(terms[first : first + block.terms])}
            self._lookups.append((_CUTTERS[block.analyzer], block, rows.get))
            first += block.terms

    def score(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> Scores:
        """Score n texts with their (n, d) embeddings.

        Raises:
            ModelFailed: ``embeddings`` has another shape.
        """
        expected = (len(texts), len(self._arrays.embedding))
        if embeddings.shape != expected:
            raise ModelFailed(
                f"embeddings have the shape {embeddings.shape}, this model needs {expected};"
                " use the encoder it was trained with"
            )
        margins = embeddings @ self._arrays.embedding + self._arrays.intercepts
        for row, text in zip(margins, texts, strict=True):
            self._add_ngrams(text.lower(), row)
        in_scope = margins.max(axis=1)
        weights = np.exp((margins - in_scope[:, None]) / self.temperature)
        return Scores(weights / weights.sum(axis=1, keepdims=True), in_scope)

    def _add_ngrams(self, text: str, margins: NDArray[np.float64]) -> None:
        for cut, block, row_of in self._lookups:
            counts = Counter(map(row_of, cut(text, block.shortest, block.longest)))
            counts.pop(None, None)  # n-grams the model does not know
            if not counts:
                continue
            rows = np.fromiter(counts, np.intp, len(counts))
            weights = np.fromiter(counts.values(), np.float64, len(counts))
            np.log(weights, out=weights)
            weights += 1
            weights *= self._arrays.idf[rows]
            weights *= block.weight / math.sqrt(weights @ weights)
            margins += weights.astype(np.float32) @ self._arrays.coefficients[rows]

    def save(self, directory: Path, beside: Mapping[str, bytes] = MappingProxyType({})) -> str:
        """Write the artifact into ``directory``, which is made when absent, and give the manifest's SHA-256 (hex).

        Equal models give equal bytes. The files ``beside`` are kept with it, under the same seal; scoring needs none
        of them (:func:`~headset.registry.artifact.read_beside`).
        """
        directory.mkdir(parents=True, exist_ok=True)
        for name in _ARRAYS:
            np.save(directory / f"{name}.npy", np.ascontiguousarray(getattr(self._arrays, name)), allow_pickle=False)
        (directory / _TERMS).write_bytes(msgspec.json.encode(self._terms))
        for name, content in beside.items():
            (directory / name).write_bytes(content)
        sha256 = digests(directory, [*_files(), *beside])
        return write_manifest(
            directory, _Manifest(FORMAT, self.labels, self.threshold, self.temperature, self._blocks, sha256)
        )

    @classmethod
    def load(cls, directory: Path) -> Scorer:
        """Read an artifact, every byte of it checked.

        Raises:
            ArtifactError: a file is missing, was changed, or has another format; names it and the next step.
        """
        manifest = read_manifest(directory, FORMAT, _Manifest)
        for name in _files():
            verify(directory / name, manifest.sha256.get(name, ""))
        try:
            terms = msgspec.json.decode((directory / _TERMS).read_bytes(), type=list[str])
            arrays = Arrays(**{name: read_array(directory / f"{name}.npy") for name in _ARRAYS})
        except (OSError, ValueError) as error:
            raise ArtifactError(f"an array of {directory} cannot be read ({error}); {AGAIN}") from error
        return cls(manifest.labels, manifest.threshold, manifest.temperature, manifest.blocks, terms, arrays)


def _files() -> list[str]:
    return [*(f"{name}.npy" for name in _ARRAYS), _TERMS]


def _check(
    labels: tuple[str, ...], temperature: float, blocks: tuple[Block, ...], terms: list[str], arrays: Arrays
) -> None:
    """Refuse what does not fit together, with the reason."""
    count = len(labels)
    width = len(arrays.embedding)
    expected = {
        "idf": (np.float64, (len(terms),)),
        "coefficients": (np.float32, (len(terms), count)),
        "embedding": (np.float32, (width, count)),
        "intercepts": (np.float64, (count,)),
    }
    for name, (dtype, shape) in expected.items():
        array = getattr(arrays, name)
        if array.dtype != dtype or array.shape != shape:
            raise ArtifactError(
                f"{name} is {array.dtype} {array.shape}, the other parts need {np.dtype(dtype)} {shape}; {AGAIN}"
            )
        if not np.isfinite(array).all():
            raise ArtifactError(f"{name} holds a number that is not finite; {AGAIN}")
    if count < 2 or len(set(labels)) != count:
        raise ArtifactError(f"{count} labels, {len(set(labels))} of them distinct; at least 2 distinct ones are needed")
    if not temperature > 0:
        raise ArtifactError(f"the temperature is {temperature}, it must be over 0; {AGAIN}")
    unknown = {block.analyzer for block in blocks} - set(_CUTTERS)
    if unknown:
        raise ArtifactError(f"analyzers {sorted(unknown)} are unknown, there are {sorted(_CUTTERS)}; {AGAIN}")
    if sum(block.terms for block in blocks) != len(terms):
        raise ArtifactError(f"{len(terms)} terms for {sum(block.terms for block in blocks)} rows; {AGAIN}")
