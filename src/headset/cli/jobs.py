"""The commands of jobs."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import typer
from rich.table import Column, Table
from typer.main import get_command

from headset.app import open_installation
from headset.app.jobs import job_worker
from headset.cli.terminal import (
    HOME,
    HomeOption,
    JsonOption,
    err,
    out,
    print_json,
    print_text,
    progress_bars,
    read_config,
)
from headset.core.errors import InvalidInput
from headset.jobs.record import STATES
from headset.supervisor import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headset.app import Installation
    from headset.core.config import Config
    from headset.jobs.spec import JobSpec
    from headset.jobs.store import JobView

jobs = typer.Typer(help="Run commands as jobs: queued, durable, limited, cancellable.", no_args_is_help=True)

LauncherChoice = Literal["process", "container", "kubernetes", "ray"]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Its id, see 'headset jobs list'.")]
CommandArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="-- COMMAND…", help="What to run, as 'headset' would: train intent --data NAME."),
]
SpecOption = Annotated[Path | None, typer.Option("--spec", help="TOML file that says it all, instead.")]
LauncherOption = Annotated[LauncherChoice | None, typer.Option("--launcher", help="What runs it.")]
CpusOption = Annotated[float | None, typer.Option("--cpus", help="Cores.")]
MemoryOption = Annotated[int | None, typer.Option("--memory", help="MiB of memory; a job that takes more is ended.")]
TimeOption = Annotated[float | None, typer.Option("--time-limit", help="Seconds an attempt may take.")]
RetriesOption = Annotated[int | None, typer.Option("--retries", help="How often it is started again when it failed.")]
_LOOK_EVERY_S = 0.25
_LISTED = 200


@jobs.command()
def submit(  # noqa: PLR0917 - typer passes options by name
    command: CommandArgument = None,
    spec: SpecOption = None,
    launcher: LauncherOption = None,
    cpus: CpusOption = None,
    memory: MemoryOption = None,
    time_limit: TimeOption = None,
    retries: RetriesOption = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Return when it is over; exit code 1 unless it succeeded.")
    ] = False,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Queue a job: a command to be run by a worker, now or when one is there."""
    config = read_config(home)
    wanted = _spec(config, command, spec, launcher, cpus, memory, time_limit, retries)
    with open_installation(config) as parts:
        job = parts.jobs.submit(wanted)
        if wait:
            if not json:
                err.print(f"job {job.job_id} is queued; it goes on when this command is interrupted", highlight=False)
            with progress_bars(quiet=json) as progress:
                _await_end(parts, job.job_id, progress)
        told = parts.jobs.view(parts.jobs.get(job.job_id), whole=True)
        if json:
            print_json(told)
        elif wait:
            out.print(_sentence(told), highlight=False)
        else:
            out.print(f"job {told.job_id} is queued", highlight=False)
            _tell_no_worker(config)
    if wait and told.state != "succeeded":
        raise typer.Exit(1)


