"""A scenario: what happens in a simulated contact centre, as a TOML file.

``docs/twin.md`` describes every key. Times are the centre's own clock, recorded as UTC. A share is a number from 0
to 1, and the shares of one table sum to 1.
"""

from __future__ import annotations

import tomllib
from datetime import date, datetime, time
from errno import EFBIG, EISDIR
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from headset.core.errors import InvalidInput
from headset.twin.refusal import refuse, show

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Channel = Literal["chat", "voice", "email"]
Share = Annotated[float, Meta(ge=0, le=1)]
Factor = Annotated[float, Meta(ge=0, le=1_000)]
Seconds = Annotated[float, Meta(gt=0, le=604_800)]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}\Z")]
Where = dict[str, str]
"""Customers or contacts with these attributes: a segment's name, ``language`` or ``channel``."""

_BYTES = 262_144
_PARTS = 1_000
_MANY = Meta(max_length=1_000)


class _Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file; unknown keys are refused."""


class Texts(_Table, frozen=True):
    """Where the customers' words come from.

    Attributes:
        dataset: Name of an imported data set; the phrasebooks when left out. Its labels are the intents then.
        language: The language of that data set.
        error_ratio: Share of words that speech recognition gets wrong on calls.
    """

    dataset: str | None = None
    language: str = "en"
    error_ratio: Share = 0.06


class Customers(_Table, frozen=True):
    """The people who get in touch.

    Attributes:
        count: How many there are; each has attributes and a language for good.
        patience_s: Mean seconds they wait for a person, by channel (exponential); for ever where left out.
        leave_ratio: Share who give up when the bot did not help, rather than try again or ask for a person.
        retry_ratio: Share of the others who first say it in other words.
        return_ratio: Share of unsolved contacts that come back.
        relapse_ratio: Share of solved contacts that come back all the same.
        return_days: Days within which they come back, 0.1 to 14.
        survey_ratio: Share who answer the survey.
        survey_hours: Mean hours until they do.
    """

    count: Annotated[int, Meta(ge=1, le=10_000_000)] = 20_000
    patience_s: dict[Channel, Seconds] = field(default_factory=lambda: {"chat": 240.0, "voice": 180.0})
    leave_ratio: Share = 0.2
    retry_ratio: Share = 0.4
    return_ratio: Share = 0.6
    relapse_ratio: Share = 0.02
    return_days: Annotated[float, Meta(ge=0.1, le=14)] = 14.0
    survey_ratio: Share = 0.3
    survey_hours: Annotated[float, Meta(gt=0, le=336)] = 5.0


class Occasion(_Table, frozen=True, kw_only=True):
    """Days that differ: a holiday, a promotion, a launch.

    Attributes:
        start: First day.
        end: Last day; ``start`` when left out.
        factor: By which the volume is multiplied.
        intents: By which single intents are multiplied in addition.
    """

    name: Name
    kind: Literal["holiday", "promotion", "launch"]
    start: date
    end: date | None = None
    factor: Factor = 1.0
    intents: dict[str, Factor] = {}

    @property
    def last(self) -> date:
        """The last day."""
        return self.end or self.start


class Calendar(_Table, frozen=True):
    """How the volume goes up and down; each profile is brought to the mean 1.

    Attributes:
        hours: 24 weights, from midnight.
        weekdays: 7 weights, from Monday.
        months: 12 weights, from January.
        occasions: Days that differ.
    """

    hours: Annotated[tuple[Factor, ...], Meta(min_length=24, max_length=24)] = (1.0,) * 24
    weekdays: Annotated[tuple[Factor, ...], Meta(min_length=7, max_length=7)] = (1.0,) * 7
    months: Annotated[tuple[Factor, ...], Meta(min_length=12, max_length=12)] = (1.0,) * 12
    occasions: Annotated[tuple[Occasion, ...], _MANY] = ()


class Incident(_Table, frozen=True, kw_only=True):
    """Something breaks, and people ask about it all at once.

    Attributes:
        start: When it begins; contacts rise within a tenth of the time and fall off evenly after.
        hours: How long it lasts.
        intent: What they ask, often one that no model has learned.
        contacts_per_hour: Additional contacts at the peak.
        where: Whom it meets.
    """

    name: Name
    start: datetime
    hours: Annotated[float, Meta(gt=0, le=8_784)]
    intent: str
    contacts_per_hour: Annotated[float, Meta(gt=0, le=1_000_000)]
    where: Where = {}


class Change(_Table, frozen=True, kw_only=True):
    """A slow change: evenly from nothing at ``start`` to all of it at ``end``, and it stays.

    Attributes:
        intents: By what each intent is multiplied in the end.
        words: Words and what people say in place of them in the end.
    """

    name: Name
    start: datetime
    end: datetime
    intents: dict[str, Factor] = {}
    words: dict[str, str] = {}


class Unfairness(_Table, frozen=True, kw_only=True):
    """A segment the model reads worse.

    Attributes:
        where: Which contacts.
        accuracy_loss: Share of the readings there that would be right and are not.
        error_ratio: Additional share of words that are garbled.
    """

    name: Name
    where: Where
    accuracy_loss: Share = 0.0
    error_ratio: Share = 0.0


class Fault(_Table, frozen=True, kw_only=True):
    """A planted fault in the data.

    Attributes:
        kind: ``missing_field`` leaves it out, ``wrong_unit`` reports milliseconds for seconds, ``stuck_feed`` repeats
            the last value, ``duplicates`` tells the outcome twice.
        field: ``language``, ``handle_time_s``, ``csat``, or the name of a segment.
        share: Of the events between ``start`` and ``end``.
    """

    name: Name
    kind: Literal["missing_field", "wrong_unit", "stuck_feed", "duplicates"]
    start: datetime
    end: datetime
    field: str = ""
    share: Share = 1.0


class Queue(_Table, frozen=True):
    """A line of waiting customers.

    Attributes:
        takes: Intents, or groups of intents, that belong here; one queue may leave it out and takes the rest.
        handle_s: Mean seconds a person spends with a customer.
        wrap_s: Mean seconds of work after.
        shape: How times are spread: ``lognormal`` (variation 0.6) or ``exponential``.
        service_level_s: Seconds in which a customer should be answered.
    """

    takes: tuple[str, ...] = ()
    handle_s: Seconds = 360.0
    wrap_s: Annotated[float, Meta(ge=0, le=604_800)] = 45.0
    shape: Literal["lognormal", "exponential"] = "lognormal"
    service_level_s: Seconds = 20.0


class Team(_Table, frozen=True, kw_only=True):
    """Agents who work alike.

    Attributes:
        agents: How many.
        queues: What they answer.
        languages: What they speak.
        shift: When they begin and end; the end may lie after midnight.
        weekdays: On which days a shift begins, 0 for Monday.
        pace: Factor on handle and wrap-up times.
        solve_ratio: Share of problems they solve.
        automation_bias: Share of them who accept whatever is suggested.
        label_error: Share of their verdicts on the intent that are wrong.
        feedback_ratio: Share of decisions they give feedback on.
    """

    name: Name
    agents: Annotated[int, Meta(ge=1, le=10_000)]
    queues: Annotated[tuple[str, ...], Meta(min_length=1)]
    languages: Annotated[tuple[str, ...], Meta(min_length=1)]
    shift: tuple[time, time] = (time(0), time(0))
    weekdays: tuple[Annotated[int, Meta(ge=0, le=6)], ...] = (0, 1, 2, 3, 4, 5, 6)
    pace: Annotated[float, Meta(gt=0, le=100)] = 1.0
    solve_ratio: Share = 0.88
    automation_bias: Share = 0.05
    label_error: Share = 0.02
    feedback_ratio: Share = 0.9


class BotArm(_Table, frozen=True):
    """A model version that serves a share of the customers.

    Attributes:
        version: Its name in the log; numbers are for registered models.
        share: Of the customers, each of whom stays with one version.
        accuracy: How often its intent is right; ignored where a real model decides.
        sureness: How well its confidence tells right from wrong, 0 for not at all; ignored likewise.
    """

    version: Name = "made-up"
    share: Share = 1.0
    accuracy: Share = 0.9
    sureness: Share = 0.6


class Bot(_Table, frozen=True):
    """What answers first.

    Attributes:
        arms: The versions; without any, people answer everything and nothing is predicted.
        threshold: Confidence from which the bot answers alone.
        solve_ratio: Share of its right answers that solve the problem.
        assist_ratio: By how much a right suggestion shortens the time an agent needs.
        review_ratio: Share of the conversations it closes alone whose intent a reviewer checks.
    """

    arms: tuple[BotArm, ...] = (BotArm(),)
    threshold: Share = 0.7
    solve_ratio: Share = 0.85
    assist_ratio: Share = 0.12
    review_ratio: Share = 0.05


class Costs(_Table, frozen=True):
    """What it costs, in any one currency.

    Attributes:
        agent_hour: An hour of an agent at work.
        bot_contact: A conversation with the bot.
    """

    agent_hour: Annotated[float, Meta(ge=0, le=100_000)] = 32.0
    bot_contact: Annotated[float, Meta(ge=0, le=1_000)] = 0.12


class Scenario(_Table, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        start: When it begins.
        days: How long it lasts, when the command does not say.
        contacts_per_day: New contacts on an average day; who comes back is on top.
        intents: Shares; all of the phrasebook in equal shares when left out.
        languages: Shares.
        channels: Shares.
        segments: Customer attributes with the share of each value, e.g. region, tenure, accent.
    """

    name: Name
    description: str = ""
    start: datetime
    days: Annotated[int, Meta(ge=1, le=3_660)]
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 7
    contacts_per_day: Annotated[float, Meta(gt=0, le=10_000_000)]
    texts: Texts = Texts()
    intents: dict[str, Share] = {}
    languages: dict[str, Share] = field(default_factory=lambda: {"en": 1.0})
    channels: dict[Channel, Share] = field(default_factory=lambda: {"chat": 1.0})
    segments: dict[Name, dict[Name, Share]] = {}
    customers: Customers = Customers()
    calendar: Calendar = Calendar()
    incidents: Annotated[tuple[Incident, ...], _MANY] = ()
    changes: Annotated[tuple[Change, ...], _MANY] = ()
    unfairness: Annotated[tuple[Unfairness, ...], _MANY] = ()
    faults: Annotated[tuple[Fault, ...], _MANY] = ()
    queues: Annotated[dict[Name, Queue], Meta(min_length=1)]
    teams: Annotated[tuple[Team, ...], Meta(min_length=1, max_length=1_000)]
    bot: Bot = Bot()
    costs: Costs = Costs()


