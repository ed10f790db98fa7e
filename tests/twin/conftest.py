"""A small contact centre, and its simulation without words or in a log of its own."""

from __future__ import annotations

from types import SimpleNamespace

import msgspec
import pytest

from headset.twin.bot import made_up_bot
from headset.twin.catalogue import phrasebook_catalogue
from headset.twin.centre import Centre
from headset.twin.rule import check_scenario
from headset.twin.scenario import Scenario, parse_scenario
from headset.twin.silent import Silent

SMALL = """
name = "small"
start = 2026-03-02T00:00:00
days = 2
contacts_per_day = 400

[languages]
en = 0.7
es = 0.3

[channels]
chat = 0.5
voice = 0.3
email = 0.2

[intents]
bill_dispute = 0.3
slow_internet = 0.3
cancel_contract = 0.2
roaming = 0.1
speak_to_human = 0.1

[segments.region]
north = 0.5
south = 0.5

[customers]
count = 500

[queues.care]
takes = ["billing", "plan", "account", "general", "closing"]
handle_s = 300
wrap_s = 40

[queues.technical]
takes = ["phone", "home"]
handle_s = 400
wrap_s = 0
shape = "exponential"

[[teams]]
name = "care"
agents = 2
queues = ["care"]
languages = ["en", "es"]

[[teams]]
name = "technical"
agents = 2
queues = ["technical"]
languages = ["en", "es"]
automation_bias = 0.5
"""


class Witness(Silent):
    """Says nothing, but remembers who was told what, and when."""

    def __init__(self, bot):
        super().__init__(bot)
        self.seen = []
        self.centre = None

    def _see(self, what, contact, *details):
        self.seen.append(SimpleNamespace(at=self.centre.env.now, what=what, contact=contact, details=details))

    def ask(self, contact, request):
        self._see("ask", contact, request)
        return super().ask(contact, request)

    def answer(self, contact, answer, agent_id=None):
        self._see("answer", contact, answer, agent_id)
        super().answer(contact, answer, agent_id)

    def accept(self, contact, agent_id):
        self._see("accept", contact, agent_id)

    def judge(self, contact, decision, action, agent_id, intent):
        self._see("judge", contact, action, agent_id, intent, decision)
        super().judge(contact, decision, action, agent_id, intent)

    def review(self, contact, decision, action, intent):
        self._see("review", contact, action, intent, decision)

    def end(self, contact, ended_by):
        self._see("end", contact, ended_by)

    def report(self, contact, outcome):
        self._see("report", contact, outcome)

    def all(self, what):
        """Everything of one kind."""
        return [each for each in self.seen if each.what == what]


@pytest.fixture(scope="session")
def catalogue():
    return phrasebook_catalogue()


@pytest.fixture(scope="session")
def small(catalogue):
    """``small(customers={...}, contacts_per_day=…)``: the scenario with some keys changed, tables key by key."""

    def build(*, check=catalogue, **changes):
        scenario = parse_scenario(SMALL)
        tables = msgspec.to_builtins(scenario)
        for key, value in changes.items():
            if key in {"texts", "customers", "calendar", "bot", "costs"}:
                tables[key] = tables[key] | value
            elif isinstance(value, list) and key == "teams":
                tables[key] = [tables[key][0] | team for team in value]
            else:
                tables[key] = value
        scenario = msgspec.convert(tables, Scenario)
        check_scenario(scenario, check)
        return scenario

    return build


@pytest.fixture(scope="session")
def simulate(catalogue):
    """Runs a scenario without words; gives the centre, its tally, the courses, and all that the stage was told."""

    def run(scenario, *, seed=1, days=None, stage=None, bot=None, world=None):
        intents = world.catalogue if world else catalogue
        if stage is None:
            stage = Witness(bot or (made_up_bot(scenario.bot, intents) if scenario.bot.arms else None))
        courses = []
        centre = Centre(
            scenario,
            intents,
            stage,
            seed=seed,
            days=scenario.days if days is None else days,
            on_end=lambda contact, course: courses.append((contact, course)),
        )
        stage.centre = centre
        return SimpleNamespace(centre=centre, tally=centre.run(), courses=courses, stage=stage)

    return run


@pytest.fixture
def witness():
    """The class of the stage that :func:`simulate` runs on."""
    return Witness
