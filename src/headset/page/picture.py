"""Figures of reports: one size of type, colours that colour-blind people tell apart, PNG out."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PINK, SKY, RED, YELLOW = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442",
)  # fmt: skip
"""After Okabe and Ito, "Color universal design", 2008."""

INK = "#222222"
GREY = "#777777"

_DOTS_PER_INCH = 150


def make_figure(width: float = 8.0, height: float = 3.5) -> tuple[Figure, Axes]:
    """A figure of one panel, in inches, without a frame."""
    figure = Figure(figsize=(width, height), dpi=_DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    bare(axes)
    return figure, axes


def bare(axes: Axes) -> None:
    """Leave of a panel's frame what helps reading."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(visible=True, color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)


def png(figure: Figure) -> bytes:
    """The figure as PNG; equal figures give equal bytes."""
    stream = io.BytesIO()
    with warnings.catch_warnings():  # characters that no font has are drawn as boxes
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(stream, format="png", facecolor="white", metadata={"Software": None})
    return stream.getvalue()
