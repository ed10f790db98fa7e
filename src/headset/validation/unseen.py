"""Rows that a model has not seen: what it learned from says nothing about how good it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from headset.core.errors import InvalidInput, NotFound
from headset.data.dataset import read_dataset
from headset.data.verified import read_verified
from headset.events.past import Past
from headset.validation.context import Rows

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from headset.data.dataset import Dataset
    from headset.events.log import Log
    from headset.events.vault import Vault
    from headset.registry.store import ModelVersion


class Asked(Struct, frozen=True):
    """What of a training's request matters here; ``source`` is where an import came from, and empty of a training."""

    dataset: str | None = ""
    source: str = ""
    test: str | None = None
    target_precision: float = 0.95


_ASKED = msgspec.json.Decoder(Asked)  # made here: two threads must not be the first to decode a type


def read_asked(version: ModelVersion) -> Asked:
    """What was asked for when a version was trained; nothing where that is not recorded."""
    try:
        return _ASKED.decode(version.made.request)
    except msgspec.DecodeError:
        return Asked(dataset=version.made.dataset)


def choose_data(log: Log, vault: Vault, name: str | None, candidate: ModelVersion) -> Dataset:
    """The data to validate on: the named set, else the one it was tested on, else what agents have verified since.

    Raises:
        NotFound: there is no data of that name.
        InvalidInput: none was named, and there is none to choose.
    """
    if name is not None:
        return read_dataset(log, vault, name)
    test = read_asked(candidate).test
    if test is not None:
        return read_dataset(log, vault, test)
    found = read_verified(log, vault, after=candidate.made.data_position)
    if found.texts:
        return found
    raise InvalidInput(
        "data",
        f"is not named, version {candidate.version} was trained without --test, and no agent has verified an intent"
        " since; name data that it has not learned from with --data",
    )


def read_learned(log: Log, vault: Vault, versions: Sequence[ModelVersion]) -> tuple[frozenset[str], str]:
    """Texts, as :func:`plain`, that some versions learned from; and why not all are known, empty where they are."""
    learned: set[str] = set()
    unknown = []
    for version in versions:
        name = "" if read_asked(version).source else version.made.dataset  # an import names data it was measured on
        position = version.made.data_position
        then = Past(log, position) if position else log
        try:
            learned.update(map(plain, read_dataset(then, vault, name).texts) if name else ())
        except NotFound:
            name = ""
        except InvalidInput:
            unknown.append(f"version {version.version} learned from more texts than are read at once")
        if not name:
            unknown.append(f"version {version.version} learned from data that this log does not hold")
    return frozenset(learned), "; ".join(unknown)


def keep_unseen(
    data: Dataset, learned: Collection[str], groups: Mapping[str, Sequence[str]], *, unknown: str = ""
) -> Rows:
    """The rows of ``data`` that say what none of the learned texts says, each once.

    Args:
        data: The rows.
        learned: Texts that the contenders learned from, as :func:`plain`.
        groups: By dimension, the group of each row of ``data``.
        unknown: Why not all learned texts are known.

    >>> from headset.data.dataset import Dataset
    >>> data = Dataset("late", ("Hi", "My card", "my  CARD"), ("a", "b", "b"), ("1", "2", "3"), "")
    >>> rows = keep_unseen(data, {"hi"}, {})
    >>> rows.texts, rows.excluded, rows.repeated
    (('My card',), 1, 1)
    """
    seen: set[str] = set()
    chosen: list[int] = []
    excluded = 0
    for place, text in enumerate(data.texts):
        bare = plain(text)
        if bare in learned:
            excluded += 1
        elif bare not in seen:
            seen.add(bare)
            chosen.append(place)
    return Rows(
        name=repr(data.name),
        texts=tuple(data.texts[place] for place in chosen),
        labels=tuple(data.labels[place] for place in chosen),
        conversations=tuple(data.ids[place].rpartition("#")[0] for place in chosen),
        groups={dimension: [column[place] for place in chosen] for dimension, column in groups.items()},
        excluded=excluded,
        repeated=len(data.texts) - excluded - len(chosen),
        unknown=unknown,
    )


def plain(text: str) -> str:
    """A text by which its repetitions are known: case and spaces do not count."""
    return " ".join(text.lower().split())
