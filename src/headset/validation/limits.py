"""What a version must hold to pass: defaults for a first installation, and a TOML file for one's own."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Ratio = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0, le=1_000_000)]


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All limits of all gates.

    Attributes:
        rows: Fewest different texts a gate that measures on data draws a conclusion from.
        margin: Accuracy that a candidate may lose to the champion and still pass, as a share.
        suite_cases: Texts, drawn from the data, that each built-in behavioural test tries.
        typos: Highest share of texts whose intent may change with one slip of the fingers.
        case: The same when written in capitals, or without any.
        punctuation: The same without punctuation, or with too much.
        accents: The same without accents.
        greetings: The same with a greeting before or thanks after.
        details: The same when numbers in it, or the customer's name, are others.
        garbled: Share of texts of which the model may grow surer when the letters of every word are shuffled.
        two_matters: The same when a second, other request follows.
        person: Highest share of requests for a person that may stay with the bot.
        recall: Share of an intent's texts below which the intent counts as not understood.
        forgotten: Share of intents that may be not understood.
        auroc: Chance that a text in scope scores above one out of scope, at least.
        false_answer: Share of texts out of scope that the bot may answer alone.
        calibration_error: Expected calibration error, 15 bins, at most.
        precision_margin: By how much precision above the threshold may miss its target and still pass.
        bias_margin: From which gap on a group of customers counts as served worse.
        latency_p99_ms: Of one text, encoder included; a slower champion excuses as much as ``latency_ratio`` of it.
        latency_ratio: Times the champion's p99.
        cpu_ms: Of one text, encoder included, on average.
        artifact_mb: Of the files on disk.
        cpu_hour_cost: What an hour of one core costs, for the report.
        business_days: Days of the scenario that are simulated.
        business_runs: How often; 19 or more.
        containment: What containment may lose, as a share.
        transfer_rate: What the rate of transfers may gain.
        service_level: What the service level may lose.
        csat: What satisfaction, 1 to 5, may lose.
        aht_ratio: What the mean handle time may gain, as a share of the champion's.
        cost_ratio: What a contact's cost may gain, as a share of the champion's.
    """

    rows: Annotated[int, Meta(ge=20, le=1_000_000)] = 100
    margin: Annotated[float, Meta(gt=0, le=0.5)] = 0.01
    suite_cases: Annotated[int, Meta(ge=20, le=100_000)] = 300
    typos: Ratio = 0.15
    case: Ratio = 0.03
    punctuation: Ratio = 0.1
    accents: Ratio = 0.1
    greetings: Ratio = 0.1
    details: Ratio = 0.1
    garbled: Ratio = 0.1
    two_matters: Ratio = 0.1
    person: Ratio = 0.05
    recall: Ratio = 0.5
    forgotten: Ratio = 0.0
    auroc: Ratio = 0.85
    false_answer: Ratio = 0.4
    calibration_error: Ratio = 0.05
    precision_margin: Ratio = 0.03
    bias_margin: Annotated[float, Meta(gt=0, lt=1)] = 0.05
    latency_p99_ms: Positive = 50.0
    latency_ratio: Positive = 3.0
    cpu_ms: Positive = 25.0
    artifact_mb: Positive = 500.0
    cpu_hour_cost: Positive = 0.05
    business_days: Annotated[float, Meta(gt=0, le=366)] = 1.0
    business_runs: Annotated[int, Meta(ge=20, le=10_000)] = 20
    containment: Ratio = 0.03
    transfer_rate: Ratio = 0.05
    service_level: Ratio = 0.05
    csat: Annotated[float, Meta(ge=0, le=4)] = 0.1
    aht_ratio: Ratio = 0.05
    cost_ratio: Ratio = 0.05


DEFAULT = Limits()


def read_limits(path: Path, limits: Limits = DEFAULT) -> Limits:
    """Limits from a TOML file; what it leaves out is as in ``limits``.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it cannot be read, or a name or value is wrong.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("limits", f"{path} is not there; name a TOML file, or none for the limits as shipped") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("limits", f"{path} cannot be read ({error}); name a TOML file") from None
    return read_limits_text(text, str(path), limits)


def read_limits_text(text: str, name: str, limits: Limits = DEFAULT) -> Limits:
    """The same from its text; ``name`` says in messages where it came from.

    Raises:
        InvalidInput: it is no TOML, or a name or value is wrong.

    >>> read_limits_text("margin = 0.02", "limits.toml").margin
    0.02
    """
    try:
        changes: dict[str, float] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput("limits", f"{name} cannot be read as TOML ({error})") from None
    return change_limits(limits, changes, name)


def change_limits(limits: Limits, changes: Mapping[str, float], name: str) -> Limits:
    """``limits`` with some of them changed; ``name`` says in messages where the changes came from.

    Raises:
        InvalidInput: a name or value is wrong.
    """
    try:
        return msgspec.convert(msgspec.structs.asdict(limits) | dict(changes), Limits)
    except msgspec.ValidationError as error:
        known = ", ".join(Limits.__struct_fields__)
        raise InvalidInput("limits", f"{name} holds no limits ({error}); there are: {known}") from None


def changed_limits(limits: Limits) -> dict[str, float]:
    """Those that are not as shipped, by name.

    >>> changed_limits(Limits(rows=50, margin=0.01))
    {'rows': 50.0}
    """
    return {
        name: float(value) for name, value in msgspec.structs.asdict(limits).items() if value != getattr(DEFAULT, name)
    }
