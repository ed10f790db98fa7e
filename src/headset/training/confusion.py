"""Which intents a model takes for which: as data, as a table of the worst pairs and as a picture of all."""

from __future__ import annotations

import csv
import io
import warnings
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from msgspec import Struct

from headset.stats.classification import confusion_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LABEL_LENGTH = 48
_INCHES_PER_CHARACTER = 0.06  # at 7 points
_INCHES_PER_LABEL = 0.2
_DOTS_PER_INCH = 110


class ConfusedPair(Struct, frozen=True):
    """``count`` rows of ``intent`` were taken for ``predicted``; ``ratio`` is their share of the intent's rows."""

    intent: str
    predicted: str
    count: int
    ratio: float


def confused_pairs(truth: Sequence[str], predicted: Sequence[str]) -> list[ConfusedPair]:
    """Every pair that occurred, the most frequent first.

    >>> confused_pairs(["a", "a", "b"], ["a", "b", "b"])
    [ConfusedPair(intent='a', predicted='b', count=1, ratio=0.5)]
    """
    rows = Counter(truth)
    pairs = Counter((intent, other) for intent, other in zip(truth, predicted, strict=True) if intent != other)
    ranked = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return [ConfusedPair(intent, other, count, count / rows[intent]) for (intent, other), count in ranked]


def pairs_table(pairs: Sequence[ConfusedPair]) -> str:
    r"""The pairs as CSV.

    >>> pairs_table([ConfusedPair("a", "b", 1, 0.5)])
    'intent,predicted,count,ratio\na,b,1,0.5000\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("intent", "predicted", "count", "ratio"))
    writer.writerows((pair.intent, pair.predicted, pair.count, f"{pair.ratio:.4f}") for pair in pairs)
    return text.getvalue()


def count_confusion(truth: Sequence[str], predicted: Sequence[str]) -> NDArray[np.int_]:
    """The confusion matrix of the labels that occur, in their order.

    >>> count_confusion(["b", "b", "a"], ["a", "b", "a"]).tolist()
    [[1, 0], [1, 1]]
    """
    labels = sorted({*truth, *predicted})
    truth_at, predicted_at = (np.searchsorted(labels, names) for names in (truth, predicted))
    return confusion_matrix(truth_at, predicted_at, len(labels))


def draw_confusion(truth: Sequence[str], predicted: Sequence[str]) -> bytes:
    """The confusion matrix as PNG: rows are true intents, columns what the model said.

    Right answers are shades of grey, so that the errors, in colour and with their count, stand out
    however many labels there are. Shades show the share of the row.
    """
    labels = sorted({*truth, *predicted})
    counts = count_confusion(truth, predicted)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    right = np.eye(len(labels), dtype=bool)
    names = [label if len(label) <= _LABEL_LENGTH else label[: _LABEL_LENGTH - 1] + "…" for label in labels]
    margin = 0.6 + _INCHES_PER_CHARACTER * max(map(len, names))
    inside = max(3.0, _INCHES_PER_LABEL * len(labels))
    side = margin + inside + 0.4
    figure = Figure(figsize=(side, side), dpi=_DOTS_PER_INCH)
    axes = figure.add_axes((margin / side, margin / side, inside / side, inside / side))
    axes.imshow(np.ma.masked_array(shares, ~right), cmap="Greys", vmin=0, vmax=1.6, zorder=2)
    axes.imshow(np.ma.masked_array(shares, right | (counts == 0)), cmap=_errors(), vmin=0, vmax=0.5, zorder=2)
    for row, column in np.argwhere(counts * ~right):
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", fontsize=6, zorder=3)
    axes.set_xticks(range(len(labels)), names, rotation=90, fontsize=7, parse_math=False)
    axes.set_yticks(range(len(labels)), names, fontsize=7, parse_math=False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(f"{np.trace(counts)} of {counts.sum()} right; errors in colour, with their count", fontsize=9)
    axes.grid(visible=True, color="0.93", linewidth=0.4)
    axes.set_axisbelow(True)
    return _png(figure)


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():  # characters that no font has are drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(stream, format="png")
    return stream.getvalue()


def _errors() -> ListedColormap:
    """From pale orange to red: the lowest share of an error is still seen on white."""
    shade = np.linspace(0, 1, 64)[:, None]
    pale, deep = np.array([1.0, 0.85, 0.55]), np.array([0.86, 0.2, 0.15])
    return ListedColormap(pale + shade * (deep - pale))
