"""A comparison of encoders as sentences, as a picture, as a page, and for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table as Sheet
from rich.text import Text

from headset.page.document import Block, Heading, Page, Paragraph, Picture, Table
from headset.page.picture import BLUE, GREEN, INK, ORANGE, PINK, bare, make_figure, png
from headset.training.baseline import SIGNIFICANT

if TYPE_CHECKING:
    from rich.console import RenderableType

    from headset.training.encoder_comparison import EncoderComparison, EncoderResult

_COLOURS = (BLUE, ORANGE, GREEN, PINK)
_HEADER = (
    "encoder", "accuracy", "95 % interval", "macro-F1", "unknown topics, AUROC", "calibration error", "answered alone",
    "right of those", "ms of CPU a turn", "training, s",
)  # fmt: skip
_CAPTION = (
    "Quality against cost, one point per encoder; bars are 95 % intervals; the cost is CPU of encoder and scorer."
)


def verdicts(found: EncoderComparison) -> list[str]:
    """What a queue would win and pay with each further encoder, in a sentence."""
    first, *others = found.results
    told = [_verdict(found, first, other) for other in others]
    told += [f"{name} was not compared: {why}." for name, why in found.absent.items()]
    return told


def choice(found: EncoderComparison) -> list[str]:
    """The lines that give a further encoder to a queue; none where there is only the default."""
    if len(found.results) == 1:
        return []
    name = found.results[-1].encoder
    return [
        f'fine.toml, the recipe:         encoder = "{name}"',
        f"train a second model:          headset train intent --data {found.dataset} --as fine --recipe fine.toml",
        'headset.toml, under [decision]: queue_models = { email = "fine" }',
    ]  # fmt: skip


def draw_encoders(found: EncoderComparison) -> bytes:
    """Accuracy and out-of-scope AUROC against milliseconds a turn."""
    figure, left = make_figure(8.0, 3.2)
    left.remove()
    panels = [figure.add_subplot(1, 2, place) for place in (1, 2)]
    for axes, title in zip(panels, ("accuracy, %", "unknown topics told apart, AUROC, %"), strict=True):
        bare(axes)
        axes.set_xscale("log")
        axes.set_xlabel("milliseconds of CPU a turn", fontsize=8, color=INK)
        axes.set_title(title, fontsize=9, color=INK, loc="left")
        axes.margins(0.35, 0.35)
    for each, colour in zip(found.results, _COLOURS, strict=False):
        metrics, cost = each.metrics, each.ms_per_turn
        middle = 100 * metrics.accuracy
        spread = [[middle - 100 * metrics.accuracy_low], [100 * metrics.accuracy_high - middle]]
        panels[0].errorbar(cost, middle, yerr=spread, fmt="o", color=colour, capsize=3)
        panels[1].plot(cost, 100 * each.scope_auroc, "o", color=colour)
        for axes, height in zip(panels, (middle, 100 * each.scope_auroc), strict=True):
            label = f"{each.encoder}\n{height:.1f} % · {cost:.2g} ms"
            axes.annotate(label, (cost, height), (7, 3), textcoords="offset points", fontsize=8, color=INK)
    return png(figure)


def make_page(found: EncoderComparison, drawn: bytes) -> Page:
    """The page of a comparison."""
    facts = [
        ("learned from", f"{found.dataset}, {found.rows:,} texts of {found.labels} intents"),
        ("measured on", f"{found.test}, {found.test_rows:,} texts"),
        ("unknown topics", f"{len(found.left_out)} of {found.labels} intents left out of a training of its own"),
        ("target precision", f"{found.target_precision:.0%}"),
        ("seed", str(found.seed)),
    ]
    lead = " ".join(verdicts(found)) or "Only the default encoder is here."
    chosen: list[Block] = [Heading("To give it to a queue"), *map(Paragraph, choice(found))] if choice(found) else []
    return Page(
        f"Encoders on {found.dataset}",
        None,
        lead,
        facts,
        [Picture(drawn, _CAPTION), Table(_HEADER, [_cells(each) for each in found.results]), *chosen],
    )


def render(found: EncoderComparison) -> RenderableType:
    """The comparison as a person reads it."""
    sheet = Sheet("", *(each.encoder for each in found.results), box=None, pad_edge=False)
    columns = [_cells(each) for each in found.results]
    for place, name in enumerate(_HEADER[1:], 1):
        sheet.add_row(name, *(column[place] for column in columns))
    return Group(sheet, "", *map(Text, verdicts(found)), "", *map(Text, choice(found)))


def _verdict(found: EncoderComparison, first: EncoderResult, other: EncoderResult) -> str:
    pair, was, now = found.paired[other.encoder], first.metrics, other.metrics
    apart = "beyond chance" if pair.p_value < SIGNIFICANT else "which may be chance"
    return (
        f"{other.encoder} against {first.encoder}: accuracy {100 * (now.accuracy - was.accuracy):+.1f} points"
        f" ({100 * was.accuracy:.1f} to {100 * now.accuracy:.1f} %; exact McNemar p = {pair.p_value:.2g}, {apart}),"
        f" unknown topics {100 * (other.scope_auroc - first.scope_auroc):+.1f} points of AUROC,"
        f" answered alone {100 * (now.automatic_ratio - was.automatic_ratio):+.1f} points of texts;"
        f" {other.ms_per_turn:.2g} ms of CPU a turn instead of {first.ms_per_turn:.2g}."
    )


def _cells(each: EncoderResult) -> tuple[str, ...]:
    metrics = each.metrics
    return (
        each.encoder,
        f"{100 * metrics.accuracy:.1f} %",
        f"{100 * metrics.accuracy_low:.1f} to {100 * metrics.accuracy_high:.1f} %",
        f"{100 * metrics.macro_f1:.1f} %",
        f"{100 * each.scope_auroc:.1f} %",
        f"{metrics.calibration_error:.3f}",
        f"{100 * metrics.automatic_ratio:.1f} %",
        f"{100 * metrics.automatic_precision:.1f} %",
        f"{each.ms_per_turn:.2f}",
        f"{each.training_s:.0f}",
    )
