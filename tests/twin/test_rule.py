from __future__ import annotations

import tomllib
from copy import deepcopy
from datetime import UTC, date, datetime, time, timedelta

import msgspec
import pytest

from headset.core.errors import InvalidInput
from headset.twin.catalogue import dataset_catalogue, phrasebook_catalogue
from headset.twin.rule import check_scenario
from headset.twin.scenario import Scenario, read_scenario

CATALOGUE = phrasebook_catalogue()
START = datetime(2026, 3, 2, tzinfo=UTC).replace(tzinfo=None)
DAY = timedelta(days=1)
SMALL = tomllib.loads(
    """
name = "small"
start = 2026-03-02T00:00:00
days = 7
contacts_per_day = 100

[languages]
en = 0.75
es = 0.25

[channels]
chat = 0.5
voice = 0.5

[intents]
roaming = 0.5
slow_internet = 0.3
bill_dispute = 0.2

[segments.region]
north = 0.9995
south = 0.0005

[queues.home]
takes = ["home"]

[queues.rest]

[[teams]]
name = "all"
agents = 2
queues = ["home", "rest"]
languages = ["en", "es"]
"""
)


def plus(key, *entries):
    return lambda tables: tables.update({key: list(entries)})


def occasion(**keys):
    return lambda tables: tables.setdefault("calendar", {}).update(
        occasions=[{"name": "day", "kind": "holiday", "start": date(2026, 3, 3), "factor": 0.5} | keys]
    )


def incident(**keys):
    return plus(
        "incidents",
        {"name": "storm", "start": START, "hours": 8, "intent": "storm_outage", "contacts_per_hour": 9} | keys,
    )


def change(**keys):
    return plus("changes", {"name": "mix", "start": START, "end": START + DAY, "intents": {"roaming": 2}} | keys)


def fault(**keys):
    return plus(
        "faults",
        {"name": "ms", "kind": "wrong_unit", "field": "handle_time_s", "start": START, "end": START + DAY} | keys,
    )


def unfair(**keys):
    return plus("unfairness", {"name": "unfair", "where": {"language": "es"}, "accuracy_loss": 0.1} | keys)


def team(**keys):
    return lambda tables: tables["teams"][0].update(keys)


def arms(*shares):
    return lambda tables: tables.update(bot={"arms": [{"version": "1", "share": share} for share in shares]})


def calendar(**profiles):
    return lambda tables: tables.update(calendar=profiles)


ALLOWED = {
    "as it is": lambda _: None,
    "no bot": arms(),
    "an incident that began before": incident(start=START - timedelta(hours=7)),
    "a change that is over": change(start=START - 2 * DAY, end=START - DAY),
    "a change that goes on after": change(end=START + 300 * DAY),
    "occasions that overlap": lambda tables: tables.update(
        calendar={
            "occasions": [
                {"name": name, "kind": "holiday", "start": date(2026, 3, 2), "end": date(2026, 3, 4), "factor": 0.0}
                for name in ("one", "one", "other")
            ]
        }
    ),
    "a shift over midnight": team(shift=[time(22), time(6)]),
    "a missing segment": fault(kind="missing_field", field="region"),
    "an unfair channel": unfair(where={"channel": "voice"}),
    "an occasion outside": occasion(start=date(2026, 12, 24)),
    "everything in equal shares": lambda tables: tables.pop("intents"),
}

