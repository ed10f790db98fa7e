from __future__ import annotations

from headset.data.bias.page import bias_page
from headset.data.bias.report import RECALL, BiasReport, Finding
from headset.page.document import Picture, render


def report(groups):
    findings = [
        Finding(
            dimension="region", group=group, measure=RECALL, result="pass", gap=number / 1_000, low=-0.01, high=0.2,
            p=1.0, value=0.9, rest=0.9, n=20, n_rest=200, needs_n=None,
        )
        for number, group in enumerate(groups)
    ]  # fmt: skip
    return BiasReport(result="pass", margin=0.3, level=0.05, n=220, tests=1, findings=findings, figures=[], left_out={})


def test_names_that_look_like_formulas_are_drawn_as_they_are():
    assert "data:image/png" in render(bias_page(report(["$x_{$", r"$\\frac$"]), "Bias", []))


def test_of_very_many_groups_the_worst_are_drawn():
    page = bias_page(report([f"r{number}" for number in range(3_000)]), "Bias", [])
    caption = next(block.caption for block in page.blocks if isinstance(block, Picture))
    assert "Of 3,000 groups, the 60 that are served worst." in caption
