"""Limits: what is shipped, and what a file says instead."""

from __future__ import annotations

import pytest

from headset.core.errors import InvalidInput, NotFound
from headset.data.quality.limit import SHIPPED, Ceiling, Floor, read_limits, read_limits_text


def test_what_a_file_leaves_out_stays_as_shipped():
    limits = read_limits_text('[near_duplicates]\nfail = 0.5\nowner = "ann"\n', "mine.toml")
    assert limits.near_duplicates.fail == 0.5
    assert limits.near_duplicates.owner == "ann"
    assert limits.near_duplicates.similarity == SHIPPED.near_duplicates.similarity
    assert limits.leakage == SHIPPED.leakage


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[duplicats]\nfail = 1", "duplicats"),
        ("[duplicates]\nfial = 1", "fial"),
        ("[duplicates]\nfail = -1", ">= 0"),
        ("[duplicates]\nfail = 0.01", "warn is 0.05, above fail, 0.01"),
        ("[volume]\nfail = 1000", "warn is 500, below fail, 1000"),
        ("[duplicates\n", "mine.toml holds no limits"),
        ("duplicates = 3", "mine.toml holds no limits"),
    ],
)
def test_a_mistake_in_a_file_is_named(text, problem):
    with pytest.raises(InvalidInput, match=r"limits: mine\.toml") as raised:
        read_limits_text(text, "mine.toml")
    assert problem in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotFound, match="is not there"):
        read_limits(tmp_path / "none.toml")


def test_a_value_at_its_limit_is_within():
    assert Ceiling(warn=1, fail=2).judge(2) == "warn"
    assert Ceiling(warn=1, fail=2).judge(1) == "pass"
    assert Floor(warn=2, fail=1).judge(1) == "warn"
    assert Floor(warn=2, fail=1).judge(0.5) == "fail"
