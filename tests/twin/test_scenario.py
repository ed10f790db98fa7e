from __future__ import annotations

import math
import os
import tomllib
from copy import deepcopy
from datetime import date, datetime, time
from importlib import resources
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headset.core.errors import InvalidInput
from headset.twin.bot import made_up_bot
from headset.twin.catalogue import phrasebook_catalogue
from headset.twin.centre import Centre
from headset.twin.refusal import refuse
from headset.twin.rule import check_scenario
from headset.twin.scenario import Scenario, parse_scenario, read_scenario, scenario_names
from headset.twin.silent import Silent

CATALOGUE = phrasebook_catalogue()
QUIET = tomllib.loads(resources.files("headset.twin").joinpath("scenarios", "quiet_week.toml").read_text())
START = QUIET["start"]
FULL = QUIET | {
    "contacts_per_day": 300,
    "calendar": QUIET["calendar"]
    | {"occasions": [{"name": "day", "kind": "holiday", "start": date(2026, 3, 3), "factor": 0.5}]},
    "incidents": [
        {
            "name": "storm",
            "start": START,
            "hours": 8,
            "intent": "storm_outage",
            "contacts_per_hour": 9,
            "where": {"region": "west"},
        }
    ],
    "changes": [
        {"name": "mix", "start": START, "end": START.replace(year=2027), "intents": {"roaming": 2}, "words": {"a": "b"}}
    ],
    "unfairness": [{"name": "unfair", "where": {"language": "es"}, "accuracy_loss": 0.1, "error_ratio": 0.1}],
    "faults": [
        {"name": "lost", "kind": "missing_field", "field": "csat", "start": START, "end": START.replace(day=4)},
        {"name": "twice", "kind": "duplicates", "start": START, "end": START.replace(day=4), "share": 0.5},
    ],
    "bot": {
        "threshold": 0.7,
        "arms": [{"version": "1", "share": 0.5}, {"version": "2", "share": 0.5, "accuracy": 0.9}],
    },
    "texts": {"error_ratio": 0.1},
    "costs": {"agent_hour": 30.0},
}

REFUSED = {
    "a negative rate": ({"contacts_per_day": -3}, "contacts_per_day", "is -3; it must be a number > 0"),
    "no contacts": ({"contacts_per_day": 0.0}, "contacts_per_day", "is 0.0; it must be a number > 0"),
    "too many contacts": ({"contacts_per_day": 1e308}, "contacts_per_day", "<= 10000000"),
    "no number": ({"contacts_per_day": math.nan}, "contacts_per_day", "is nan; it must be a number"),
    "no end": ({"contacts_per_day": math.inf}, "contacts_per_day", "is inf; it must be a number"),
    "thousands of digits": ({"contacts_per_day": 10**4_000}, "contacts_per_day", "over 40 digits"),
    "a truth value": ({"contacts_per_day": True}, "contacts_per_day", "is true; it must be a number"),
    "half a day": ({"days": 0.5}, "days", "is 0.5; it must be a whole number"),
    "a day without time": ({"start": date(2026, 1, 1)}, "start", "a date and time such as 2026-"),
    "words for a time": ({"start": "soon"}, "start", "is 'soon'; it must be a date and time"),
    "a share above 1": ({"languages": {"en": 1.5}}, "languages.en", "is 1.5; it must be a number <= 1"),
    "a share below 0": ({"languages": {"en": 1.5, "es": -0.5}}, "languages.en", "is 1.5"),
    "nan in a table": ({"intents": {"roaming": 1.0, "a": math.nan}}, "intents.a", "is nan; it must be a number"),
    "an unknown channel": ({"channels": {"chat": 1, "fax": 0}}, "channels.fax", "one of chat, email, voice"),
    "a strange segment": ({"segments": {"a": {"b": 1}, "": {}}}, "segments.''", "1 to 64 letters"),
    "a strange value": ({"segments": {"a": {"b": 1, "c/d": 0}}}, "segments.a.c/d", "1 to 64 letters"),
    "a negative time": ({"queues": {"a": {}, "b": {"wrap_s": -1}}}, "queues.b.wrap_s", "is -1"),
    "an unknown key": (
        {"contact_per_day": 3},
        "scenario",
        "has no key 'contact_per_day'; do you mean 'contacts_per_day'?",
    ),
    "an unknown key of a queue": ({"queues": {"a": {"handle": 3}}}, "queues.a", "do you mean 'handle_s'?"),
    "a key like no other": ({"queues": {"a": {"zzz": 3}}}, "queues.a", "there are takes, handle_s"),
    "23 hours": ({"calendar": {"hours": [1] * 23}}, "calendar.hours", "a list of length >= 24"),
    "25 hours": ({"calendar": {"hours": [1] * 25}}, "calendar.hours", "a list of length <= 24"),
    "an hour in words": (
        {"calendar": {"hours": [1] * 23 + ["x"]}},
        "calendar.hours[23]",
        "is 'x'; it must be a number",
    ),
    "no teams": ({"teams": []}, "teams", "is []; it must be a list of length >= 1"),
    "a shift without end": ({"teams": [{"shift": [time(8)]}]}, "teams[0].shift", "length 2"),
    "a missing key": ({"teams": [{"name": "a"}]}, "teams[0]", "lacks the key 'agents'"),
    "an eighth day": (
        {"teams": [{"name": "a", "agents": 1, "queues": ["a"], "languages": ["en"], "weekdays": [7]}]},
        "teams[0].weekdays[0]",
        "is 7; it must be a whole number <= 6",
    ),
    "a table for a number": ({"days": {"a": {"b": {"c": {}}}}}, "days", "{...}"),
    "a long text": ({"days": "x" * 100_000}, "days", "is 'xxx"),
}