def scenario_names() -> list[str]:
    """The scenarios that come with Headset.

    >>> "quiet_week" in scenario_names()
    True
    """
    return sorted(Path(each.name).stem for each in _shipped().iterdir() if each.name.endswith(".toml"))


def read_scenario(place: str) -> Scenario:
    """Read a scenario that comes with Headset, by name, or any other, by path.

    The tables are typed and each value is within its limits; whether they fit together is for
    :func:`headset.twin.rule.check_scenario`.

    Raises:
        InvalidInput: there is none, it is no TOML, or a key is unknown, missing or outside its limits.

    >>> read_scenario("quiet_week").days
    7
    """
    if place in scenario_names():
        return parse_scenario(_shipped().joinpath(f"{place}.toml").read_text(encoding="utf-8"))
    try:
        text = _read(Path(place)).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InvalidInput(
            "scenario",
            f"{show(place)} cannot be read ({reason}); name a TOML file or one of {', '.join(scenario_names())}",
        ) from None
    return parse_scenario(text)


def parse_scenario(text: str) -> Scenario:
    """A scenario from TOML; see :func:`read_scenario`."""
    if any(line.count(".") > _PARTS for line in text.splitlines()):
        raise InvalidInput("scenario", f"has a line with over {_PARTS} full stops; no key is nested that deep")
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise InvalidInput("scenario", "is nested too deep; see docs/twin.md") from None
    except ValueError as error:  # TOMLDecodeError is one; a number of thousands of digits raises a plain one
        raise InvalidInput("scenario", f"is no TOML ({str(error)[:200]}); see docs/twin.md") from None
    try:
        return msgspec.convert(tables, Scenario)
    except msgspec.ValidationError as error:
        raise refuse(error, tables, Scenario, see="docs/twin.md") from None


def _read(path: Path) -> bytes:
    """The bytes of a file of reasonable size.

    Raises:
        OSError: it cannot be read, is no file or too large.
    """
    if path.exists() and not path.is_file():
        raise OSError(EISDIR, "it is no file")
    with path.open("rb") as file:
        found = file.read(_BYTES + 1)
    if len(found) > _BYTES:
        raise OSError(EFBIG, f"it has over {_BYTES:,} bytes")
    return found


def _shipped() -> Traversable:
    return resources.files("headset.twin").joinpath("scenarios")
