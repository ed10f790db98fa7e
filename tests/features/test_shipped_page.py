from __future__ import annotations

import write_shipped_features


def test_the_page_lists_what_is_shipped():
    page = write_shipped_features.PAGE.read_text("utf-8")
    section = page.partition(write_shipped_features.HEADING)[2]
    assert section == write_shipped_features.section(), "run tools/write_shipped_features.py"
