"""What a job is: a command line of Headset, the data and seed it takes, and what it needs around it.

A spec is data. It names the same work on every launcher, holds no secret, and its hash is its identity.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LauncherName = Literal["process", "container", "kubernetes", "ray"]
COMMANDS = (
    ("data", "bias"),
    ("data", "check"),
    ("data", "profile"),
    ("data", "synthesize"),
    ("features", "backfill"),
    ("features", "verify"),
    ("train",),
    ("tune",),
    ("validate",),
)
"""How the command line of a job may begin: what computes, and moves no traffic, key or alias."""

_SET_BY_LAUNCHER = ("--home", "--help")
_ARGUMENTS_LIMIT = 200
_LENGTH_LIMIT = 4_096
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SOUNDS_SECRET = re.compile(
    r".*(SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY).*", re.IGNORECASE
)


class Resources(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a job may use; what is left out is not limited.

    Attributes:
        cpus: Cores; threads of the libraries are held to it.
        memory_mb: Mebibytes of memory; a job that takes more is ended.
        gpus: Whole GPUs.
        time_limit_s: Seconds after which an attempt is ended.
    """

    cpus: Annotated[float, Meta(gt=0, le=1_024)] | None = None
    memory_mb: Annotated[int, Meta(ge=16, le=16_777_216)] | None = None
    gpus: Annotated[int, Meta(ge=0, le=64)] = 0
    time_limit_s: Annotated[float, Meta(gt=0, le=2_592_000)] | None = None


