"""Texts that are nearly equal, found in time near-linear in their number.

MinHash (Broder, "On the resemblance and containment of documents", 1997) with banding (Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", chapter 3) proposes pairs; their exact similarity decides. Within a bucket each text is
compared with the bucket's first and with the one before it, so a bucket of a million equal templates costs two
million comparisons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Grams = NDArray[np.uint64]

GRAM = 4
"""Characters in a shingle."""

_BANDS, _ROWS = 20, 3
_CHUNK = 4_096
_SEED = 20_240_229
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # after Knuth: 2^64 over the golden ratio
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)


def near_pairs(
    texts: Sequence[str], similarity: float, *, progress: Callable[[float], None] | None = None
) -> Iterator[tuple[int, int, float]]:
    """Pairs of texts whose shingles overlap: (earlier place, later place, Jaccard similarity), each pair once.

    A pair of similarity 0.8 is proposed with probability above 0.9999, one of 0.7 with 0.9998.

    Args:
        texts: Of any length; a text shorter than a shingle is one shingle.
        similarity: Least share of common shingles among all of the two texts, 0 to 1.
        progress: Called with the fraction done.

    >>> [(a, b) for a, b, _ in near_pairs(["where is my new card", "no idea", "where is my new card?"], 0.8)]
    [(0, 2)]
    """
    told = progress or (lambda _fraction: None)
    grams: list[Grams] = []
    signatures = np.empty((len(texts), _BANDS), np.uint64)
    for start in range(0, len(texts), _CHUNK):
        chunk = [shingles(text) for text in texts[start : start + _CHUNK]]
        signatures[start : start + len(chunk)] = _sign(chunk)
        grams += chunk
        told(start / len(texts) * 0.5)
    seen: set[tuple[int, int]] = set()
    for band in range(_BANDS):
        for first, second in _candidates(signatures[:, band]):
            if (first, second) in seen:
                continue
            seen.add((first, second))
            found = _jaccard(grams[first], grams[second])
            if found >= similarity:
                yield first, second, found
        told(0.5 + (band + 1) / _BANDS / 2)


def shingles(text: str) -> Grams:
    """Sorted distinct hashes of the runs of characters, case and spaces aside."""
    plain = f" {' '.join(text.casefold().split())} "
    signs = np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if len(signs) < GRAM:
        signs = np.pad(signs, (0, GRAM - len(signs)))
    value = signs[: len(signs) - GRAM + 1].copy()
    for shift in range(1, GRAM):
        value = value * _MULTIPLIER + signs[shift : len(signs) - GRAM + 1 + shift]
    value ^= value >> np.uint64(29)
    return np.unique(value * _MULTIPLIER)


def _sign(chunk: Sequence[Grams]) -> NDArray[np.uint64]:
    """(n, bands): one hash for each band of minima."""
    generator = np.random.Generator(np.random.PCG64(_SEED))
    factors = generator.integers(1, 1 << 63, _BANDS * _ROWS, np.uint64) | np.uint64(1)
    flat = np.concatenate(chunk)
    starts = np.concatenate([[0], np.cumsum([len(each) for each in chunk])[:-1]])
    signed = np.zeros((len(chunk), _BANDS), np.uint64)
    for number, factor in enumerate(factors):
        mixed = flat * factor
        mixed ^= mixed >> np.uint64(32)
        minima = np.minimum.reduceat(mixed * _MULTIPLIER, starts)
        signed[:, number // _ROWS] = (signed[:, number // _ROWS] ^ minima) * _MULTIPLIER
    return signed


def _candidates(column: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Pairs of one bucket: each member with the first and with the one before it."""
    order = np.argsort(column, kind="stable")
    values = column[order]
    fresh = np.append(True, values[1:] != values[:-1])[: len(values)]
    firsts = order[np.maximum.accumulate(np.where(fresh, np.arange(len(values)), 0))]
    for at in np.flatnonzero(~fresh):
        first, before, here = int(firsts[at]), int(order[at - 1]), int(order[at])
        yield first, here
        if before != first:
            yield before, here


def _jaccard(one: Grams, other: Grams) -> float:
    common = len(np.intersect1d(one, other, assume_unique=True))
    return common / (len(one) + len(other) - common)
