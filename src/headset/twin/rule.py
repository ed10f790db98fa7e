"""What a scenario must fulfil beyond the types and limits of its keys: its parts fit together, and it can happen."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from headset.core.errors import InvalidInput
from headset.twin.catalogue import assign_queues
from headset.twin.phrasebook import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import Fault, Scenario

_TOLERANCE = 1e-6
_FIELDS = {
    "missing_field": ("language", "handle_time_s", "csat"),
    "wrong_unit": ("handle_time_s",),
    "stuck_feed": ("handle_time_s", "csat"),
    "duplicates": ("",),
}


def check_scenario(scenario: Scenario, catalogue: Catalogue) -> None:
    """Refuse a scenario that cannot happen.

    Args:
        scenario: As read.
        catalogue: The intents there are.

    Raises:
        InvalidInput: names the key, the value and the rule.
    """
    _check_shares(scenario)
    _check_times(scenario)
    _check_intents(scenario, catalogue)
    _check_languages(scenario)
    _check_where(scenario)
    _check_teams(scenario, assign_queues(scenario, catalogue))
    _check_arms(scenario)
    for index, fault in enumerate(scenario.faults):
        _check_fault(f"faults[{index}]", fault, scenario)


def _check_shares(scenario: Scenario) -> None:
    tables: dict[str, Mapping[str, float]] = {"languages": scenario.languages, "channels": scenario.channels}
    if scenario.intents:
        tables["intents"] = scenario.intents
    for name, shares in scenario.segments.items():
        if name in {"language", "channel"}:
            raise InvalidInput(f"segments.{name}", f"is no segment; the table '{name}s' holds these shares")
        tables[f"segments.{name}"] = shares
    for key, shares in tables.items():
        total = sum(shares.values())
        if abs(total - 1) > _TOLERANCE:
            raise InvalidInput(key, f"sums to {total:.6g}; the shares must sum to 1")
    for name, profile in (
        ("hours", scenario.calendar.hours),
        ("weekdays", scenario.calendar.weekdays),
        ("months", scenario.calendar.months),
    ):
        if sum(profile) <= 0:
            raise InvalidInput(f"calendar.{name}", "is 0 throughout; give at least one weight above 0")


def _check_times(scenario: Scenario) -> None:
    _check_local("start", scenario.start)
    for index, incident in enumerate(scenario.incidents):
        _check_local(f"incidents[{index}].start", incident.start)
    for index, occasion in enumerate(scenario.calendar.occasions):
        if occasion.last < occasion.start:
            key = f"calendar.occasions[{index}].end"
            raise InvalidInput(key, f"is {occasion.last}, before the start {occasion.start}; put the last day")
    spans = [(f"changes[{index}]", change.start, change.end) for index, change in enumerate(scenario.changes)]
    spans += [(f"faults[{index}]", fault.start, fault.end) for index, fault in enumerate(scenario.faults)]
    for key, start, end in spans:
        _check_local(f"{key}.start", start)
        _check_local(f"{key}.end", end)
        if end <= start:
            raise InvalidInput(f"{key}.end", f"is {end}, not after the start {start}; it must end later than it begins")
    try:
        scenario.start + timedelta(days=scenario.days + 60)
    except OverflowError:
        raise InvalidInput("start", f"is {scenario.start}; so far ahead no calendar goes") from None
    if scenario.start.year < 1_971:
        raise InvalidInput("start", f"is {scenario.start}; it may not lie before 1971")


def _check_local(key: str, moment: datetime) -> None:
    if moment.tzinfo is not None:
        raise InvalidInput(key, f"is {moment.isoformat()}; times are the centre's own clock: leave out the zone")


def _check_intents(scenario: Scenario, catalogue: Catalogue) -> None:
    named: list[tuple[str, Iterable[str]]] = [("intents", scenario.intents)]
    named += [(f"incidents[{index}].intent", (each.intent,)) for index, each in enumerate(scenario.incidents)]
    named += [(f"changes[{index}].intents", each.intents) for index, each in enumerate(scenario.changes)]
    named += [
        (f"calendar.occasions[{index}].intents", each.intents)
        for index, each in enumerate(scenario.calendar.occasions)
    ]
    for key, intents in named:
        for intent in intents:
            if intent not in catalogue.groups:
                known = ", ".join(sorted(catalogue.groups)[:40])
                raise InvalidInput(key, f"names {intent!r}, which is no intent; there are {known}")


def _check_languages(scenario: Scenario) -> None:
    languages = LANGUAGES if scenario.texts.dataset is None else (scenario.texts.language,)
    if scenario.texts.language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise InvalidInput("texts.language", f"is {scenario.texts.language!r}; the twin speaks {known}")
    for language in scenario.languages:
        if language not in languages:
            raise InvalidInput("languages", f"names {language!r}; there are texts in {', '.join(languages)}")


def _check_where(scenario: Scenario) -> None:
    shares: dict[str, Mapping[str, float]] = {
        "language": scenario.languages,
        "channel": {str(name): share for name, share in scenario.channels.items()},
        **scenario.segments,
    }
    tables = [(f"incidents[{index}].where", each.where) for index, each in enumerate(scenario.incidents)]
    tables += [(f"unfairness[{index}].where", each.where) for index, each in enumerate(scenario.unfairness)]
    for key, where in tables:
        for attribute, value in where.items():
            if attribute not in shares:
                raise InvalidInput(f"{key}.{attribute}", f"is no attribute; there are {', '.join(shares)}")
            if shares[attribute].get(value, 0) <= 0:
                there = ", ".join(name for name, share in shares[attribute].items() if share > 0)
                raise InvalidInput(f"{key}.{attribute}", f"is {value!r}, which nobody has; there are {there}")


def _check_teams(scenario: Scenario, queue_of: Mapping[str, str]) -> None:
    """Someone must be able to answer each contact that may come."""
    for index, team in enumerate(scenario.teams):
        for queue in team.queues:
            if queue not in scenario.queues:
                known = ", ".join(scenario.queues)
                raise InvalidInput(f"teams[{index}].queues", f"names {queue!r}, which is no queue; there are {known}")
        if not team.weekdays:
            raise InvalidInput(f"teams[{index}].weekdays", "is empty; name a day on which the team works, 0 for Monday")
    able = {(queue, language) for team in scenario.teams for queue in team.queues for language in team.languages}
    intents = [name for name, share in scenario.intents.items() if share > 0] or list(queue_of)
    needed = {queue_of[intent] for intent in [*intents, *(each.intent for each in scenario.incidents)]}
    for queue in sorted(needed):
        for language, share in scenario.languages.items():
            if share > 0 and (queue, language) not in able:
                raise InvalidInput("teams", f"has no agent for queue {queue!r} in {language!r}; add that skill to a team")


def _check_arms(scenario: Scenario) -> None:
    arms = scenario.bot.arms
    total = sum(arm.share for arm in arms)
    if arms and abs(total - 1) > _TOLERANCE:
        raise InvalidInput("bot.arms", f"have shares that sum to {total:.6g}; they must sum to 1")
    versions = [arm.version for arm in arms]
    if len(set(versions)) < len(versions):
        raise InvalidInput("bot.arms", f"have the versions {', '.join(versions)}; each needs its own")


def _check_fault(key: str, fault: Fault, scenario: Scenario) -> None:
    fields = _FIELDS[fault.kind]
    if fault.kind == "missing_field":
        fields = (*fields, *scenario.segments)
    if fault.field not in fields:
        allowed = ", ".join(fields) if fields != ("",) else "none; leave it out"
        raise InvalidInput(f"{key}.field", f"is {fault.field!r}; for {fault.kind} it may be: {allowed}")