class Environment(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a job runs.

    Attributes:
        image: The container image, one of those configured; empty for the first.
        variables: Added to its environment; no secrets, and only what the settings allow.
        secrets: Names of variables whose values the launcher brings: from the worker's own environment, on
            Kubernetes from the configured Secret.
    """

    image: Annotated[str, Meta(max_length=255, pattern=r"\A([a-z0-9][A-Za-z0-9._/:@-]*)?\Z")] = ""
    variables: dict[str, Annotated[str, Meta(max_length=_LENGTH_LIMIT)]] = {}
    secrets: Annotated[tuple[str, ...], Meta(max_length=50)] = ()


class JobSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One job; make it with :func:`job_spec` or :func:`read_spec`, which check it.

    Attributes:
        command: Arguments of ``headset``; see :data:`COMMANDS`.
        data: Name of the data set it reads (``--data``), which must be in the log.
        features: The feature service that must be live when it starts, ``NAME`` or ``NAME@VERSION``.
        seed: Seed of everything random in it (``--seed``).
        launcher: What runs it.
        retries: How often it is started again after it failed.
        backoff_s: Seconds before the first such restart; each further one waits twice as long.

    >>> job_spec(["train", "intent", "--data", "bank", "--seed", "3"]).arguments
    ['train', 'intent', '--data', 'bank', '--seed', '3']
    """

    command: Annotated[tuple[str, ...], Meta(min_length=1, max_length=_ARGUMENTS_LIMIT)]
    data: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    features: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    resources: Resources = Resources()
    environment: Environment = Environment()
    launcher: LauncherName = "process"
    retries: Annotated[int, Meta(ge=0, le=20)] = 0
    backoff_s: Annotated[float, Meta(ge=0, le=3_600)] = 10.0

    @property
    def arguments(self) -> list[str]:
        """The whole command line behind ``headset``."""
        data = [] if self.data is None else ["--data", self.data]
        return [*self.command, *data, *([] if self.seed is None else ["--seed", str(self.seed)])]

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of everything in it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


_DECODER = msgspec.json.Decoder(JobSpec)  # made here: two threads must not be the first to decode a type


def job_spec(arguments: Sequence[str], **rest: object) -> JobSpec:
    """The spec of a command line; ``--data`` and ``--seed`` become fields of it, so that equal jobs are equal.

    Args:
        arguments: What stands behind ``headset``.
        rest: The other fields of :class:`JobSpec`.

    Raises:
        InvalidInput: a value breaks a rule, or the command is no job.

    >>> job_spec(["serve"])
    Traceback (most recent call last):
    headset.core.errors.InvalidInput: command: 'serve' cannot be a job; jobs begin with data bias, data check, ...
    """
    return decode_spec(msgspec.json.encode({"command": list(arguments), **rest}))


def decode_spec(content: bytes, *, launcher: LauncherName = "process") -> JobSpec:
    """The spec in a JSON document; ``launcher`` is the one of a spec that names none.

    Raises:
        InvalidInput: it is no such document, or breaks a rule.
    """
    try:
        tree = msgspec.json.decode(content)
        spec = _DECODER.decode(msgspec.json.encode({"launcher": launcher} | tree if isinstance(tree, dict) else tree))
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        raise InvalidInput(path.strip("`$.") or "job", f"{message}; see docs/jobs.md") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("job", f"is not valid JSON ({error}); send an object with 'command'") from None
    return _lifted(_checked(spec))


def read_spec(path: Path, *, launcher: LauncherName = "process") -> JobSpec:
    """The spec in a TOML file; see :func:`decode_spec`.

    Raises:
        InvalidInput: the file cannot be read, or breaks a rule.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput("spec", f"{path} cannot be read as TOML ({error}); see docs/jobs.md") from None
    try:
        return decode_spec(msgspec.json.encode(content), launcher=launcher)
    except InvalidInput as error:
        raise InvalidInput(error.field, f"{error.problem} ({path})") from None


def _checked(spec: JobSpec) -> JobSpec:
    if not any(spec.command[: len(begin)] == begin for begin in COMMANDS):
        shown = " ".join(spec.command[:2])[:60]
        known = ", ".join(" ".join(begin) for begin in COMMANDS)
        raise InvalidInput("command", f"{shown!r} cannot be a job; jobs begin with {known}")
    for argument in spec.command:
        if len(argument) > _LENGTH_LIMIT or not argument.isprintable():
            raise InvalidInput(
                "command", f"{argument[:40]!r} has control characters or over {_LENGTH_LIMIT} characters; shorten it"
            )
        if argument.partition("=")[0] in _SET_BY_LAUNCHER:
            raise InvalidInput("command", f"{argument[:40]!r} cannot be in a job; its launcher says where the home is")
    for name in spec.environment.secrets:
        _check_name("environment.secrets", name)
    for name, value in spec.environment.variables.items():
        _check_name("environment.variables", name)
        if "\0" in value:
            raise InvalidInput("environment.variables", f"{name} holds a null character; leave it out")
        if _SOUNDS_SECRET.fullmatch(name):
            raise InvalidInput(
                "environment.variables", f"{name} looks like a secret; name it in environment.secrets, without a value"
            )
    return spec


def _check_name(field: str, name: str) -> None:
    if not _VARIABLE.fullmatch(name):
        raise InvalidInput(field, f"{name[:40]!r} is no name of a variable; use letters, digits and '_'")


def _lifted(spec: JobSpec) -> JobSpec:
    """``spec`` with ``--data`` and ``--seed`` taken out of its command."""
    command, found = [], {}
    rest = iter(spec.command)
    for argument in rest:
        name, given, value = argument.partition("=")
        if name not in {"--data", "--seed"}:
            command.append(argument)
            continue
        field = name[2:]
        said = value if given else next(rest, None)
        if said is None:
            raise InvalidInput(field, f"{name} has no value; give one behind it")
        if field in found or getattr(spec, field) is not None:
            raise InvalidInput(field, "is given twice; give it once")
        found[field] = said
    if not found:
        return spec
    seed = spec.seed if "seed" not in found else _seed(found["seed"])
    return decode_spec(
        msgspec.json.encode(
            msgspec.structs.replace(spec, command=tuple(command), data=found.get("data", spec.data), seed=seed)
        )
    )


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 10:
        raise InvalidInput("seed", f"{text[:40]!r} is no seed; give a whole number from 0 to {2**32 - 1}")
    return int(text)
