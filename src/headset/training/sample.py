"""Which rows to learn from where there are more than a fit can take."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from headset.training.calibration import assign_folds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_PARTS = 7
_ASKED = 20_000


def spread_rows(
    texts: Sequence[str], labels: Sequence[str], limit: int, generator: np.random.Generator
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """At most ``limit`` rows to learn from, and others, at most 20,000, to calibrate on.

    One part in seven of every intent is not learned; the rows to calibrate on are drawn from it as often as they
    come. Of the rest, every different text counts once, with its most frequent label; intents are cut
    to an equal number of texts, the rare ones not at all.
    """
    parts = assign_folds(texts, labels, _PARTS, generator)
    asked = np.flatnonzero(parts == 0)
    if len(asked) > _ASKED:
        asked = np.sort(generator.choice(asked, _ASKED, replace=False))
    return widest_rows(texts, labels, np.flatnonzero(parts), limit, generator), asked


def widest_rows(
    texts: Sequence[str], labels: Sequence[str], rows: NDArray[np.int_], limit: int, generator: np.random.Generator
) -> NDArray[np.int_]:
    """At most ``limit`` of the rows: different texts, as many of each intent as there is room for.

    >>> texts, labels = ["Hi", "hi ", "hello", "bye", "hey"], ["a", "a", "a", "b", "a"]
    >>> chosen = widest_rows(texts, labels, np.arange(5), 2, np.random.Generator(np.random.PCG64(0)))
    >>> sorted(labels[row] for row in chosen)
    ['a', 'b']
    """
    votes: dict[str, Counter[str]] = {}
    firsts: dict[tuple[str, str], int] = {}
    for row in rows.tolist():
        key = " ".join(texts[row].lower().split())
        votes.setdefault(key, Counter())[labels[row]] += 1
        firsts.setdefault((key, labels[row]), row)
    by_label: dict[str, list[int]] = {}
    for key, counted in votes.items():
        label = counted.most_common(1)[0][0]
        by_label.setdefault(label, []).append(firsts[key, label])
    share = _share([len(found) for found in by_label.values()], limit)
    chosen = [
        np.array(found) if len(found) <= share else generator.choice(found, share, replace=False)
        for _, found in sorted(by_label.items())
    ]
    return np.sort(np.concatenate(chosen))


def _share(counts: Sequence[int], limit: int) -> int:
    """The most that each may take so that all together stay within ``limit``; at least 1."""
    room, waiting = limit, sorted(counts)
    for place, count in enumerate(waiting):
        share = room // (len(waiting) - place)
        if count > share:
            return max(share, 1)
        room -= count
    return max(counts)