@jobs.command(name="list")
def list_jobs(
    state: Annotated[
        list[str] | None,
        typer.Option("--state", help="queued, running, waiting, succeeded, failed or cancelled; repeatable."),
    ] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """List jobs, newest first."""
    for each in state or ():
        if each not in STATES:
            raise InvalidInput("state", f"{each[:40]!r} is none; states are {', '.join(STATES)}")
    states = tuple(each for each in STATES if not state or each in state)
    with open_installation(read_config(home)) as parts:
        known = [parts.jobs.view(job) for job in parts.jobs.list(states, limit=_LISTED)]
    if json:
        print_json(known)
        return
    table = Table(
        Column("job", no_wrap=True), Column("state", no_wrap=True), "command", "attempt", "progress", "reason"
    )
    for job in known:
        state_shown = f"{job.state}, cancelling" if job.cancelling else job.state
        attempts = f"{job.attempt} of {job.retries + 1}" if job.attempt else "–"
        table.add_row(job.job_id, state_shown, job.command, attempts, _progress(job), job.reason)
    out.print(
        table if known else "no job is on record; queue one with 'headset jobs submit -- train intent --data NAME'"
    )


@jobs.command()
def show(job: JobArgument, home: HomeOption = HOME, json: JsonOption = False) -> None:
    """Show a job: its spec, where it stands, and all that happened to it."""
    with open_installation(read_config(home)) as parts:
        told = parts.jobs.view(parts.jobs.get(job), whole=True)
    if json:
        print_json(told)
        return
    table = Table(show_header=False, title=f"job {told.job_id}")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in msgspec.to_builtins(told).items():
        if name not in {"job_id", "history", "progress", "spec"}:
            table.add_row(name, str(value))
    if told.progress is not None:
        table.add_row("progress", _progress(told))
    for name, value in msgspec.to_builtins(told.spec or {}).items():
        if name not in {"command", "launcher", "retries"}:
            table.add_row(f"spec.{name}", str(value))
    for moment in told.history:
        table.add_row(moment.when, moment.what)
    out.print(table)


@jobs.command()
def logs(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")] = False,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Print what a job printed, all attempts in order."""
    stop = stop_on_signals() if follow else threading.Event()
    kept: list[str] = []
    offset = 0
    with open_installation(read_config(home)) as parts:
        while True:
            lines = parts.jobs.lines(job, offset)
            if json:
                kept.append(lines.text)
            elif lines.text:
                print_text(lines.text)
            grown, offset = lines.offset > offset, lines.offset
            if not grown and (lines.ended or not follow or stop.wait(_LOOK_EVERY_S)):
                break
    if json:
        print_json({"text": "".join(kept), "offset": offset, "ended": lines.ended})


@jobs.command()
def cancel(job: JobArgument, home: HomeOption = HOME, json: JsonOption = False) -> None:
    """End a job: at once where it waits, by its worker where it runs."""
    config = read_config(home)
    with open_installation(config) as parts:
        told = parts.jobs.view(parts.jobs.cancel(job))
    if json:
        print_json(told)
    elif told.cancelling:
        out.print(f"job {told.job_id} is being cancelled", highlight=False)
        _tell_no_worker(config)
    else:
        out.print(_sentence(told), highlight=False)


@jobs.command()
def run(
    once: Annotated[bool, typer.Option("--once", help="End when no job is left.")] = False,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Work on the queue of jobs in the foreground; 'headset up' does so by itself."""
    stop = stop_on_signals()
    with open_installation(read_config(home)) as parts:
        job_worker(parts, stop).work(once=once)
    if json:
        print_json({"ended": True})


@jobs.command()
def manifest(
    command: CommandArgument = None,
    spec: SpecOption = None,
    cpus: CpusOption = None,
    memory: MemoryOption = None,
    time_limit: TimeOption = None,
    retries: RetriesOption = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Print a job as the manifest of a Kubernetes Job, in JSON, as 'kubectl apply -f -' takes it."""
    from headset.jobs.launcher import Attempt
    from headset.jobs.manifest import job_manifest
    from headset.jobs.policy import check_allowed

    config = read_config(home)
    wanted = _spec(config, command, spec, "kubernetes", cpus, memory, time_limit, retries)
    check_allowed(wanted, config.jobs, config.home)
    made = job_manifest(Attempt(wanted.hash[:12], 1, wanted), config.jobs)
    if json:
        print_json(made)
    else:
        print_text(msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n")


def _spec(
    config: Config,
    command: list[str] | None,
    file: Path | None,
    launcher: LauncherChoice | None,
    cpus: float | None,
    memory: int | None,
    time_limit: float | None,
    retries: int | None,
) -> JobSpec:
    """The spec that the command line or a file gives; options go over the file."""
    from headset.jobs.spec import decode_spec, job_spec, read_spec

    if (file is None) == (not command):
        raise InvalidInput(
            "command", "give either '--spec FILE', or '--' and the command behind it: -- train intent --data NAME"
        )
    default = config.jobs.launcher
    spec = job_spec(command or (), launcher=default) if file is None else read_spec(file, launcher=default)
    limits = {"cpus": cpus, "memory_mb": memory, "time_limit_s": time_limit}
    resources = msgspec.to_builtins(spec.resources) | {
        name: value for name, value in limits.items() if value is not None
    }
    given = {"launcher": launcher or spec.launcher, "retries": spec.retries if retries is None else retries}
    spec = decode_spec(msgspec.json.encode(msgspec.to_builtins(spec) | given | {"resources": resources}))
    _check_command(spec.arguments)
    return spec


def _check_command(arguments: list[str]) -> None:
    """Refuse what the command line itself would refuse, before it is queued.

    Raises:
        InvalidInput: there is no such command, or it takes no such arguments.
    """
    from headset.cli.command import app

    command, rest = get_command(app), list(arguments)
    while hasattr(command, "commands") and rest and rest[0] in command.commands:
        command = command.commands[rest.pop(0)]
    words = arguments[: len(arguments) - len(rest)]
    if hasattr(command, "commands"):
        there = ", ".join(command.commands)
        raise InvalidInput(
            "command", f"'headset {' '.join(words)}' has no command {' '.join(rest[:1])!r}; it has {there}"
        )
    try:
        command.make_context(" ".join(words), rest)
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        problem = error.format_message().rstrip(".")
        raise InvalidInput("command", f"{problem}; see 'headset {' '.join(words)} --help'") from None


def _await_end(parts: Installation, job_id: str, progress: object) -> None:
    """Return when a job is over; where no worker runs, work on the queue meanwhile."""
    stop = stop_on_signals()
    with _working(parts):
        while not (job := parts.jobs.get(job_id)).is_over:
            told = parts.jobs.view(job).progress
            if told is not None and callable(progress):
                progress(told.phase, told.fraction)
            if stop.wait(_LOOK_EVERY_S):
                return


@contextmanager
def _working(parts: Installation) -> Iterator[None]:
    from headset.process import jobs_beside

    with jobs_beside(parts, threading.Event()):
        yield


def _tell_no_worker(config: Config) -> None:
    from headset.jobs.worker import is_working

    if not is_working(config.home / "jobs"):
        err.print("no worker runs; 'headset up' starts one, and 'headset jobs run --once' works the queue off")


def _sentence(job: JobView) -> str:
    return f"job {job.job_id} {job.state}{f': {job.reason}' if job.reason else ''}"


def _progress(job: JobView) -> str:
    return "–" if job.progress is None else f"{job.progress.phase} {job.progress.fraction:.0%}"
