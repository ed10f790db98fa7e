"""The command line: parse, call, print.

Exit codes: 0 done, 1 failed, 2 misuse, 130 interrupted. Every command takes ``--json``, and then prints one
JSON value to standard output: its result or its error. What a server says once it has given its address goes
to standard error.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from headset import __version__
from headset.app import open_installation
from headset.cli.data import data
from headset.cli.data_bias import bias
from headset.cli.delivery import init, plan
from headset.cli.encoders import encoders
from headset.cli.feature_data import features
from headset.cli.jobs import jobs
from headset.cli.model_change import audit
from headset.cli.model_files import models
from headset.cli.terminal import (
    HOME,
    HomeOption,
    HostOption,
    JsonOption,
    PortOption,
    check_range,
    err,
    fail,
    out,
    print_json,
    progress_bars,
    read_config,
    server_url,
    server_variables,
    tell,
)
from headset.cli.train import train
from headset.cli.tune import tune
from headset.cli.twin import KEY_VARIABLE, twin
from headset.cli.validate import validate
from headset.core.clock import iso
from headset.core.errors import AccessDenied, HeadsetError, InvalidInput, StorageFailed
from headset.supervisor import end_with_starter, stop_on_signals

if TYPE_CHECKING:
    import threading

    from headset.app import Installation
    from headset.core.config import Config
    from headset.monitoring.report import ModelReport
    from headset.supervisor import Processes

app = typer.Typer(
    name="headset",
    help="The MLOps platform for conversational AI in contact centres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
keys = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)
app.command(name="init")(init)
app.command(name="plan")(plan)
app.add_typer(data, name="data")
data.command(epilog="Example: headset data bias reviewed --by language,channel --html bias.html")(bias)
app.add_typer(train, name="train")
app.add_typer(tune, name="tune")
app.add_typer(models, name="models")
app.add_typer(encoders, name="encoders")
app.add_typer(features, name="features")
app.add_typer(jobs, name="jobs")
app.add_typer(keys, name="keys")
app.add_typer(twin, name="twin")
app.command(name="validate")(validate)
app.command()(audit)

_PULSE_S = 1.0
_PULSE_HOURS = 1.0
_HOURS_LIMIT = 87_840
_DAYS_LIMIT = 3_650


@app.command()
def up(
    home: HomeOption = HOME,
    host: HostOption = None,
    port: PortOption = None,
    twin: Annotated[bool, typer.Option("--twin", help="Add a trained model and a simulated contact centre.")] = False,
    json: JsonOption = False,
) -> None:
    """Start everything: API and workers; with --twin also a simulated contact centre."""
    from headset.supervisor import (
        TWIN_SCENARIO,
        TWIN_SPEED,
        Processes,
        check_port,
        check_unserved,
        prepare_twin,
        resolve_host,
    )

    config = resolve_host(read_config(home, host, port))
    check_unserved(config.home)
    check_port(config)
    with open_installation(config) as parts:
        if twin:
            with progress_bars(quiet=json) as progress:
                prepare_twin(parts, progress)
        parts.apply_shipped_features()
        key = parts.development_key()
    stop = stop_on_signals()
    # A key in the environment may be another server's; the line that shows the state belongs to this process.
    given = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    processes = Processes(config, given | {"TTY_COMPATIBLE": "0"} | server_variables(config))
    try:
        processes.start("serve")
        processes.start("work")
        _await_server(config, processes.ended, stop)
        if stop.is_set():
            if json:
                print_json({"ended": True})
            return
        if twin and key is not None:
            processes.start("twin", "run", TWIN_SCENARIO, "--speed", str(TWIN_SPEED), vital=False)
        _announce(config, key, json=json)
        with _told_beside():
            _watch(config, processes, stop, quiet=json)
    finally:
        processes.stop()


@app.command()
def serve(home: HomeOption = HOME, host: HostOption = None, port: PortOption = None, json: JsonOption = False) -> None:
    """Start the API alone."""
    from headset.supervisor import check_port, resolve_host, serving_alone
    from headset.supervisor import serve as serve_api

    config = resolve_host(read_config(home, host, port))
    with serving_alone(config.home):
        check_port(config)
        with open_installation(config) as parts:
            parts.apply_shipped_features()
            parts.development_key()
        if json:
            print_json({"url": server_url(config)})
        with _told_beside():
            serve_api(config)


@app.command()
def work(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """Start the worker alone: keeps projections current, seals old events, runs jobs."""
    from headset.supervisor import work as keep_current

    keep_current(read_config(home))
    if json:
        print_json({"ended": True})


@app.command(name="import")
def import_data(
    format_name: Annotated[str, typer.Argument(metavar="FORMAT", help="banking77, clinc150, uss, csv or jsonl.")],
    path: Annotated[Path, typer.Argument(help="The file.")],
    name: Annotated[str, typer.Option("--as", help="Name of the data set.")],
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Import labelled texts or conversations into the log; importing a file again adds nothing."""
    from headset.data.importer import import_file

    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        report = import_file(
            path,
            format_name,
            name,
            log=parts.log,
            door=parts.door,
            clock=parts.clock,
            progress=lambda done, total: progress(f"importing {path.name}", done / max(total, 1)),
        )
    if json:
        print_json(report)
        return
    out.print(f"{report.rows} rows: {report.added} added, {report.already_there} already there")
    for kind, count in sorted(report.redactions.items()):
        out.print(f"  {count} {kind} redacted")
    for bad in report.bad[:20]:
        err.print(f"row {bad.number} kept out: {bad.problem}", markup=False)
    if report.bad_count > 20:
        err.print(f"{report.bad_count - 20} more rows kept out; --json lists them")