REFUSED = {
    "shares": (lambda t: t["languages"].update(en=0.5), "languages", "sums to 0.75"),
    "an empty table": (lambda t: t.update(languages={}), "languages", "sums to 0"),
    "a segment's shares": (lambda t: t["segments"].update(tenure={"new": 0.2}), "segments.tenure", "0.2"),
    "an empty segment": (lambda t: t["segments"].update(tenure={}), "segments.tenure", "sums to 0"),
    "a segment called language": (lambda t: t["segments"].update(language={"en": 1}), "segments.language", "languages"),
    "an unknown intent": (lambda t: t.update(intents={"roming": 1.0}), "intents", "'roming'"),
    "an unknown intent of an incident": (incident(intent="stomr"), "incidents[0].intent", "'stomr'"),
    "a change without a share": (change(intents={"voicemail": 2}), "changes[0].intents.voicemail", "without a share"),
    "an occasion without a share": (
        occasion(intents={"storm_outage": 2}),
        "calendar.occasions[0].intents.storm_outage",
        "without a share",
    ),
    "a change of an unknown intent": (change(intents={"nothing": 2}), "changes[0].intents", "'nothing'"),
    "a change of nothing": (change(intents={}), "changes[0]", "changes nothing"),
    "a change by nothing": (change(intents={"roaming": 1.0}), "changes[0]", "changes nothing"),
    "an empty word": (change(words={"": "hub"}), "changes[0].words", "1 to 100"),
    "an empty new word": (change(words={"router": " "}), "changes[0].words", "1 to 100"),
    "a change that ends first": (change(end=START - DAY), "changes[0].end", "later than it begins"),
    "a change afterwards": (change(start=START + 7 * DAY, end=START + 9 * DAY), "changes[0].start", "before"),
    "an unknown language": (lambda t: t.update(languages={"fr": 1.0}), "languages", "'fr'"),
    "a team of an unknown language": (team(languages=["en", "es", "fr"]), "teams[0].languages", "'fr'"),
    "an unknown queue": (team(queues=["home", "rest", "sales"]), "teams[0].queues", "'sales'"),
    "a missing skill": (team(languages=["en"]), "teams", "'home' in 'es'"),
    "a queue without agents": (team(queues=["home"]), "teams", "'rest' in 'en'"),
    "no working day": (team(weekdays=[]), "teams[0].weekdays", "empty"),
    "a working day twice": (team(weekdays=[1, 1]), "teams[0].weekdays", "once"),
    "seconds in a shift": (team(shift=[time(8), time(8, 0, 30)]), "teams[0].shift", "whole minutes"),
    "a zone in a shift": (team(shift=[time(8, tzinfo=UTC), time(9)]), "teams[0].shift", "zone"),
    "two teams of one name": (lambda t: t["teams"].append(t["teams"][0]), "teams[1].name", "'all'"),
    "too many agents": (
        lambda t: t["teams"].extend([t["teams"][0] | {"name": f"t{n}", "agents": 10_000} for n in range(2)]),
        "teams",
        "20002",
    ),
    "a queue of something unknown": (lambda t: t["queues"]["home"].update(takes=["hme"]), "queues.home.takes", "'hme'"),
    "a queue of something taken": (
        lambda t: t["queues"].update(more={"takes": ["slow_internet", "home"]}),
        "queues.more.takes",
        "belongs to 'home'",
    ),
    "two queues for the rest": (lambda t: t["queues"].update(more={}), "queues", "only one"),
    "no queue for the rest": (lambda t: (t["queues"].pop("rest"), team(queues=["home"])(t)), "queues", "none takes"),
    "arms": (arms(0.5, 0.2), "bot.arms", "0.7"),
    "arms of one version": (arms(0.5, 0.5), "bot.arms[1].version", "'1'"),
    "a fault of another kind's field": (fault(field="csat"), "faults[0].field", "handle_time_s"),
    "a fault of nothing": (fault(share=0), "faults[0]", "changes nothing"),
    "a fault that ends first": (fault(end=START), "faults[0].end", "later than it begins"),
    "a fault afterwards": (fault(start=START + 8 * DAY, end=START + 9 * DAY), "faults[0].start", "meet the scenario"),
    "duplicates of a field": (fault(kind="duplicates", field="csat"), "faults[0].field", "leave it out"),
    "an incident afterwards": (incident(start=START + 7 * DAY), "incidents[0].start", "meet the scenario"),
    "an incident before": (incident(start=START - timedelta(hours=8)), "incidents[0].start", "meet the scenario"),
    "an incident in a zone": (incident(start=START.replace(tzinfo=UTC)), "incidents[0].start", "zone"),
    "an incident for nobody": (incident(where={"region": "east"}), "incidents[0].where.region", "nobody has"),
    "an incident for few": (incident(where={"region": "south"}), "incidents[0].where", "0.0005 of 20000"),
    "an incident for something unknown": (
        incident(where={"colour": "red"}),
        "incidents[0].where",
        "'colour', which is no attr",
    ),
    "two incidents of one name": (
        lambda t: (incident()(t), t["incidents"].append(t["incidents"][0])),
        "incidents[1].name",
        "'storm'",
    ),
    "unfairness to all": (unfair(where={}), "unfairness[0].where", "empty"),
    "unfairness without effect": (unfair(accuracy_loss=0), "unfairness[0]", "changes nothing"),
    "an occasion without effect": (occasion(factor=1.0), "calendar.occasions[0]", "changes nothing"),
    "an occasion that ends first": (occasion(end=date(2026, 3, 2)), "calendar.occasions[0].end", "last day"),
    "an occasion in the year 9999": (occasion(end=date(9999, 12, 31)), "calendar.occasions[0].end", "2199"),
    "a zone": (lambda t: t.update(start=START.replace(tzinfo=UTC)), "start", "leave out the zone"),
    "the year 9999": (lambda t: t.update(start=START.replace(year=9999)), "start", "1971 to 2199"),
    "the year 1": (lambda t: t.update(start=START.replace(year=1)), "start", "1971 to 2199"),
    "no hour": (calendar(hours=[0] * 24), "calendar.hours", "0 throughout"),
    "no month of the period": (calendar(months=[1, 1, 0, *[1] * 9]), "calendar", "no contact"),
    "all days closed": (occasion(start=date(2026, 1, 1), end=date(2026, 12, 31), factor=0), "calendar", "no contact"),
    "millions in an hour": (
        lambda t: t.update(contacts_per_day=9_000_000, calendar={"hours": [1] + [0] * 23}),
        "contacts_per_day",
        "9e+06",
    ),
    "millions in an incident's hour": (
        lambda t: (incident(contacts_per_hour=999_999)(t), t.update(contacts_per_day=100_000)),
        "contacts_per_day",
        "1000000",
    ),
    "factors without end": (
        lambda t: t.update(
            calendar={
                "occasions": [
                    {"name": "sale", "kind": "promotion", "start": date(2026, 3, 2), "factor": 1_000}
                    for _ in range(200)
                ]
            }
        ),
        "contacts_per_day",
        "inf",
    ),
    "changes without end": (
        plus(
            "changes",
            *({"name": f"n{n}", "start": START, "end": START + DAY, "intents": {"roaming": 1e3}} for n in range(200)),
        ),
        "changes",
        "multiply an intent by up to inf",
    ),
    "the twin's languages": (lambda t: t.update(texts={"language": "fr"}), "texts.language", "'fr'"),
}


