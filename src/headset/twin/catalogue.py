"""The intents a scenario may speak of, and which queue each belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.twin.phrasebook import load_phrasebook
from headset.twin.refusal import show

if TYPE_CHECKING:
    from collections.abc import Iterable

    from headset.twin.scenario import Scenario

THANKS = "thanks_goodbye"
PERSON = "speak_to_human"


class Catalogue(Struct, frozen=True):
    """What customers may want.

    Attributes:
        groups: The group of each intent; empty where there are none.
        usual: The intents that models learn, in order; the others are emergent.
    """

    groups: dict[str, str]
    usual: tuple[str, ...]


def phrasebook_catalogue() -> Catalogue:
    """The intents of the phrasebooks.

    >>> len(phrasebook_catalogue().usual)
    29
    """
    book = load_phrasebook("en")
    groups = {name: intent.group for name, intent in (book.intents | book.emergent).items()}
    return Catalogue(groups, tuple(book.intents))


def dataset_catalogue(labels: Iterable[str]) -> Catalogue:
    """The intents of a data set.

    >>> dataset_catalogue(["b", "a", "b"]).usual
    ('a', 'b')
    """
    names = tuple(sorted(set(labels)))
    return Catalogue(dict.fromkeys(names, ""), names)


def assign_queues(scenario: Scenario, catalogue: Catalogue) -> dict[str, str]:
    """The queue of each intent.

    Raises:
        InvalidInput: a queue takes what there is not, two take the same, or an intent is left without a queue.
    """
    taken: dict[str, str] = {}
    rest = [name for name, queue in scenario.queues.items() if not queue.takes]
    if len(rest) > 1:
        raise InvalidInput("queues", f"{' and '.join(rest)} both lack 'takes'; only one queue may take the rest")
    groups = set(catalogue.groups.values()) - {""}
    for name, queue in scenario.queues.items():
        key = f"queues.{name}.takes"
        for what in queue.takes:
            if what not in catalogue.groups and what not in groups:
                raise InvalidInput(key, f"names {show(what)}, neither an intent nor a group{_known(catalogue)}")
            for intent, group in catalogue.groups.items():
                meant = intent == what or (group == what and intent not in queue.takes)
                if meant and taken.setdefault(intent, name) != name:
                    raise InvalidInput(key, f"names {show(what)}, but {intent!r} belongs to {taken[intent]!r} already")
    left = [intent for intent in catalogue.groups if intent not in taken]
    if left and not rest:
        raise InvalidInput(
            "queues", f"none takes {left[0]!r}; add it to 'takes', or a queue without 'takes' for the rest"
        )
    return taken | dict.fromkeys(left, rest[0] if rest else "")


def _known(catalogue: Catalogue) -> str:
    return f"; intents are {', '.join(sorted(catalogue.groups)[:40])}"
