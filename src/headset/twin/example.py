"""Labelled texts from a scenario's customers, to train a model on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from headset.twin.wheel import Wheel

if TYPE_CHECKING:
    from random import Random

    from headset.twin.scenario import Channel
    from headset.twin.world import World


class Example(Struct, frozen=True):
    """A text a customer may send, and what they want."""

    text: str
    label: str
    language: str
    channel: str


def write_examples(
    world: World, count: int, random: Random, *, language: str | None = None, channel: Channel | None = None
) -> list[Example]:
    """``count`` labelled texts, the usual intents in equal shares and mixed order, as long before any change.

    Args:
        world: Whose customers.
        count: How many.
        random: Decides everything.
        language: Of all texts; as the scenario mixes them when left out.
        channel: Likewise.
    """
    scenario = world.scenario
    languages, channels = Wheel(scenario.languages), Wheel(scenario.channels)
    intents = [world.catalogue.usual[index % len(world.catalogue.usual)] for index in range(count)]
    random.shuffle(intents)
    found = []
    for intent in intents:
        spoken, used = language or languages.draw(random), channel or channels.draw(random)
        text = world.utterances.ask(intent, spoken, used, random, error_ratio=scenario.texts.error_ratio)
        found.append(Example(text, intent, spoken, used))
    return found
