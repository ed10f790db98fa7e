"""What a model's test saw: which intent it took for which, and how sure it was. Kept beside the scorer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput, NotFound
from headset.registry.artifact import check_recorded, read_beside

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from headset.registry.store import Registry

CONFUSION = "confusion.json"

Count = Annotated[int, Meta(ge=0)]
Confidences = tuple[tuple[Annotated[float, Meta(ge=0, le=1)], ...], ...]


class Confusion(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model as its test saw it.

    Attributes:
        intents: The K intents it knows.
        counts: Shape (K, K): test rows by true intent (row) and by what the model said (column).
        right: K tuples by true intent: its confidence on each row it got right.
        wrong: The same of the rows it got wrong.
        threshold: The confidence from which it answers alone; above 1 where it never does.
        unlearned: Test rows of intents it does not know; counted nowhere else.
    """

    intents: tuple[str, ...]
    counts: tuple[tuple[Count, ...], ...]
    right: Confidences
    wrong: Confidences
    threshold: Annotated[float, Meta(ge=0, lt=2)]
    unlearned: Count = 0


def observe(
    intents: Sequence[str],
    truth: Sequence[str],
    predicted: Sequence[str],
    confidence: NDArray[np.float64],
    threshold: float,
) -> Confusion:
    """What a test saw of a model, for forecasts.

    Args:
        intents: The K intents the model knows; rows whose truth is another are only counted.
        truth: Of n test rows.
        predicted: Of the same; each among ``intents``.
        confidence: (n,) of each prediction, from 0 to 1; kept to 4 digits.
        threshold: From which the model answers alone.

    >>> seen = observe(["a", "b"], ["a", "b", "c"], ["a", "a", "a"], np.array([0.9, 0.6, 0.3]), 0.7)
    >>> seen.counts, seen.right, seen.wrong, seen.unlearned
    (((1, 0), (1, 0)), ((0.9,), ()), ((), (0.6,)), 1)
    """
    place = {intent: column for column, intent in enumerate(intents)}
    counts = np.zeros((len(intents), len(intents)), dtype=int)
    right: list[list[float]] = [[] for _ in intents]
    wrong: list[list[float]] = [[] for _ in intents]
    for intent, said, sure in zip(truth, predicted, confidence.round(4).tolist(), strict=True):
        if intent in place:
            counts[place[intent], place[said]] += 1
            (right if said == intent else wrong)[place[intent]].append(min(sure, 1.0))
    return Confusion(
        intents=tuple(intents),
        counts=tuple(map(tuple, counts.tolist())),
        right=tuple(map(tuple, map(sorted, right))),
        wrong=tuple(map(tuple, map(sorted, wrong))),
        threshold=threshold,
        unlearned=len(truth) - int(counts.sum()),
    )


def find_confusion(registry: Registry, model: str, version: str) -> Confusion:
    """The test of a registered version, by number or alias.

    Raises:
        NotFound: there is no such version, or it was registered without its test.
        ArtifactError: the file was changed since, or the whole folder was exchanged.
    """
    known = registry.get(model, version)
    folder = registry.artifact(model, known.version)
    check_recorded(folder, known.made.artifact_sha256)
    content = read_beside(folder, CONFUSION)
    if content is None:
        raise NotFound(
            "confusion",
            f"version {known.version} of {model!r} was registered without its confusion matrix;"
            " train again with 'headset train intent', or name the path of a confusion.json",
        )
    return _decode(content, f"that of version {known.version}")


def read_confusion(path: Path) -> Confusion:
    """Read a ``confusion.json``.

    Raises:
        NotFound: there is none.
        InvalidInput: it cannot be read, or is no confusion matrix.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound("confusion", f"{path} is not there; name a confusion.json or a version of the model") from None
    except OSError as error:
        raise InvalidInput("confusion", f"{path} cannot be read ({error.strerror}); name a confusion.json") from None
    return _decode(content, str(path))


def _decode(content: bytes, name: str) -> Confusion:
    try:
        confusion = msgspec.json.decode(content, type=Confusion)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        problem = f"{name} is no confusion matrix ({error}); 'headset train intent' writes one"
        raise InvalidInput("confusion", problem) from None
    size = len(confusion.intents)
    if size == 0 or len(set(confusion.intents)) < size:
        raise InvalidInput("confusion", f"{name} has {size} intents, some twice or none at all; each needs one row")
    if len(confusion.counts) != size or any(len(row) != size for row in confusion.counts):
        raise InvalidInput("confusion", f"{name} has counts that are not {size} rows of {size}")
    rows = [(row[place], sum(row) - row[place]) for place, row in enumerate(confusion.counts)]
    if [*zip(map(len, confusion.right), map(len, confusion.wrong), strict=False)] != rows or (
        len(confusion.right) != len(confusion.wrong)
    ):
        raise InvalidInput("confusion", f"{name} must have one confidence in 'right' or 'wrong' for each row counted")
    if not any(map(any, confusion.counts)):
        raise InvalidInput("confusion", f"{name} holds no test row; measure the model on some")
    return confusion
