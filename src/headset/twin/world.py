"""What a simulated period is made of: what happens, the words for it, and who answers first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.twin.bot import Bot, made_up_bot
from headset.twin.catalogue import Catalogue, dataset_catalogue, phrasebook_catalogue
from headset.twin.rule import check_scenario
from headset.twin.scenario import Scenario
from headset.twin.utterance import DatasetUtterances, PhrasebookUtterances, Utterances

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class World(Struct, frozen=True):
    """Everything but the seed.

    Attributes:
        scenario: Checked.
        catalogue: Its intents.
        utterances: Its words.
        bot: As the scenario describes it; None where people answer everything.
    """

    scenario: Scenario
    catalogue: Catalogue
    utterances: Utterances
    bot: Bot | None


def make_world(scenario: Scenario, *, texts: Mapping[str, Sequence[str]] | None = None) -> World:
    """The world of a scenario.

    Args:
        scenario: As read.
        texts: Texts by intent, where the scenario takes them from a data set.

    Raises:
        InvalidInput: the scenario cannot happen, or its texts are missing.
    """
    utterances: Utterances
    if texts is not None:
        catalogue = dataset_catalogue(texts)
        utterances = DatasetUtterances(texts, scenario.texts.language)
    elif scenario.texts.dataset is not None:
        raise InvalidInput(
            "texts.dataset", f"is {scenario.texts.dataset!r}; name the home folder that holds it with --home"
        )
    else:
        catalogue = phrasebook_catalogue()
        utterances = PhrasebookUtterances()
    check_scenario(scenario, catalogue)
    bot = made_up_bot(scenario.bot, catalogue) if scenario.bot.arms else None
    return World(scenario, catalogue, utterances, bot)
