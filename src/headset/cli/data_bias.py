"""The command that looks for customers who are served worse."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec.structs
import typer
from rich.markup import escape
from rich.table import Table

from headset.app import open_installation
from headset.app.models import text_model
from headset.cli.terminal import (
    HOME,
    HomeOption,
    JsonOption,
    check_range,
    err,
    out,
    print_json,
    progress_bars,
    read_config,
)
from headset.core.clock import MICROSECONDS
from headset.core.errors import InvalidInput, StorageFailed, TextErased

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from headset.app import Installation
    from headset.data.bias.outcome import Outcomes
    from headset.data.bias.report import BiasReport

    Progress = Callable[[str, float], None]

_HOURS_LIMIT = 87_840
_BATCH = 256


def bias(  # noqa: PLR0917 - typer passes options by name
    name: Annotated[str | None, typer.Argument(help="Name of a labelled data set; none with --live.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", help="Version or alias; champion, and with --live all, when left out.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Judge what was served, from the decision record.")] = False,
    hours: Annotated[
        float | None, typer.Option("--hours", help="With --live: look back so far; all time when left out.")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            "--by",
            help="Dimensions: language, channel, accent-proxy or attributes; A+B for both together."
            " By default language,channel,region,tenure,accent-proxy.",
        ),
    ] = None,
    margin: Annotated[float, typer.Option("--margin", help="Gap from which a group counts as served worse.")] = 0.05,
    html: Annotated[Path | None, typer.Option("--html", help="Also write a page with pictures.")] = None,
    home: HomeOption = HOME,
    json: JsonOption = False,
) -> None:
    """Compare how groups of customers are served; exit with 1 where one is served worse."""
    if (name is None) != live:
        raise InvalidInput("data", "give the name of a data set, or --live and no name")
    if hours is not None:
        if not live:
            raise InvalidInput("hours", "goes with --live; a data set is judged as a whole")
        check_range("hours", hours, _HOURS_LIMIT)
    if not 0 < margin < 1:
        raise InvalidInput("margin", f"is {margin:.12g}; it lies between 0 and 1, for example 0.05 for 5 points")
    from headset.data.bias.gap import measure_bias
    from headset.data.bias.group import DIMENSIONS

    dimensions = DIMENSIONS if by is None else _dimensions(by)
    with open_installation(read_config(home)) as parts, progress_bars(quiet=json) as progress:
        if name is None:
            outcomes, facts = _served(parts, version, hours, dimensions, progress)
            excluded, unknown = 0, ""
        else:
            outcomes, facts, excluded, unknown = _scored(parts, name, version or "champion", dimensions, progress)
        progress("compare", 0.0)
        report = msgspec.structs.replace(measure_bias(outcomes, margin=margin), excluded=excluded, unknown=unknown)
        progress("compare", 1.0)
    if html is not None:
        _write(report, html, facts)
    if json:
        print_json(report)
    else:
        _print(report, facts)
    if report.result == "fail":
        raise typer.Exit(1)


def _dimensions(by: str) -> list[str]:
    asked = ["+".join(part.strip() for part in each.split("+")) for each in by.split(",")]
    if any(not part for each in asked for part in each.split("+")):
        raise InvalidInput("by", f"{by[:80]!r} names an empty dimension; write for example language,channel+region")
    return list(dict.fromkeys(asked))


def _scored(
    parts: Installation, name: str, version: str, dimensions: Sequence[str], progress: Progress
) -> tuple[Outcomes, list[tuple[str, str]], int, str]:
    """What a registered version makes of a data set: of each conversation the first labelled turn it did not learn.

    Also how many texts it learned from were left out, and why not all of those are known.

    Raises:
        InvalidInput: the version learned from all of these texts.
    """
    import numpy as np

    from headset.data.bias.group import group_by, read_customers
    from headset.data.bias.outcome import judge_outcomes
    from headset.data.dataset import read_dataset
    from headset.validation.unseen import plain, read_learned

    known = parts.registry.get(parts.config.decision.model, version)
    progress("read the data", 0.0)
    found = read_dataset(parts.log, parts.vault, name)
    if not found.texts:
        raise InvalidInput("data", f"all texts of {name} were erased; name another data set")
    learned, unknown = read_learned(parts.log, parts.vault, [known])
    first: dict[str, tuple[int, int]] = {}
    excluded = 0
    for row, place in enumerate(found.ids):
        if plain(found.texts[row]) in learned:
            excluded += 1
            continue
        conversation_id, _, turn = place.rpartition("#")
        order = (int(turn) if turn.isdecimal() else row, row)
        first[conversation_id] = min(first.get(conversation_id, order), order)
    if not first:
        raise InvalidInput(
            "data",
            f"{name} holds only texts that version {known.version} learned from, and it knows the answers; name others",
        )
    rows = [row for _, row in first.values()]
    texts, truth = [found.texts[row] for row in rows], [found.labels[row] for row in rows]
    customers = read_customers(
        parts.log, first, progress=lambda count: progress("read the data", count / max(len(first), 1))
    )
    model, encoder = text_model(parts, known), parts.encoders.of(known)
    answers: list[str] = []
    confidence = np.empty(len(texts))
    for start in range(0, len(texts), _BATCH):
        batch = texts[start : start + _BATCH]
        probabilities = model.score(batch, encoder.encode(batch)).probabilities
        answers += [model.labels[column] for column in probabilities.argmax(axis=1)]
        confidence[start : start + _BATCH] = probabilities.max(axis=1)
        progress("score", min((start + _BATCH) / len(texts), 1.0))
    groups = group_by(dimensions, [customers.get(each) for each in first], texts)
    outcomes = judge_outcomes(answers, confidence, truth, threshold=model.threshold, groups=groups)
    facts = [("data set", name), ("model", f"{known.model} version {known.version}")]
    if excluded:
        facts.append(("left out", f"{excluded:,} texts that the version learned from"))
    if unknown:
        facts.append(("not known", unknown))
    return outcomes, facts, excluded, unknown


def _served(
    parts: Installation, version: str | None, hours: float | None, dimensions: Sequence[str], progress: Progress
) -> tuple[Outcomes, list[tuple[str, str]]]:
    """What was served, and how it turned out."""
    import numpy as np

    from headset.data.bias.group import ACCENT_PROXY, group_by, read_customers
    from headset.data.bias.live import served_turns
    from headset.data.bias.outcome import Outcomes

    model = parts.config.decision.model
    if version is not None and not version.isdecimal():
        version = parts.registry.get(model, version).version
    since = None if hours is None else parts.clock.now() - round(timedelta(hours=hours).total_seconds() * MICROSECONDS)
    progress("read the record", 0.0)
    parts.record.catch_up()
    with closing(parts.decisions.open(since=since)) as decisions:
        turns = served_turns(decisions, model, version)
    if not turns:
        raise InvalidInput("live", f"no decision of the model {model} has a label yet; agents' feedback gives them")
    customers = read_customers(
        parts.log,
        [turn.conversation_id for turn in turns],
        progress=lambda count: progress("read the record", count / len(turns)),
    )
    heard = any(ACCENT_PROXY in dimension.split("+") for dimension in dimensions)
    texts = [_text(parts, turn.conversation_id, turn.turn_id) if heard else "" for turn in turns]
    groups = group_by(dimensions, [customers.get(turn.conversation_id) for turn in turns], texts)
    outcomes = Outcomes(
        intents=np.array([turn.label for turn in turns], np.str_),
        right=np.array([turn.right for turn in turns], np.bool_),
        confidence=np.array([turn.confidence for turn in turns], np.float64),
        handed_over=np.array([turn.handed_over for turn in turns], np.bool_),
        groups={dimension: np.array(column, np.str_) for dimension, column in groups.items()},
        weights=np.array([turn.weight for turn in turns], np.float64),
    )
    span = "all time" if hours is None else f"the last {hours:g} hours"
    return outcomes, [("served", span), ("model", model if version is None else f"{model} version {version}")]


def _text(parts: Installation, conversation_id: str, turn_id: str) -> str:
    """What a turn said; nothing where that was erased."""
    from headset.events.schema import TurnReceived

    for record in parts.log.conversation(conversation_id):
        turn = record.event.payload
        if isinstance(turn, TurnReceived) and turn.turn_id == turn_id:
            try:
                return parts.vault.open(record.event.subject, turn.text)
            except TextErased:
                return ""
    return ""


def _write(report: BiasReport, target: Path, facts: list[tuple[str, str]]) -> None:
    from headset.data.bias.page import bias_page
    from headset.page.document import render

    page = render(bias_page(report, f"Who is served worse: {facts[0][1]}", facts))
    try:
        target.write_text(page, "utf-8")
    except OSError as error:
        raise StorageFailed(f"{target} cannot be written ({error.strerror}); name another file with --html") from error
    err.print(f"the page is in {target}", highlight=False, soft_wrap=True)


def _print(report: BiasReport, facts: list[tuple[str, str]]) -> None:
    from headset.data.bias.page import interval, verdict

    colours = {"fail": "red", "inconclusive": "yellow"}
    table = Table(box=None)
    for header in ("", "by", "group", "measure", "gap", "interval", "p", "n", "needs n"):
        table.add_column(header, no_wrap=header in {"", "interval", "gap", "n"})
    shown = report.of("fail") + report.of("inconclusive")
    for one in shown:
        table.add_row(
            f"[{colours[one.result]}]{one.result}[/]",
            one.dimension,
            escape(one.group),
            one.measure,
            "–" if one.gap is None else f"{one.gap * 100:.1f}",
            interval(one),
            "–" if one.p is None else f"{one.p:.2g}",
            str(one.n),
            "" if one.needs_n is None else str(one.needs_n),
        )
    if shown:
        out.print(table)
        out.print("gaps in percentage points, p adjusted for all tests; --json and --html tell all", highlight=False)
    for term, fact in facts:
        out.print(f"{term}: {fact}", markup=False, highlight=False, soft_wrap=True)
    for dimension, why in report.left_out.items():
        out.print(f"left out: {dimension}, {why}", markup=False, highlight=False)
    out.print(f"{report.result}: {verdict(report)}", markup=False, highlight=False, soft_wrap=True)
