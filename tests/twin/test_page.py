from __future__ import annotations

import write_twin_texts


def test_the_page_shows_what_the_twin_says_now():
    page = write_twin_texts.PAGE.read_text("utf-8")
    section = page[page.index(write_twin_texts.HEADING) :]
    assert section == write_twin_texts.samples(), "run tools/write_twin_texts.py"
    assert section.count("    → ") == 9 * write_twin_texts.COUNT
