"""What a scenario must fulfil beyond the types and limits of its keys: its parts fit together, and it can happen."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from headset.core.errors import InvalidInput
from headset.twin.catalogue import assign_queues
from headset.twin.demand import Demand, first_intents
from headset.twin.phrasebook import LANGUAGES
from headset.twin.refusal import show

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from headset.twin.catalogue import Catalogue
    from headset.twin.scenario import Fault, Occasion, Scenario

    Shares = dict[str, float]

_TOLERANCE = 1e-6
_YEARS = range(1971, 2200)
_CONTACTS_PER_HOUR = 1_000_000
_AGENTS = 20_000
_MIX = 1e100
_REACH = 0.001
_REACHED = 20
_LISTED = 40
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
    _check_words(scenario)
    _check_languages(scenario)
    _check_where(scenario)
    _check_effects(scenario)
    _check_teams(scenario)
    _check_skills(scenario, assign_queues(scenario, catalogue))
    _check_arms(scenario)
    for index, fault in enumerate(scenario.faults):
        _check_fault(f"faults[{index}]", fault, scenario)
    _check_names(scenario)
    _check_volume(scenario, catalogue)


def _check_shares(scenario: Scenario) -> None:
    tables: dict[str, Shares] = {
        "languages": scenario.languages,
        "channels": {str(name): share for name, share in scenario.channels.items()},
    }
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


def _check_times(scenario: Scenario) -> None:
    _check_moment("start", scenario.start)
    end = scenario.start + timedelta(days=scenario.days)
    for index, incident in enumerate(scenario.incidents):
        _check_moment(f"incidents[{index}].start", incident.start)
        over = incident.start + timedelta(hours=incident.hours)
        _check_overlap(f"incidents[{index}]", incident.start, over, scenario.start, end)
    for index, occasion in enumerate(scenario.calendar.occasions):
        key = f"calendar.occasions[{index}]"
        _check_year(f"{key}.start", occasion.start)
        _check_year(f"{key}.end", occasion.last)
        if occasion.last < occasion.start:
            raise InvalidInput(f"{key}.end", f"is {occasion.last}, before the start {occasion.start}; put the last day")
    for index, change in enumerate(scenario.changes):
        _check_span(f"changes[{index}]", change.start, change.end)
        if change.start >= end:
            raise InvalidInput(
                f"changes[{index}].start", f"is {change.start}, after the scenario ends ({end}); let it begin before"
            )
    for index, fault in enumerate(scenario.faults):
        _check_span(f"faults[{index}]", fault.start, fault.end)
        _check_overlap(f"faults[{index}]", fault.start, fault.end, scenario.start, end)


def _check_span(key: str, start: datetime, end: datetime) -> None:
    _check_moment(f"{key}.start", start)
    _check_moment(f"{key}.end", end)
    if end <= start:
        raise InvalidInput(f"{key}.end", f"is {end}, not after the start {start}; it must end later than it begins")


def _check_moment(key: str, moment: datetime) -> None:
    if moment.tzinfo is not None:
        raise InvalidInput(key, f"is {moment.isoformat()}; times are the centre's own clock: leave out the zone")
    _check_year(key, moment)


def _check_year(key: str, day: date) -> None:
    if day.year not in _YEARS:
        raise InvalidInput(key, f"is {day}; it must lie in the years {_YEARS[0]} to {_YEARS[-1]}")


def _check_overlap(key: str, start: datetime, over: datetime, begin: datetime, end: datetime) -> None:
    if over <= begin or start >= end:
        raise InvalidInput(
            f"{key}.start", f"is {start}, and it is over by {over}; it must meet the scenario, {begin} to {end}"
        )


def _check_intents(scenario: Scenario, catalogue: Catalogue) -> None:
    mix = scenario.intents or first_intents(catalogue)
    _check_known("intents", mix, catalogue)
    for index, incident in enumerate(scenario.incidents):
        _check_known(f"incidents[{index}].intent", (incident.intent,), catalogue)
    tables = [(f"changes[{index}].intents", each.intents) for index, each in enumerate(scenario.changes)]
    tables += [
        (f"calendar.occasions[{index}].intents", each.intents) for index, each in enumerate(scenario.calendar.occasions)
    ]
    for key, factors in tables:
        _check_known(key, factors, catalogue)
        for intent in factors:
            if mix.get(intent, 0) <= 0:
                raise InvalidInput(
                    f"{key}.{intent}", "multiplies an intent without a share; give it one in the table 'intents'"
                )


def _check_known(key: str, intents: Iterable[str], catalogue: Catalogue) -> None:
    for intent in intents:
        if intent not in catalogue.groups:
            known = ", ".join(sorted(catalogue.groups)[:_LISTED])
            raise InvalidInput(key, f"names {show(intent)}, which is no intent; there are {known}")


def _check_words(scenario: Scenario) -> None:
    for index, change in enumerate(scenario.changes):
        for word, other in change.words.items():
            for text in (word, other):
                if not text.strip() or not text.isprintable() or len(text) > 100:
                    raise InvalidInput(
                        f"changes[{index}].words", f"has {show(text)}; each side must have 1 to 100 letters or signs"
                    )


def _check_languages(scenario: Scenario) -> None:
    if scenario.texts.language not in LANGUAGES:
        known = ", ".join(LANGUAGES)
        raise InvalidInput("texts.language", f"is {show(scenario.texts.language)}; the twin speaks {known}")
    there = LANGUAGES if scenario.texts.dataset is None else (scenario.texts.language,)
    named = [("languages", tuple(scenario.languages))]
    named += [(f"teams[{index}].languages", team.languages) for index, team in enumerate(scenario.teams)]
    for key, languages in named:
        for language in languages:
            if language not in there:
                raise InvalidInput(key, f"names {show(language)}; there are texts in {', '.join(there)}")


def _check_where(scenario: Scenario) -> None:
    shares: dict[str, Shares] = {
        "language": scenario.languages,
        "channel": {str(name): share for name, share in scenario.channels.items()},
        **scenario.segments,
    }
    tables = [(f"incidents[{index}].where", each.where) for index, each in enumerate(scenario.incidents)]
    tables += [(f"unfairness[{index}].where", each.where) for index, each in enumerate(scenario.unfairness)]
    for key, where in tables:
        for attribute, value in where.items():
            if attribute not in shares:
                raise InvalidInput(
                    key, f"names {show(attribute)}, which is no attribute; there are {', '.join(shares)}"
                )
            if shares[attribute].get(value, 0) <= 0:
                there = ", ".join(name for name, share in shares[attribute].items() if share > 0)
                raise InvalidInput(f"{key}.{attribute}", f"is {show(value)}, which nobody has; there are {there}")
        whom = math.prod(shares[attribute][value] for attribute, value in where.items() if attribute != "channel")
        if whom < _REACH or (whom < 1 and whom * scenario.customers.count < _REACHED):
            raise InvalidInput(
                key,
                f"describes {whom:.2g} of {scenario.customers.count} customers; "
                f"it must be {_REACH} of them and {_REACHED} customers at least",
            )


def _check_effects(scenario: Scenario) -> None:
    """What is planted must do something, or the truth about it would be wrong."""
    calendar = scenario.calendar
    idle = [
        (f"calendar.occasions[{index}]", "'factor' or 'intents'")
        for index, each in enumerate(calendar.occasions)
        if each.factor == 1 and all(factor == 1 for factor in each.intents.values())
    ]
    idle += [
        (f"changes[{index}]", "'intents' or 'words'")
        for index, each in enumerate(scenario.changes)
        if not each.words and all(factor == 1 for factor in each.intents.values())
    ]
    idle += [
        (f"unfairness[{index}]", "'accuracy_loss' or 'error_ratio'")
        for index, each in enumerate(scenario.unfairness)
        if each.accuracy_loss <= 0 and each.error_ratio <= 0
    ]
    idle += [(f"faults[{index}]", "'share'") for index, each in enumerate(scenario.faults) if each.share <= 0]
    for key, cause in idle:
        raise InvalidInput(key, f"changes nothing; set {cause}, or leave it out")
    for index, unfair in enumerate(scenario.unfairness):
        if not unfair.where:
            raise InvalidInput(f"unfairness[{index}].where", "is empty; say which contacts, e.g. a language")


def _check_teams(scenario: Scenario) -> None:
    for index, team in enumerate(scenario.teams):
        key = f"teams[{index}]"
        for queue in team.queues:
            if queue not in scenario.queues:
                known = ", ".join(scenario.queues)
                raise InvalidInput(f"{key}.queues", f"names {show(queue)}, which is no queue; there are {known}")
        if not team.weekdays or len(set(team.weekdays)) < len(team.weekdays):
            days = ", ".join(map(str, team.weekdays)) or "empty"
            raise InvalidInput(f"{key}.weekdays", f"is {days}; name each working day once, 0 for Monday")
        for side in team.shift:
            if side.tzinfo is not None or side.second or side.microsecond:
                raise InvalidInput(f"{key}.shift", f"has {side}; put whole minutes on the centre's clock, no zone")
    agents = sum(team.agents for team in scenario.teams)
    if agents > _AGENTS:
        raise InvalidInput("teams", f"have {agents} agents together; the limit is {_AGENTS}")


def _check_skills(scenario: Scenario, queue_of: Mapping[str, str]) -> None:
    """Someone must be able to answer each contact that may come."""
    able = {(queue, language) for team in scenario.teams for queue in team.queues for language in team.languages}
    intents = [name for name, share in scenario.intents.items() if share > 0] or list(queue_of)
    needed = {queue_of[intent] for intent in [*intents, *(each.intent for each in scenario.incidents)]}
    for queue in sorted(needed):
        for language, share in scenario.languages.items():
            if share > 0 and (queue, language) not in able:
                raise InvalidInput(
                    "teams", f"has no agent for queue {queue!r} in {language!r}; add that skill to a team"
                )


def _check_arms(scenario: Scenario) -> None:
    arms = scenario.bot.arms
    total = sum(arm.share for arm in arms)
    if arms and abs(total - 1) > _TOLERANCE:
        raise InvalidInput("bot.arms", f"have shares that sum to {total:.6g}; they must sum to 1")
    _check_unique("bot.arms", "version", [arm.version for arm in arms])


def _check_names(scenario: Scenario) -> None:
    """Agents are called after their team, and the truth names what is planted."""
    _check_unique("teams", "name", [each.name for each in scenario.teams])
    _check_unique("incidents", "name", [each.name for each in scenario.incidents])
    _check_unique("changes", "name", [each.name for each in scenario.changes])
    _check_unique("unfairness", "name", [each.name for each in scenario.unfairness])
    _check_unique("faults", "name", [each.name for each in scenario.faults])


def _check_unique(key: str, what: str, names: list[str]) -> None:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if name in seen:
            raise InvalidInput(f"{key}[{index}].{what}", f"is {name!r}, as is that of another; each needs its own")
        seen.add(name)


def _check_fault(key: str, fault: Fault, scenario: Scenario) -> None:
    fields = _FIELDS[fault.kind]
    if fault.kind == "missing_field":
        fields = (*fields, *scenario.segments)
    if fault.field not in fields:
        allowed = ", ".join(fields) if fields != ("",) else "none; leave it out"
        raise InvalidInput(f"{key}.field", f"is {show(fault.field)}; for {fault.kind} it may be: {allowed}")


def _check_volume(scenario: Scenario, catalogue: Catalogue) -> None:
    """Somebody comes, and not more than anything can hold."""
    calendar = scenario.calendar
    for name, profile in (("hours", calendar.hours), ("weekdays", calendar.weekdays), ("months", calendar.months)):
        if sum(profile) <= 0:
            raise InvalidInput(f"calendar.{name}", "is 0 throughout; give at least one weight above 0")
    usual = scenario.contacts_per_day / 24
    for profile in (calendar.hours, calendar.weekdays, calendar.months):
        usual *= max(profile) * len(profile) / sum(profile)
    incidents = sum(each.contacts_per_hour for each in scenario.incidents)
    for occasions in _overlaps(calendar.occasions):
        factors = [each.intents for each in occasions] + [each.intents for each in scenario.changes]
        mix: float = math.prod(_most(each) for each in factors)
        if not mix <= _MIX:
            raise InvalidInput("changes", f"and occasions together multiply an intent by up to {mix:.3g}; make it less")
        peak = usual * math.prod(each.factor * _most(each.intents) for each in occasions) + incidents
        if not peak <= _CONTACTS_PER_HOUR:
            raise InvalidInput(
                "contacts_per_day",
                f"is {scenario.contacts_per_day:g}, which with calendar and incidents makes up to {peak:.3g} contacts "
                f"in an hour; the limit is {_CONTACTS_PER_HOUR}",
            )
    demand = Demand(scenario, catalogue, scenario.seed)
    if not any(demand.hour(hour).contacts > 0 for hour in range(24 * scenario.days)):
        raise InvalidInput(
            "calendar", f"lets no contact come in the {scenario.days} days from {scenario.start}; give them some weight"
        )


def _overlaps(occasions: tuple[Occasion, ...]) -> list[list[Occasion]]:
    """Which occasions meet on a day, for each day on which there may be more of them than before; and none at all."""
    return [[], *([each for each in occasions if each.start <= one.start <= each.last] for one in occasions)]


def _most(factors: dict[str, float]) -> float:
    """By how much an intent is multiplied at most."""
    return max([*factors.values(), 1.0])
