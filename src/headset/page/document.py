"""A report as one HTML file: no script, nothing fetched, readable on paper, by screen readers and in the dark."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Literal

from msgspec import Struct

Mark = Literal["pass", "warn", "fail", "inconclusive", "skipped"]
"""How a finding stands: said in words and in colour."""


class Heading(Struct, frozen=True):
    """The title of what follows, with how it stands, if that is to be said."""

    text: str
    mark: Mark | None = None


class Paragraph(Struct, frozen=True):
    """A sentence or more."""

    text: str


class Table(Struct, frozen=True):
    """Rows of cells; a cell that is a mark (``pass``, ``fail`` …) is shown as one, numbers stand to the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    caption: str = ""


class Picture(Struct, frozen=True):
    """A PNG, with what it shows in words for whoever cannot see it."""

    png: bytes
    caption: str


class Fold(Struct, frozen=True):
    """Details that open at a click or the press of a key."""

    summary: str
    blocks: "Sequence[Block]"


Block = Heading | Paragraph | Table | Picture | Fold


class Page(Struct, frozen=True):
    """A report.

    Attributes:
        title: Of the page.
        mark: How the whole stands; None where there is nothing to judge.
        lead: The answer, in a sentence or two.
        facts: What the report is about: name and value.
        blocks: The rest, in order.
    """

    title: str
    mark: Mark | None
    lead: str
    facts: Sequence[tuple[str, str]]
    blocks: Sequence[Block]


_STYLE = """
:root{color-scheme:light dark;--ink:#1d2329;--soft:#5b6570;--line:#d9dee3;--paper:#fff;--shade:#f5f7f9;
--pass:#00734f;--warn:#8a5a00;--fail:#b02a0c;--inconclusive:#5a4a8a;--skipped:#5b6570}
@media(prefers-color-scheme:dark){:root{--ink:#e6eaee;--soft:#a3adb8;--line:#38414a;--paper:#14181c;--shade:#1d2329;
--pass:#4cc79a;--warn:#e5b04d;--fail:#ff8f73;--inconclusive:#b9a8f0;--skipped:#a3adb8}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:60rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem}h2{font-size:1.15rem;margin:2rem 0 .5rem;
border-top:1px solid var(--line);padding-top:1rem}
.lead{font-size:1.05rem}dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:1rem 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.scroll{overflow-x:auto}table{border-collapse:collapse;margin:.5rem 0;font-size:.9rem}
caption{text-align:left;color:var(--soft);padding:.2rem 0}
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere}
td:first-child{overflow-wrap:break-word}
th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.mark{font-weight:600;white-space:nowrap}.mark::before{content:"\\25CF\\A0"}
.pass{color:var(--pass)}.warn{color:var(--warn)}.fail{color:var(--fail)}
.inconclusive{color:var(--inconclusive)}.skipped{color:var(--skipped)}
figure{margin:1rem 0}img{max-width:100%;height:auto;background:#fff}figcaption{color:var(--soft);font-size:.9rem}
details{margin:.5rem 0;background:var(--shade);padding:.4rem .8rem}summary{cursor:pointer}
@media print{body{max-width:none;margin:0}details{break-inside:avoid}}
"""

_MARKS: frozenset[str] = frozenset(("pass", "warn", "fail", "inconclusive", "skipped"))


def render(page: Page) -> str:
    """The page as HTML; equal pages give equal text.

    >>> "<h1>Data of bank" in render(Page("Data of bank", "pass", "Nothing is wrong.", [], []))
    True
    """
    mark = f" {_mark(page.mark)}" if page.mark else ""
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in page.facts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:;'
        " style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style></head>\n<body><main>"
        f'<h1>{escape(page.title)}{mark}</h1>\n<p class="lead">{escape(page.lead)}</p>\n'
        f"{f'<dl>{facts}</dl>' if facts else ''}\n{_blocks(page.blocks)}\n</main></body></html>\n"
    )


def _blocks(blocks: Sequence[Block]) -> str:
    return "\n".join(map(_block, blocks))


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"<h2>{escape(block.text)}{f' {_mark(block.mark)}' if block.mark else ''}</h2>"
        case Paragraph():
            return f"<p>{escape(block.text)}</p>"
        case Table():
            return _table(block)
        case Picture():
            source = b64encode(block.png).decode("ascii")
            caption = escape(block.caption)
            return (
                f'<figure><img alt="{caption}" src="data:image/png;base64,{source}">'
                f"<figcaption>{caption}</figcaption></figure>"
            )
        case Fold():
            return f"<details><summary>{escape(block.summary)}</summary>{_blocks(block.blocks)}</details>"


def _table(table: Table) -> str:
    numeric = [
        bool(table.rows) and all(isinstance(row[column], int | float | None) for row in table.rows)
        for column in range(len(table.header))
    ]
    classes = [' class="n"' if right else "" for right in numeric]
    header = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(table.header, classes, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(f'<td{kind}>{_cell(cell)}</td>' for cell, kind in zip(row, classes, strict=True))}</tr>"
        for row in table.rows
    )
    caption = f"<caption>{escape(table.caption)}</caption>" if table.caption else ""
    return f'<div class="scroll"><table>{caption}<thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(cell: str | float | None) -> str:
    match cell:
        case None:
            return "–"
        case bool():
            return "yes" if cell else "no"
        case int():
            return f"{cell:,}"
        case float():
            return f"{cell:,.4g}"
        case str():
            return _mark(cell) if cell in _MARKS else escape(cell)


def _mark(mark: str) -> str:
    return f'<span class="mark {mark}">{mark}</span>'
