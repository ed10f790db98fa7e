"""The command that makes synthetic texts for rare intents."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from headset.app import open_installation, training
from headset.cli.data import NameArgument, data
from headset.cli.terminal import HOME, HomeOption, JsonOption, out, print_json, progress_bars, read_config
from headset.core.errors import InvalidInput, StorageFailed

if TYPE_CHECKING:
    from headset.core.config import Config
    from headset.data.synthetic.endpoint import Endpoint
    from headset.training.synthesis.job import SynthesisReport

__all__ = ["data"]


@data.command(epilog="Example: headset data synthesize bank --as bank-more --html bank-more.html")
def synthesize(
    name: NameArgument,
    *,
    as_name: Annotated[str, typer.Option("--as", help="Name of the synthetic texts.")],
    rare: Annotated[int, typer.Option("--rare", help="An intent with fewer different texts is rare.")] = 50,
    per_intent: Annotated[int, typer.Option("--per-intent", help="Texts to make for each rare intent.")] = 100,
    generators: Annotated[
        str,
        typer.Option("--generators", help="Some of frame,grammar,noise,paraphrase,slot; none for the endpoint alone."),
    ] = "frame,grammar,noise,paraphrase,slot",
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", help="Also ask a model at this OpenAI-compatible address, ending in /v1."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model's name at the endpoint.")] = None,
    send_texts: Annotated[
        bool, typer.Option("--send-texts", help="Allow redacted texts of customers to be sent to the endpoint.")
    ] = False,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with pictures.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Keep nothing; only tell.")] = False,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Make texts for rare intents; keep them, marked, if a trial on real texts shows that they help; exit 1 if not."""
    from headset.training.synthesis.job import SynthesisRequest

    config = read_config(home)
    request = SynthesisRequest(
        dataset=name,
        name=as_name,
        rare=rare,
        per_intent=per_intent,
        generators=_names(generators, alone=endpoint is not None),
        seed=seed,
        dry=dry_run,
    )
    request.check()
    with ExitStack() as stack:
        asked = _endpoint(config, endpoint, model, allowed=send_texts)
        if asked is not None:
            stack.enter_context(closing(asked))
        parts = stack.enter_context(open_installation(config))
        progress = stack.enter_context(progress_bars(quiet=json))
        report = training.synthesize(parts, request, asked, progress=progress)
    if html is not None:
        _write(report, html)
    if json:
        print_json(report)
    else:
        _print(report)
    if not report.trial.kept:
        raise typer.Exit(1)


def _names(text: str, *, alone: bool) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if alone and names == ("none",):
        return ()
    if not names:
        raise InvalidInput("generators", "is empty; name at least one, or 'none' with --endpoint")
    return tuple(sorted(names))


def _endpoint(config: Config, url: str | None, model: str | None, *, allowed: bool) -> Endpoint | None:
    if url is None:
        if model is not None or allowed:
            raise InvalidInput("endpoint", "is missing; --model and --send-texts go with --endpoint URL")
        return None
    from headset.data.synthetic.endpoint import Endpoint

    if model is None:
        raise InvalidInput("model", "is missing; name a model of the endpoint with --model")
    if not allowed:
        raise InvalidInput(
            "send-texts",
            "is missing: the endpoint would be sent redacted texts of customers; add --send-texts if they may leave",
        )
    return Endpoint(url, model, key=config.synthesis.key, sleep=time.sleep)


def _write(report: SynthesisReport, path: Path) -> None:
    from headset.training.synthesis.page import write_page

    try:
        path.write_text(write_page(report), "utf-8")
    except OSError as error:
        raise StorageFailed(f"{path} cannot be written ({error.strerror}); choose another file with --html") from None


def _print(report: SynthesisReport) -> None:
    from headset.training.synthesis.page import verdict

    trial = report.trial
    table = Table("intent", "real texts", "F1 without", "with", "with copies")
    for one in trial.intents:
        table.add_row(one.intent, str(one.texts), f"{one.real:.2f}", f"{one.synthetic:.2f}", f"{one.copies:.2f}")
    table.add_section()
    table.add_row("mean", "", f"{trial.real:.3f}", f"{trial.synthetic:.3f}", f"{trial.copies:.3f}")
    out.print(table)
    made = ", ".join(f"{count} {name}" for name, count in report.made.items()) or "none"
    out.print(f"{sum(report.made.values())} texts made ({made})", highlight=False)
    out.print(
        f"  refused: {sum(report.refused.values())} near-copies of a real text,"
        f" {sum(report.strayed.values())} nearer to another intent, {report.repeated} made twice",
        highlight=False,
    )
    for intent, count in report.short.items():
        out.print(f"  only {count} for {intent}: nothing new came", highlight=False, markup=False)
    for intent, count in report.left_out.items():
        out.print(f"  left out: {intent}, which has {count} texts", highlight=False, markup=False)
    out.print(verdict(report), highlight=False, markup=False, soft_wrap=True)
