"""The pages of checks and profile, and what the terminal shows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
from rich.console import Group
from rich.table import Table as Terminal
from rich.text import Text

from headset.data.quality.picture import draw_bars, draw_days, draw_findings, draw_lengths
from headset.page.document import Fold, Heading, Page, Paragraph, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from headset.data.quality.check import DataReport
    from headset.data.quality.finding import Finding
    from headset.data.quality.profile import DataProfile
    from headset.data.quality.table import LabelledTable
    from headset.page.document import Block

_OPEN = frozenset({"warn", "fail"})
_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red", "skipped": "dim"}
_TEXT_SHOWN = 300
_ROWS_SHOWN = 25
_FEW_DAYS = 2


def render_checks(report: DataReport) -> RenderableType:
    """The findings as a table for the terminal; no text of any person."""
    table = Terminal(box=None, pad_edge=False)
    for header in ("check", "mark", "value", "warn", "fail"):
        table.add_column(header, no_wrap=True)
    table.add_column("what was found")
    skipped: dict[str, list[str]] = {}
    for each in report.findings:
        if each.mark == "skipped":
            skipped.setdefault(each.summary, []).append(each.check)
            continue
        row = (each.check, each.mark, _value(each), f"{each.warn:g}", f"{each.fail:g}", each.summary)
        table.add_row(*(Text(cell, _STYLES[each.mark] if column == 1 else "") for column, cell in enumerate(row)))
    left_out = [Text(f"skipped: {', '.join(checks)}: {why}", "dim") for why, checks in skipped.items()]
    named = [Text(f"{each.check}, {each.mark}: {_to_act(each)}") for each in report.findings if each.mark in _OPEN]
    return Group(table, *left_out, *named, Text(f"{report.name}: {report.mark}; {lead(report)}", _STYLES[report.mark]))


def _to_act(finding: Finding) -> str:
    """Who owns it, and the first rows to look at."""
    if not finding.rows:
        return f"for {finding.owner}"
    return f"for {finding.owner}; first rows {', '.join(finding.rows[:3])}{' …' if finding.row_count > 3 else ''}"


def lead(report: DataReport) -> str:
    """The outcome in a sentence."""
    failed = [each.check for each in report.findings if each.mark == "fail"]
    warned = [each.check for each in report.findings if each.mark == "warn"]
    if failed:
        return f"do not train on it before this is settled: {', '.join(failed)}"
    return f"fit to train on; look at: {', '.join(warned)}" if warned else "fit to train on"


def checks_page(report: DataReport, table: LabelledTable, test: LabelledTable | None) -> Page:
    """The report as a page, with the texts of rows to blame; they were redacted when they came in."""
    facts = [("rows", f"{report.rows:,}"), ("texts looked at", f"{report.looked_at:,}")]
    facts += [("test data", report.test)] if report.test else []
    facts += [("reference", report.reference)] if report.reference else []
    summary = Table(
        ("check", "mark", "value", "of what", "warn", "fail", "owner"),
        [(each.check, each.mark, each.value, each.unit, each.warn, each.fail, each.owner) for each in report.findings],
    )
    blocks: list[Block] = [
        draw_findings(
            report.findings, "Each value as a part of the limit it would fail at; checks past the line fail."
        ),
        summary,
    ]
    order = ("fail", "warn", "pass", "skipped")
    for each in sorted(report.findings, key=lambda finding: order.index(finding.mark)):
        blocks += _finding(each, table, test)
    lengths = table.frame["text"].drop_nulls().str.len_chars().to_list()
    blocks.append(Heading("The data"))
    if lengths:
        blocks.append(draw_lengths(lengths, "Lengths of texts; the line is the median."))
    blocks.append(draw_bars(_named(table.labels), "Rows by label."))
    return Page(f"Data of {report.name}", report.mark, f"{lead(report).capitalize()}.", facts, blocks)


def _finding(finding: Finding, table: LabelledTable, test: LabelledTable | None) -> Iterator[Block]:
    if finding.mark in {"pass", "skipped"} and not finding.rows:
        return
    yield Heading(finding.check, finding.mark)
    yield Paragraph(f"{finding.summary[:1].upper()}{finding.summary[1:]}. Owner: {finding.owner}.")
    if finding.parts:
        shown = list(finding.parts.items())[:_ROWS_SHOWN]
        yield Table(("part", "value"), shown)
    if not finding.rows:
        return
    source = test if "leakage" in finding.check and test is not None else table
    wanted = pl.DataFrame({"id": finding.rows[:_ROWS_SHOWN]})
    rows = wanted.join(source.frame, on="id", how="left", maintain_order="left").select("id", "label", "text")
    cells = [(place, label, (text or "")[:_TEXT_SHOWN]) for place, label, text in rows.iter_rows()]
    yield Fold(f"{len(cells)} of {finding.row_count} rows", [Table(("row", "label", "text"), cells)])


def render_profile(profile: DataProfile) -> RenderableType:
    """The profile for the terminal."""
    table = Terminal(show_header=False, box=None, pad_edge=False)
    for name, value in _facts(profile):
        table.add_row(name, Text(value))
    labels = Terminal("label", "rows", "share", "median length")
    for each in profile.labels[:_ROWS_SHOWN]:
        length = "–" if each.median_length is None else f"{each.median_length:g}"
        labels.add_row(Text(each.label or "(none)"), str(each.rows), f"{each.ratio:.1%}", length)
    rest = len(profile.labels) - _ROWS_SHOWN
    return Group(table, "", labels, *([Text(f"and {rest} more; --json and --html name them all")] if rest > 0 else []))


def profile_page(profile: DataProfile, table: LabelledTable) -> Page:
    """The profile as a page with pictures."""
    lengths = table.frame["text"].drop_nulls().str.len_chars().to_list()
    blocks: list[Block] = []
    if lengths:
        blocks += [Heading("Lengths"), draw_lengths(lengths, "Lengths of texts; the line is the median.")]
        quantiles = [(f"{float(name):.0%}", value, profile.words[name]) for name, value in profile.lengths.items()]
        blocks.append(Table(("quantile", "characters", "words"), quantiles))
    blocks += [
        Heading("Labels"),
        draw_bars({each.label or "(none)": each.rows for each in profile.labels}, "Rows by label."),
    ]
    rows = [(each.label or "(none)", each.rows, each.ratio, each.median_length) for each in profile.labels]
    blocks.append(Fold("all labels", [Table(("label", "rows", "share", "median length"), rows)]))
    for name, counts in (
        ("Languages, recognised", profile.recognised_languages),
        ("Languages, stated", profile.languages),
        ("Channels", profile.channels),
        ("Queues", profile.queues),
        ("Customers", profile.attributes),
        ("Frequent words", profile.common_words),
    ):
        if counts:
            blocks += [Heading(name), draw_bars(counts, f"Texts by {name.lower().partition(',')[0].rstrip('s')}.")]
    if len(profile.days) >= _FEW_DAYS:
        blocks += [Heading("Days"), draw_days(profile.days, "Texts by day, UTC.")]
    said = f"{profile.rows:,} texts of {len(profile.labels)} labels."
    return Page(f"Profile of {profile.name}", None, said, list(_facts(profile)), blocks)


def _facts(profile: DataProfile) -> Iterator[tuple[str, str]]:
    sampled = f", {profile.looked_at:,} of them looked at" if profile.looked_at < profile.rows else ""
    yield "rows", f"{profile.rows:,}{sampled}"
    if profile.erased:
        yield "erased", f"{profile.erased:,}"
    yield "labels", f"{len(profile.labels)}"
    yield "repeated texts", f"{profile.duplicates:,} ({profile.duplicates / max(profile.rows, 1):.1%})"
    if profile.lengths:
        yield "median length", f"{profile.lengths['0.5']:g} characters, {profile.words['0.5']:g} words"
    yield "vocabulary", f"{profile.vocabulary:,} words, {profile.once:,} of them once"
    yield "languages", _list(profile.recognised_languages)
    yield "channels", _list(profile.channels) or "not stated"
    if profile.first_time and profile.last_time:
        yield "time", f"{profile.first_time[:10]} to {profile.last_time[:10]}"


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:8])


def _named(labels: Mapping[str, int]) -> dict[str, float]:
    return {label or "(none)": count for label, count in labels.items()}


def _value(finding: Finding) -> str:
    if finding.value is None:
        return "–"
    return f"{finding.value:,.0f}" if finding.value >= 1_000 else f"{finding.value:.3g}"