@pytest.mark.parametrize(("part", "key", "rule"), REFUSED.values(), ids=REFUSED)
def test_a_bad_value_is_refused_with_its_key_the_value_and_the_rule(part, key, rule):
    tables = deepcopy(QUIET) | deepcopy(part)
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(tables, Scenario)
    refused = refuse(caught.value, tables, Scenario, see="docs/twin.md")
    assert refused.field == key
    assert rule in refused.problem
    assert "docs/twin.md" in refused.problem
    assert len(str(refused)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 9_000,
        "a = " + "{b=" * 9_000,
        "days = " + "9" * 5_000,
        "a = 2026-02-30",
        "\0",
        "a",
        "a = 1\na = 2",
    ],
    ids=["nested lists", "nested tables", "digits", "a day there is not", "a zero byte", "no value", "twice"],
)
def test_what_is_no_toml_is_refused(text):
    with pytest.raises(InvalidInput, match=r"is no TOML|is nested too deep"):
        parse_scenario(text)


def test_a_key_of_thousands_of_parts_is_refused_before_it_takes_minutes():
    with pytest.raises(InvalidInput, match="full stops"):
        parse_scenario("a" + ".a" * 100_000 + " = 1")


def test_a_key_of_a_thousand_parts_is_an_unknown_key():
    with pytest.raises(InvalidInput, match="has no key 'a'"):
        parse_scenario("a" + ".a" * 999 + " = 1")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * 300_000)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(bytes(range(256)))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    places = {
        tmp_path: "no file",
        tmp_path / "missing.toml": "No such file",
        large: "over 262,144 bytes",
        binary: "no text in UTF-8",
        pipe: "no file",
        "a\0b": "cannot be read",
        "x" * 5_000: "cannot be read",
    }
    for place, reason in places.items():
        with pytest.raises(InvalidInput, match=reason) as caught:
            read_scenario(str(place))
        assert "quiet_week" in str(caught.value)
        assert len(str(caught.value)) < 400


def test_a_scenario_is_read_by_name_or_by_path_with_a_byte_order_mark_or_without(tmp_path):
    text = resources.files("headset.twin").joinpath("scenarios", "quiet_week.toml").read_text(encoding="utf-8")
    for encoding in ("utf-8", "utf-8-sig"):
        path = tmp_path / f"{encoding}.toml"
        path.write_text(text, encoding=encoding)
        assert read_scenario(str(path)) == read_scenario("quiet_week")