@app.command()
def monitor(
    hours: Annotated[float | None, typer.Option("--hours", help="Look back so far; all time when left out.")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every two seconds.")] = False,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Report accuracy, overrides, acceptance, containment, latency and errors by model version."""
    from headset.monitoring.table import render

    if hours is not None:
        check_range("hours", hours, _HOURS_LIMIT)
    with open_installation(read_config(home)) as parts:
        if json:
            sys.stdout.buffer.write(parts.kpis(hours) + b"\n")
            return
        if not watch:
            out.print(render(parts.reports(hours)))
            return
        from rich.live import Live

        stop = stop_on_signals()
        with Live(render(parts.reports(hours)), console=out) as live:
            while not stop.wait(2.0):
                live.update(render(parts.reports(hours)))


@keys.command(name="create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    scope: Annotated[list[str], typer.Option("--scope", help="decide, feedback, read, approve or admin; repeatable.")],
    days: Annotated[float | None, typer.Option("--days", help="Valid for so long; for ever when left out.")] = None,
    person: Annotated[str, typer.Option("--person", help="Whose it is; NAME when left out.", show_default=False)] = "",
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Make a key; it is shown this once."""
    if days is not None:
        check_range("days", days, _DAYS_LIMIT)
    valid_s = None if days is None else timedelta(days=days).total_seconds()
    with open_installation(read_config(home)) as parts:
        secret, key = parts.keys.create(name, scope, valid_s=valid_s, person=person)
    if json:
        print_json({"key": secret} | msgspec.to_builtins(key))
        return
    out.print(secret, highlight=False, soft_wrap=True)
    err.print(f"key {key.key_id} may {', '.join(sorted(key.scopes))}; it is not shown again")


@keys.command(name="list")
def list_keys(home: HomeOption = HOME, json: JsonOption = False) -> None:
    """List keys; never the secrets."""
    with open_installation(read_config(home)) as parts:
        known = parts.keys.list()
    if json:
        print_json(known)
        return
    table = Table("id", "name", "person", "scopes", "created", "expires", "revoked")
    for key in known:
        moments = [iso(moment) if moment else "–" for moment in (key.created, key.expires, key.revoked)]
        table.add_row(key.key_id, *map(Text, (key.name, key.person)), ", ".join(sorted(key.scopes)), *moments)
    out.print(table)


@keys.command(name="revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Its id, see 'headset keys list'.")],
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Make a key worthless at once."""
    with open_installation(read_config(home)) as parts:
        parts.keys.revoke(key_id)
    if json:
        print_json({"revoked": key_id})
    else:
        out.print(f"key {key_id} is revoked")


@app.command()
def version(json: JsonOption = False) -> None:
    """Print the version."""
    if json:
        print_json({"version": __version__})
    else:
        out.print(__version__, highlight=False)


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    os.umask(0o077)  # a home folder is its owner's alone
    end_with_starter()
    wants_json = "--json" in sys.argv
    try:
        _check_arguments(sys.argv)
        code = app(standalone_mode=False) or 0
    except HeadsetError as error:
        code = fail(error, 2 if isinstance(error, InvalidInput | AccessDenied) else 1, wants_json=wants_json)
    except OSError as error:
        with suppress(OSError):  # it may be standard output itself that failed
            fail(StorageFailed(f"a file cannot be used ({error}); see --home"), 1, wants_json=wants_json)
        code = 1
    except typer.Abort:
        code = 130
    except typer.Exit as leaving:
        code = leaving.exit_code
    except KeyboardInterrupt:
        code = 130
    except Exception as error:
        if not hasattr(error, "exit_code") or not hasattr(error, "format_message"):
            raise
        code, message = error.exit_code, error.format_message().rstrip(".")
        if message:  # without one, the help was shown
            fail(HeadsetError(f"{message}; see --help"), code, wants_json=wants_json)
    sys.exit(code)


def _check_arguments(arguments: list[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InvalidInput(
                "argument", f"{argument[:40]!r} is not valid UTF-8; check the terminal's locale"
            ) from None


@contextmanager
def _told_beside() -> Iterator[None]:
    """Tell what goes wrong on standard error: standard output has had its one value."""
    try:
        yield
    except HeadsetError as error:
        tell(error)
        raise typer.Exit(1) from None


def _await_server(config: Config, ended: Callable[[], str | None], stop: threading.Event) -> None:
    """Return once the API answers.

    Raises:
        HeadsetError: a process ended first.
    """
    import httpx

    while not stop.wait(0.1):
        if (problem := ended()) is not None:
            raise HeadsetError(f"{problem} before the server answered; its message is above")
        try:
            httpx.get(f"{server_url(config)}/healthz", timeout=1, trust_env=False)  # no proxy
        except httpx.TransportError:
            continue
        return


def _watch(config: Config, processes: Processes, stop: threading.Event, *, quiet: bool) -> None:
    """Show the last hour in a status line until told to stop.

    Raises:
        HeadsetError: a process that the platform needs has ended.
    """
    shown = err.is_terminal and not quiet
    with open_installation(config) as parts, err.status("waiting for the first decision") as status:
        while not stop.wait(_PULSE_S):
            if (problem := processes.ended()) is not None:
                raise HeadsetError(f"{problem}; everything is stopped")
            for told in processes.missed():
                err.print(f"{told}; the platform goes on without it", highlight=False, soft_wrap=True)
            if shown:
                status.update(escape(_status(parts)))


def _status(parts: Installation) -> str:
    """The last hour in one line, or why it cannot be read: the platform goes on either way."""
    try:
        return _pulse(parts.reports(_PULSE_HOURS))
    except (HeadsetError, OSError) as error:
        return f"no figures: {error}"


def _pulse(reports: list[ModelReport]) -> str:
    """The last hour in one line."""
    if not reports:
        return "no decision in the last hour"
    newest = reports[-1]
    right = "" if newest.accuracy.value is None else f" · {newest.accuracy.value:.0%} of {newest.accuracy.of} right"
    return (
        f"last hour: {newest.decisions} decisions{right} · {newest.to_human.count} to people"
        f" · p95 {newest.latency_ms.p95:.1f} ms · model version {newest.model_version}"
    )


def _announce(config: Config, key: str | None, *, json: bool) -> None:
    url, key_file = server_url(config), config.home / "keys" / "development.key"
    if json:
        print_json({"url": url, "key_file": str(key_file) if key else None})
        return
    shown = key_file.relative_to(Path.cwd()) if key_file.is_relative_to(Path.cwd()) else key_file
    bearer = f"$(cat {shown})" if key else "YOUR_KEY"
    home = "" if config.home == Path.cwd() / HOME else f" --home {config.home}"
    out.print(f"[bold]Headset serves on {url}[/bold]   (stop with Ctrl-C)")
    for what, where in (
        ("figures", f"headset monitor --watch{home}"),
        ("as JSON", f"{url}/v1/kpis"),
        ("metrics", f"{url}/metrics"),
        ("schema", f"{url}/schema/openapi.json"),
    ):
        out.print(f"  {what:<8} {where}", highlight=False, soft_wrap=True)
    out.print("Try one turn:", highlight=False)
    out.print(
        f"""  curl -s {url}/v1/conversations/hello-{secrets.token_hex(2)}/turns -H "Authorization: Bearer {bearer}\""""
        """ -H 'Content-Type: application/json' -d '{"text": "My internet has been very slow since yesterday"}'""",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
