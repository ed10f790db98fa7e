"""Configuration: one frozen tree, read once from ``headset.toml`` and the environment.

Each setting but those of ``[gates]`` may be overridden by ``HEADSET_<SECTION>_<NAME>``, for example
``HEADSET_SERVER_PORT=9000``. A name that begins with a section's and is no setting is refused; what else begins with
``HEADSET_`` is not ours to judge (an orchestrator makes such names from those of its services).
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "HEADSET_HOME"

Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]
ModelName = Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_-]{0,63}\Z")]
Milliseconds = Annotated[float, Meta(gt=0, le=60_000)]

_OURS = (
    "HEADSET_SERVER_",
    "HEADSET_DECISION_",
    "HEADSET_LOG_",
    "HEADSET_FEATURES_",
    "HEADSET_JOBS_",
    "HEADSET_TRACKING_",
    "HEADSET_TUNING_",
    "HEADSET_SYNTHESIS_",
)
_FILE_ONLY = "HEADSET_GATES_"
"""What a champion must hold is the installation's, not one process's."""


class ServerConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how much the API serves.

    Attributes:
        host: Address or name to bind; loopback unless told otherwise.
        port: TCP port.
        body_limit: Largest request body in bytes; a text of 16,000 characters fits in any script.
        in_progress_limit: Decisions that may be in progress; more are answered 503.
        drain_s: Seconds that requests in progress get to finish at shutdown.
    """

    host: Annotated[str, Meta(min_length=1, max_length=253)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65_535)] = 8080
    body_limit: Annotated[int, Meta(ge=1, le=67_108_864)] = 262_144
    in_progress_limit: Annotated[int, Meta(ge=1, le=100_000)] = 512
    drain_s: Annotated[float, Meta(gt=0, le=3_600)] = 10.0


class DecisionConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How turns are decided.

    Attributes:
        model: Name of the registered model whose champion decides; also the name of its folder.
        queue_models: Another registered model for some queues, by the queue's name; it decides there while it can.
        risk_model: Name of the registered model whose champion says how conversations may end; none, no such champion.
        automate: Intents the bot may handle alone; empty means all but those in ``human``.
        human: Intents that always go to a person.
        sentiment_floor: Sentiment (-1 to 1) at or below which a person takes over.
        suggestions: Suggested replies per decision, at most.
        stall_ms: A model that has not answered by then is treated as failed.
        hosted_memory_mb: Megabytes of address space for a model that runs in a process of its own; 0 sets no limit.
        batch_limit: Turns decided in one model call, at most.
        turn_limit: Turns in one conversation, at most.
        sla_s: Seconds in which a requested handoff should be accepted.
        clock_ahead_s: How far ahead of the server's clock an event may claim to have happened.
        clock_behind_s: How old a live turn may be; older ones are imported instead.
    """

    model: ModelName = "intent"
    queue_models: dict[str, ModelName] = {}
    risk_model: ModelName = "risk"
    automate: tuple[str, ...] = ()
    human: tuple[str, ...] = ()
    sentiment_floor: Annotated[float, Meta(ge=-1, le=1)] = -0.6
    suggestions: Annotated[int, Meta(ge=0, le=10)] = 3
    stall_ms: Milliseconds = 500.0
    hosted_memory_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 8_000
    batch_limit: Annotated[int, Meta(ge=1, le=1_024)] = 32
    turn_limit: Annotated[int, Meta(ge=1, le=100_000)] = 2_000
    sla_s: Seconds = 60.0
    clock_ahead_s: Seconds = 300.0
    clock_behind_s: Seconds = 86_400.0


class LogConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How the log is kept.

    Attributes:
        keep_live: Newest events whose payloads stay in the database; older ones are sealed to Parquet.
        queue_limit: Events that may wait to be written; more are answered 503.
    """

    keep_live: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1_000_000
    queue_limit: Annotated[int, Meta(ge=1, le=10_000_000)] = 50_000


class FeaturesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where feature values are kept for serving.

    Attributes:
        store: ``memory``, in the process that serves; or the URL of a Redis that several share, ``redis://HOST:PORT/DB``.
        prefix: What its keys begin with.
        timeout_ms: How long a decision waits for that Redis; then it goes on with defaults, marked degraded.
    """

    store: str = "memory"
    prefix: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9_.:-]+\Z")] = "headset"
    timeout_ms: Milliseconds = 50.0


class TuningConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where searches keep their studies.

    Attributes:
        storage: URL of a database that Optuna takes, ``postgresql://…``; empty means ``optuna.db`` inside ``home``.
    """

    storage: str = ""


class JobsConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """Where jobs run, and how many.

    Attributes:
        database: Where their queue is kept: ``sqlite:///PATH`` or ``postgresql://…``; empty, inside ``home``.
        concurrency: Jobs that run at once, at most.
        launcher: What runs a job that does not say it itself.
        image: Container image of a job that names none.
        images: Further images that jobs may name.
        secrets: Names of secrets that jobs may ask for.
        variables: Names of variables that jobs may set, besides those that bound the threads of libraries.
        container_engine: ``podman`` or ``docker``, by name or path; empty, whichever is there, podman first.
        container_network: Network of containers: ``none``, ``host``, or the name of one of the engine's.
        kubernetes_namespace: Where Jobs are made.
        kubernetes_claim: The PersistentVolumeClaim that holds the home folder there.
        kubernetes_secret: The Secret that holds the secrets which jobs name.
        ray_address: The cluster: ``auto`` for the one this machine is part of, ``HOST:PORT``, or ``ray://HOST:PORT``.
    """

    database: str = ""
    concurrency: Annotated[int, Meta(ge=1, le=1_000)] = 2
    launcher: Literal["process", "container", "kubernetes", "ray"] = "process"
    image: Annotated[str, Meta(max_length=255)] = "headset:latest"
    images: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    container_engine: str = ""
    container_network: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,127}\Z")] = "none"
    kubernetes_namespace: Annotated[str, Meta(pattern=r"\A[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")] = "default"
    kubernetes_claim: Annotated[str, Meta(pattern=r"\A[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")] = "headset-home"
    kubernetes_secret: Annotated[str, Meta(pattern=r"\A[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z")] = "headset-secrets"  # noqa: S105 - a name
    ray_address: str = "auto"


class GatesConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """What a version of a model that reads texts must hold before it may become champion.

    Attributes:
        required: Gates to be passed; empty for all that come with Headset. Some are required whatever stands here.
        valid_days: How long a validation counts.
        limits: What gates hold a version to, where it is not as shipped, by name.
    """

    required: tuple[Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")], ...] = ()
    valid_days: Annotated[float, Meta(gt=0, le=90)] = 14.0
    limits: dict[str, int | float] = {}


class SynthesisConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """How synthetic texts are made.

    Attributes:
        key: Sent to the language model that ``headset data synthesize --endpoint`` names; none where empty.
    """

    key: str = ""


class Config(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set.

    Attributes:
        home: Folder that holds all state.
        tracking_uri: MLflow tracking server or store; empty means the store inside ``home``.
    """

    home: Path
    tracking_uri: str = ""
    server: ServerConfig = ServerConfig()
    decision: DecisionConfig = DecisionConfig()
    log: LogConfig = LogConfig()
    features: FeaturesConfig = FeaturesConfig()
    tuning: TuningConfig = TuningConfig()
    jobs: JobsConfig = JobsConfig()
    gates: GatesConfig = GatesConfig()
    synthesis: SynthesisConfig = SynthesisConfig()


_SECTIONS: dict[str, type[Struct]] = {
    "server": ServerConfig,
    "decision": DecisionConfig,
    "log": LogConfig,
    "features": FeaturesConfig,
    "tuning": TuningConfig,
    "jobs": JobsConfig,
    "gates": GatesConfig,
    "synthesis": SynthesisConfig,
}


def load_config(home: Path, environ: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Config:
    """Read ``<home>/headset.toml`` if it exists, then the environment, then ``overrides`` (dotted names).

    Raises:
        InvalidInput: a file, name or value is wrong; the message names it.

    >>> load_config(Path("/nowhere"), {"HEADSET_SERVER_PORT": "9000"}).server.port
    9000
    """
    tree: dict[str, Any] = _read(home / "headset.toml") | {"home": str(home)}
    for name, value in {**_settings(environ), **(overrides or {})}.items():
        _put(tree, name, value)
    try:
        return msgspec.convert(tree, Config, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at ")
        field = path.strip("`$.")
        raise InvalidInput(
            field or "headset.toml", f"{_shown(tree, field)}{message}; see docs/configuration.md"
        ) from None


def _shown(tree: object, field: str) -> str:
    for name in field.split("."):
        tree = tree.get(name) if isinstance(tree, dict) else None
    return f"is {str(tree)[:40]!r}; " if isinstance(tree, str | int | float) else ""


def _path(kind: type, value: object) -> Path:
    if kind is not Path or not isinstance(value, str):
        raise NotImplementedError(kind)
    return Path(value)


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    if not path.is_file():
        raise InvalidInput(str(path), "is no file; write the settings into a file of this name, or remove it")
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidInput(str(path), f"cannot be read as TOML ({error})") from None
    except RecursionError:
        raise InvalidInput(str(path), "is nested too deeply to be a settings file") from None


def _settings(environ: Mapping[str, str]) -> dict[str, str | list[str] | dict[str, str]]:
    known: dict[str, str] = {"HEADSET_TRACKING_URI": "tracking_uri"}
    lists = set()
    for section, kind in _SECTIONS.items():
        for field in msgspec.structs.fields(kind):
            known[f"HEADSET_{section}_{field.name}".upper()] = f"{section}.{field.name}"
            if field.default == ():
                lists.add(f"{section}.{field.name}")
    for name in sorted(environ):
        if name.startswith(_FILE_ONLY):
            raise InvalidInput(name, "is no way to set gates: they are set in headset.toml only, under [gates]")
        if name.startswith(_OURS) and name not in known:
            nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            raise InvalidInput(name, f"is no setting; the nearest is {nearest}; see docs/configuration.md")
    found = {known[name]: value for name, value in environ.items() if name in known}
    read = dict.fromkeys(lists, _list) | {"decision.queue_models": _pairs}
    return {name: read[name](value) if name in read else value for name, value in found.items()}


def _list(text: str) -> list[str]:
    return [item for part in text.split(",") if (item := part.strip())]


def _pairs(text: str) -> dict[str, str]:
    return {name.strip(): value.strip() for name, _, value in (item.partition("=") for item in _list(text))}


def _put(tree: dict[str, Any], name: str, value: object) -> None:
    *sections, leaf = name.split(".")
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise InvalidInput(section, "is a section in headset.toml; write [section] and its names below")
    tree[leaf] = value
