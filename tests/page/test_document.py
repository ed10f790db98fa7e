"""Pages of reports."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headset.page.document import Fold, Heading, Page, Paragraph, Picture, Table, render
from headset.page.picture import make_figure, png


@given(st.text())
def test_no_text_can_break_out_of_its_place(text):
    hostile = f"<script>{text}</script>\"'>&"
    blocks = [
        Heading(hostile, "fail"),
        Paragraph(hostile),
        Table([hostile], [[hostile]], hostile),
        Picture(b"png", hostile),
        Fold(hostile, [Paragraph(hostile)]),
    ]
    told = render(Page(hostile, "pass", hostile, [(hostile, hostile)], blocks))
    assert "<script" not in told
    assert told.count("<h2>") == told.count("<figure>") == told.count("<details>") == 1


def test_a_page_fetches_nothing():
    figure, axes = make_figure()
    axes.plot([0, 1])
    told = render(Page("a", None, "b", [], [Picture(png(figure), "a line")]))
    assert "http:" not in told
    assert "https:" not in told
    assert "default-src 'none'" in told


def test_marks_are_shown_as_words_and_numbers_stand_to_the_right():
    told = render(Page("a", "warn", "b", [], [Table(["what", "how many"], [["fail", 1234], ["plain", 5]])]))
    assert '<span class="mark fail">fail</span>' in told
    assert '<td class="n">1,234</td>' in told
    assert "<td>plain</td>" in told


def test_equal_figures_give_equal_bytes():
    def draw():
        figure, axes = make_figure()
        axes.bar(["a", "b"], [1, 2])
        return png(figure)

    assert draw() == draw()
