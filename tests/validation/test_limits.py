from __future__ import annotations

import pytest
from msgspec.structs import replace

from headset.core.errors import InvalidInput, NotFound
from headset.validation.limits import DEFAULT, Limits, change_limits, changed_limits, read_limits, read_limits_text


def test_what_a_file_leaves_out_is_as_shipped(tmp_path):
    (tmp_path / "limits.toml").write_text("auroc = 0.9\n")
    assert read_limits(tmp_path / "limits.toml") == replace(DEFAULT, auroc=0.9)


@pytest.mark.parametrize("text", ["auroc = 2", "aurok = 0.9", "auroc =", "margin = 0", "rows = 'many'"])
def test_unknown_names_and_values_are_refused(text):
    with pytest.raises(InvalidInput, match=r"limits\.toml"):
        read_limits_text(text, "limits.toml")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(NotFound, match=r"none\.toml"):
        read_limits(tmp_path / "none.toml")


def test_limits_are_changed_within_their_ranges():
    changed = change_limits(Limits(auroc=0.9), {"margin": 0.02, "suite_cases": 80}, "here")
    assert changed == Limits(auroc=0.9, margin=0.02, suite_cases=80)
    assert changed_limits(changed) == {"auroc": 0.9, "margin": 0.02, "suite_cases": 80.0}
    for wrong in ({"margin": -1.0}, {"suite_cases": 80.5}, {"magrin": 0.1}, {"margin": float("nan")}):
        with pytest.raises(InvalidInput, match="here holds no limits"):
            change_limits(DEFAULT, wrong, "here")


def test_a_file_changes_the_limits_of_the_installation(tmp_path):
    (tmp_path / "limits.toml").write_text("auroc = 0.9\n")
    assert read_limits(tmp_path / "limits.toml", Limits(margin=0.02)) == Limits(margin=0.02, auroc=0.9)


def test_every_limit_is_described(root):
    page = (root / "docs" / "validation.md").read_text("utf-8")
    assert [name for name in Limits.__struct_fields__ if f"`{name}`" not in page] == []