def test_the_least_scenario_needs_no_more_than_the_docs_say():
    least = parse_scenario(
        """
        name = "least"
        start = 2026-03-02T08:00:00
        days = 1
        contacts_per_day = 50
        queues.all = {}
        teams = [{ name = "all", agents = 2, queues = ["all"], languages = ["en"] }]
        """
    )
    check_scenario(least, CATALOGUE)
    assert simulate(least, days=1).contacts > 20


FAR = [datetime.fromisoformat(day) for day in ("0001-01-01", "9999-12-31", "2026-03-03T00:00:00+01:00")]
ODD = st.one_of(
    st.sampled_from(
        [0, -1, 1, 2, 0.5, 1e-300, 1e308, math.nan, math.inf, -math.inf, 10**30, 10**400, True, "", "en", "x", "0" * 99]
    ),
    st.sampled_from([[], {}, [[]], {"": {}}, {"a": 1}, [1, 2], date(2026, 3, 3), *FAR, time(3)]),
    st.floats(),
    st.integers(),
    st.text(max_size=5),
)


MILD = st.one_of(st.floats(0.01, 5), st.integers(0, 9), st.sampled_from(["1", "en", "care", "region", time(9), START]))
CHANGES = st.one_of(ODD, MILD, MILD, st.sampled_from(["remove", "rename"]))


def places(value):
    """Every table and list, with each key of theirs."""
    found = []
    if isinstance(value, (dict, list)):
        for key in value if isinstance(value, dict) else range(len(value)):
            found += [(value, key), *places(value[key])]
    return found


def simulate(scenario, days):
    bot = made_up_bot(scenario.bot, CATALOGUE) if scenario.bot.arms else None
    return Centre(scenario, CATALOGUE, Silent(bot), seed=7, days=days).run()


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32), st.lists(CHANGES, min_size=1, max_size=2))
def test_any_change_to_a_scenario_is_refused_clearly_or_can_be_simulated(seed, odds):
    tables, random = deepcopy(FULL), Random(seed)
    for odd in odds:
        part = random.choice([*tables, "name"])
        there = [(tables, part), *places(tables.get(part))]
        alike = [
            (place, key)
            for place, key in there
            if (isinstance(place, list) or key in place) and type(place[key]) is type(odd)
        ]
        place, key = random.choice(alike or there)
        if odd == "remove" and (isinstance(place, list) or key in place):
            del place[key]
        elif odd == "rename" and isinstance(place, dict):
            place[random.choice(["x", "", "handle_s", "es", f"{key}s"])] = place.pop(key, 1)
        else:
            place[key] = deepcopy(odd)
    scenario = accepted(tables)
    if scenario is not None:
        simulate(shrunk(scenario), days=0.1)


def accepted(tables):
    """The scenario, or None when it is refused as it should be."""
    try:
        scenario = msgspec.convert(tables, Scenario)
        check_scenario(scenario, CATALOGUE)
    except (InvalidInput, msgspec.ValidationError) as error:
        refused = error if isinstance(error, InvalidInput) else refuse(error, tables, Scenario, see="the docs")
        return None if refused.field and len(str(refused)) < 1_500 else pytest.fail(str(refused))
    return scenario


def shrunk(scenario):
    """As strange, but soon over."""
    return msgspec.structs.replace(
        scenario,
        contacts_per_day=min(scenario.contacts_per_day, 300.0),
        incidents=tuple(msgspec.structs.replace(each, contacts_per_hour=9.0) for each in scenario.incidents),
        teams=tuple(msgspec.structs.replace(each, agents=min(each.agents, 20)) for each in scenario.teams),
    )


def test_scenarios_that_come_along_are_listed():
    assert scenario_names() == sorted(
        ["quiet_week", "retail_year", "bad_agent_feedback", "unfair_language", "broken_feed", "shared_queue"]
    )
