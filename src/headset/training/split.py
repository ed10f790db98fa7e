"""Which rows a model learns from and which it is measured on, and what data it can learn from at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.data.synthetic.privacy import PrivacyFilter
from headset.data.synthetic.row import SyntheticRow
from headset.training.calibration import assign_folds

if TYPE_CHECKING:
    from headset.data.dataset import Dataset

PARTS = 7
"""One part in seven is held out; the six others are enough for five calibration folds."""

LEAST_PER_LABEL = PARTS
LEAST_TEXTS = 60
_NAMED = 5


class Split(Struct, frozen=True):
    """Rows to learn from and rows to be measured on; ``test_name`` says which those are.

    ``synthetic`` is learned from as well; what is measured on is real.
    """

    texts: Sequence[str]
    labels: Sequence[str]
    test_texts: Sequence[str]
    test_labels: Sequence[str]
    test_name: str
    held_out: bool
    synthetic: Sequence[SyntheticRow] = ()


def check_trainable(data: Dataset) -> None:
    """Refuse data from which no intent model can be learned and measured.

    Raises:
        InvalidInput: there is no text, only one intent, or too few different texts, of one intent or in all.
    """
    if not data.texts:
        erased = f" ({data.erased} were erased)" if data.erased else ""
        raise InvalidInput("data", f"{data.name!r} holds 0 readable texts{erased}; import more")
    counts = _different_texts(data)
    if len(counts) == 1:
        raise InvalidInput(
            "data", f"{data.name!r} has one intent, {data.labels[0][:60]!r}; a model needs at least 2, import more"
        )
    scarce = [(label, count) for label, count in sorted(counts.items()) if count < LEAST_PER_LABEL]
    if scarce:
        named = ", ".join(f"{label[:60]!r} has {count}" for label, count in scarce[:_NAMED])
        more = f" and {len(scarce) - _NAMED} more intents have too few" if len(scarce) > _NAMED else ""
        raise InvalidInput(
            "data",
            f"every intent of {data.name!r} needs at least {LEAST_PER_LABEL} different texts, but {named}{more};"
            " import more of them, or merge or leave out these intents",
        )
    if counts.total() < LEAST_TEXTS:
        raise InvalidInput(
            "data",
            f"{data.name!r} has {counts.total()} different texts; at least {LEAST_TEXTS} are needed, import more",
        )


def hold_out(data: Dataset, seed: int, synthetic: Sequence[SyntheticRow] = ()) -> Split:
    """Hold out one text in seven of every intent; texts that differ in case and spaces only stay together.

    No synthetic row is held out, and those that know a held-out text are not learned from.
    """
    parts = assign_folds(data.texts, data.labels, PARTS, np.random.Generator(np.random.PCG64(seed)))
    seen, unseen = np.flatnonzero(parts), np.flatnonzero(parts == 0)
    texts, test_texts = [data.texts[row] for row in seen], [data.texts[row] for row in unseen]
    return Split(
        texts=texts,
        labels=[data.labels[row] for row in seen],
        test_texts=test_texts,
        test_labels=[data.labels[row] for row in unseen],
        test_name=f"one in {PARTS} of every intent, held out",
        held_out=True,
        synthetic=_apart(learnable(synthetic, texts), test_texts),
    )


def set_apart(data: Dataset, test: Dataset, synthetic: Sequence[SyntheticRow] = ()) -> Split:
    """Learn from all of ``data``, be measured on all of ``test``; synthetic rows near a text of ``test`` are left out.

    Raises:
        InvalidInput: ``test`` is the same data, or has no readable text.
    """
    if test.fingerprint == data.fingerprint:
        raise InvalidInput(
            "test", f"{test.name!r} is what the model learns from; name other data, or none to hold some out"
        )
    if not test.texts:
        raise InvalidInput("test", f"{test.name!r} holds 0 readable texts; import more, or name none")
    return Split(
        data.texts,
        data.labels,
        test.texts,
        test.labels,
        f"data set {test.name!r}",
        held_out=False,
        synthetic=_apart(learnable(synthetic, data.texts), test.texts),
    )


def learnable(synthetic: Sequence[SyntheticRow], texts: Sequence[str]) -> list[SyntheticRow]:
    """The synthetic rows that come from ``texts`` alone: what is learned from never knows what is measured on."""
    return [row for row, may in zip(synthetic, are_learnable(synthetic, texts), strict=True) if may]


def are_learnable(synthetic: Sequence[SyntheticRow], texts: Sequence[str]) -> list[bool]:
    """The same as a flag for each row."""
    known = {_plain(text) for text in texts} if synthetic else set()
    return [all(_plain(source) in known for source in row.sources) for row in synthetic]


def _apart(synthetic: Sequence[SyntheticRow], test_texts: Sequence[str]) -> list[SyntheticRow]:
    if not synthetic:
        return []
    near = PrivacyFilter(test_texts)
    return [row for row in synthetic if not near.is_near_copy(row.text)]


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _different_texts(data: Dataset) -> Counter[str]:
    """How many different texts each label has; a text with several labels counts for the first."""
    owner: dict[str, str] = {}
    for text, label in zip(data.texts, data.labels, strict=True):
        owner.setdefault(_plain(text), label)
    counts = Counter(dict.fromkeys(data.labels, 0))
    counts.update(owner.values())
    return counts
