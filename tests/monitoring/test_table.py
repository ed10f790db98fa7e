"""The table for the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from headset.monitoring.report import Latency, ModelReport, Share
from headset.monitoring.table import render

NOTHING = Share(0, 0, None, None, None)


@pytest.fixture
def drawn():
    def draw(*reports):
        screen = io.StringIO()
        Console(file=screen, width=120).print(render(reports))
        return screen.getvalue()

    return draw


@pytest.fixture
def plain():
    return ModelReport(
        model="intent",
        model_version="3",
        shadow=False,
        decisions=3080,
        accuracy=Share(2860, 3080, 0.92857, 0.9189, 0.9372),
        calibration_error=0.0123,
        override=NOTHING,
        acceptance=Share(1, 4, 0.25, 0.05, 0.7),
        edited=NOTHING,
        edit_distance=None,
        containment=NOTHING,
        to_human=Share(2, 3080, 0.00065, 0, 0.01),
        human_reasons={"sentiment": 2},
        automation=NOTHING,
        latency_ms=Latency(1.5, 3.25, 9.0),
        per_second=None,
        peak_per_minute=1200,
        errors=NOTHING,
        degraded=NOTHING,
    )


def line(text, start):
    (found,) = [line for line in text.splitlines() if start in line]
    return found


def test_each_kpi_has_a_line_and_each_version_a_column(drawn, plain):
    text = drawn(plain)
    assert "intent 3" in text
    assert "92.86% (91.9% to 93.7%) of 3,080" in line(text, "accuracy")
    assert "25.0% of 4" in line(text, "acceptance")
    assert "1.5 / 3.2 / 9.0" in line(text, "latency")
    assert "sentiment 2" in text


def test_a_dash_stands_where_nothing_was_counted(drawn, plain):
    text = drawn(plain)
    for start in ("override", "edited", "edit distance", "containment", "per second"):
        assert "–" in line(text, start)


def test_an_empty_window_says_so(drawn):
    assert "No decisions" in drawn()
