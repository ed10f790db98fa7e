"""Texts that no contact centre's intents fit, made from ``foreign.toml``, the twin's phrasebooks and chance."""

from __future__ import annotations

import tomllib
from importlib import resources
from random import Random
from typing import TYPE_CHECKING

from headset.twin.grammar import expand
from headset.twin.phrasebook import LANGUAGES, load_phrasebook
from headset.twin.utterance import PhrasebookUtterances

if TYPE_CHECKING:
    from collections.abc import Collection

_TOPICS = 240
_GIBBERISH = 60
_TELECOM = 120
_ATTEMPTS = 20


def make_foreign(labels: Collection[str], seed: int) -> dict[str, tuple[str, ...]]:
    """Out-of-scope texts by kind: ``other topics``, ``gibberish``, and ``telecom`` where the model is of another trade.

    Args:
        labels: The intents of the model; where the twin's are among them, its texts are in scope.
        seed: Equal seeds give equal texts.

    >>> texts = make_foreign(["card_arrival"], 7)
    >>> {kind: len(of) for kind, of in texts.items()}
    {'other topics': 240, 'gibberish': 60, 'telecom': 120}
    """
    random = Random(seed)  # noqa: S311 - a seeded sample
    made = {"other topics": _topics(random), "gibberish": tuple(_gibberish(random) for _ in range(_GIBBERISH))}
    if not set(labels) & set(load_phrasebook(LANGUAGES[0]).intents):
        made["telecom"] = _telecom(random)
    return made


def _topics(random: Random) -> tuple[str, ...]:
    """Different texts, the topics in turn."""
    content = tomllib.loads(resources.files("headset.validation").joinpath("foreign.toml").read_text("utf-8"))
    templates, slots = content["templates"], content["slots"]
    made: dict[str, None] = {}
    for number in range(_ATTEMPTS * _TOPICS):
        made[expand(templates[number % len(templates)], slots, random)] = None
        if len(made) == _TOPICS:
            break
    return tuple(made)


def _gibberish(random: Random) -> str:
    words = random.randint(2, 8)
    return " ".join("".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 9))) for _ in range(words))


def _telecom(random: Random) -> tuple[str, ...]:
    book, utterances = load_phrasebook("en"), PhrasebookUtterances()
    trade = [name for name, intent in book.intents.items() if intent.group in {"home", "phone", "plan"}]
    return tuple(utterances.ask(trade[number % len(trade)], "en", "chat", random) for number in range(_TELECOM))