def scenario(edit):
    tables = deepcopy(SMALL)
    edit(tables)
    return msgspec.convert(tables, Scenario)


@pytest.mark.parametrize("edit", ALLOWED.values(), ids=ALLOWED)
def test_what_can_happen_is_accepted(edit):
    check_scenario(scenario(edit), CATALOGUE)


@pytest.mark.parametrize(("edit", "key", "rule"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_happen_is_refused_with_key_value_and_rule(edit, key, rule):
    with pytest.raises(InvalidInput) as caught:
        check_scenario(scenario(edit), CATALOGUE)
    assert caught.value.field == key
    assert rule in caught.value.problem
    assert len(str(caught.value)) < 1_200


def test_a_data_set_has_its_own_intents_and_one_language():
    tables = deepcopy(SMALL) | {
        "texts": {"dataset": "calls", "language": "de"},
        "languages": {"de": 1.0},
        "intents": {"a": 1},
        "queues": {"all": {}},
    }
    tables["teams"][0] |= {"queues": ["all"], "languages": ["de"]}
    check_scenario(msgspec.convert(tables, Scenario), dataset_catalogue(["a", "b"]))
    with pytest.raises(InvalidInput, match="there are texts in de"):
        check_scenario(msgspec.convert(tables | {"languages": {"en": 1}}, Scenario), dataset_catalogue(["a"]))
    with pytest.raises(InvalidInput, match="'a', which is no intent; there are b"):
        check_scenario(msgspec.convert(tables, Scenario), dataset_catalogue(["b"]))


def test_a_shorter_run_than_the_scenario_says_is_not_its_matter():
    year = read_scenario("retail_year")
    check_scenario(year, CATALOGUE)
    with pytest.raises(InvalidInput, match="must meet the scenario"):
        check_scenario(msgspec.structs.replace(year, days=100), CATALOGUE)
