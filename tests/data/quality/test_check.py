"""Each corruption is caught by the check that is meant for it, and clean data pass."""

from __future__ import annotations

from io import StringIO

import msgspec
import polars as pl
import pytest
from rich.console import Console

from headset.data.quality.check import Beside, DataReport, check_data
from headset.data.quality.limit import read_limits_text
from headset.data.quality.profile import profile_data
from headset.data.quality.report import render_checks
from headset.page.document import render

DAY_US = 86_400_000_000
NOW = 1_790_000_000_000_000


def marks(report):
    return {each.check: each.mark for each in report.findings}


def test_clean_data_pass_and_no_finding_holds_a_text(check, rows, test_table, reference):
    rows[0]["text"] = "lorem ipsum !!!"
    report = check(rows, test=test_table, reference=reference)
    assert {name: mark for name, mark in marks(report).items() if mark in {"fail", "skipped"}} == {}
    encoded = msgspec.json.encode(report)
    assert b"lorem" not in encoded
    assert msgspec.json.decode(encoded, type=DataReport) == report


def test_the_table_names_who_is_to_act_and_only_rows_there_are(check, rows):
    rows[0]["text"] = ""
    report = check([row | {"time": NOW - 800 * DAY_US} for row in rows])
    console = Console(width=80, record=True, file=StringIO())
    console.print(render_checks(report))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("empty, warn: for ") and "first rows " in line for line in lines)
    assert any(line.startswith("freshness, fail: for ") and "first rows" not in line for line in lines)
    assert any(line.startswith("skipped: ") and "volume_change" in line for line in lines)


@pytest.mark.parametrize("name", ["label_noise", "outliers", "near_duplicates"])
def test_equal_data_give_an_equal_finding(check, rows, name):
    assert check(rows, name) == check(rows, name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("schema", {"label": "two\nlines"}),
        ("empty", {"text": None}),
        ("empty", {"text": " N/A "}),
        ("empty", {"label": ""}),
        ("ranges", {"text": "!!! 123"}),
        ("ranges", {"text": "why " * 5_000}),
        ("ranges", {"time": NOW + 3 * DAY_US}),
        ("ranges", {"time": 5}),
    ],
)
def test_a_row_that_cannot_be_is_named(check, rows, name, change):
    ids = {f"{number}" for number in (3, 5, 7, 9, 11)}
    changed = [{"id": str(number), **row, **(change if str(number) in ids else {})} for number, row in enumerate(rows)]
    finding = check(changed, name)
    assert finding.mark != "pass"
    assert set(finding.rows) == ids


def test_one_label_or_none_is_too_few(check, rows):
    assert check([row | {"label": "only"} for row in rows], "labels").mark == "fail"
    assert check([row | {"label": "only"} for row in rows], "label_noise").mark == "skipped"


def test_no_row_at_all_fails_without_an_error(check, test_table, reference):
    report = check([], test=test_table, reference=reference)
    assert marks(report)["volume"] == marks(report)["labels"] == "fail"


def test_equal_texts_throughout_fail(check, rows):
    same = [row | {"text": "same again and again"} for row in rows]
    assert check(same, "duplicates").mark == "fail"
    conflicts = check(same, "conflicts")
    assert (conflicts.mark, len(conflicts.rows)) == ("fail", 100)


def test_a_label_that_nobody_agreed_on_fails_until_it_is_allowed(check, rows, reference):
    changed = [row | {"label": "misc"} if number < 10 else row for number, row in enumerate(rows)]
    assert check(changed, "unseen", reference=reference).mark == "fail"
    allowed = read_limits_text('[unseen]\nallowed = ["misc"]', "mine.toml")
    assert check(changed, "unseen", reference=reference, limits=allowed).mark == "pass"


def test_a_label_the_champion_does_not_know_warns_at_most(check, rows):
    finding = check(rows, "unseen", champion=("other",))
    assert finding.mark == "warn"


def test_a_label_only_in_the_test_data_fails(check, rows, test_table):
    taught = [row for row in rows if row["label"] != test_table.frame["label"][0]]
    assert check(taught, "unseen", test=test_table).mark == "fail"


def test_a_label_that_is_gone_fails(check, rows, reference):
    gone = rows[0]["label"]
    finding = check([row for row in rows if row["label"] != gone], "vanished", reference=reference)
    assert (finding.mark, list(finding.parts)) == ("fail", [gone])


def test_another_mix_of_labels_fails(check, rows, reference):
    first = rows[0]["label"]
    tilted = [row for number, row in enumerate(rows) if row["label"] == first or number % 60 == 0]
    assert check(tilted, "balance", reference=reference).mark == "fail"
    assert check(rows, "balance", reference=reference).mark == "pass"


def test_repeated_and_nearly_repeated_rows_fail(check, rows):
    assert check(rows + rows[:200], "duplicates").mark == "fail"
    near = [row | {"text": f"hi {row['text']}!"} for row in rows[:250]]
    assert check(rows + near, "near_duplicates").mark == "fail"
    assert check(rows + near, "duplicates").mark == "pass"


def test_test_rows_in_the_data_fail(check, rows, test_table):
    leaked = test_table.frame.head(10).select("text", "label").to_dicts()
    finding = check(rows + leaked, "leakage", test=test_table)
    assert finding.mark == "fail"
    assert set(test_table.frame.head(10)["id"]) <= set(finding.rows)
    near = [row | {"text": f"{row['text']} !"} for row in test_table.frame.head(20).select("text", "label").to_dicts()]
    assert check(rows + near, "near_leakage", test=test_table).mark == "fail"


def test_wrong_labels_fail_and_are_named_first(check, rows, reference):
    labels = sorted({row["label"] for row in rows})
    wrong = {str(number) for number in range(0, len(rows), 6)}
    changed = [
        {"id": str(number), **row}
        | ({"label": labels[(labels.index(row["label"]) + 9) % 29]} if str(number) in wrong else {})
        for number, row in enumerate(rows)
    ]
    finding = check(changed, "label_noise", reference=reference)
    assert finding.mark == "fail"
    assert sum(place in wrong for place in finding.rows[:30]) >= 15  # a sixth of all rows is wrong


def test_texts_in_another_language_than_stated_fail(check, rows):
    german = [row | {"text": "Warum ist meine Karte noch nicht da?", "language": "en"} for row in rows[:60]]
    finding = check(rows + german, "language")
    assert (finding.mark, finding.parts["de"]) == ("fail", 60)


def test_where_nobody_states_a_language_others_are_told_and_block_nothing(check, rows):
    silent = [{"text": row["text"], "label": row["label"]} for row in rows]
    assert check(silent, "language").mark == "warn"
    expected = read_limits_text('[language]\nexpected = ["en"]', "mine.toml")
    assert check(silent, "language", limits=expected).mark == "fail"


def test_log_lines_are_outliers(check, rows, reference):
    lines = [row | {"text": f"2027-01-01T00:{n:02}Z ERROR [{n * 7_919:x}] rc={n}"} for n, row in enumerate(rows[:60])]
    finding = check(lines + rows[60:], "outliers", reference=reference)
    assert finding.mark == "fail"


def test_a_cut_off_export_and_old_data_fail(check, rows, reference):
    assert check(rows[:200], "volume_change", reference=reference).mark == "fail"
    old = [row | {"time": NOW - 900 * DAY_US} for row in rows]
    assert check(old, "freshness").mark == "fail"


def test_a_sample_says_so(make, encoder, rows):
    table = make([row | {"text": f"{row['text']} q{chr(97 + n)}"} for row in rows for n in range(4)], limit=300)
    report = check_data(table, encoder=encoder, now=NOW, beside=Beside(), only=("near_duplicates", "volume"))
    assert (report.rows, report.looked_at < 400) == (2_400, True)
    assert "--rows" in report.finding("near_duplicates").summary


def test_pages_show_pictures_and_escape_texts(check, make, rows, test_table):
    from headset.data.quality.report import checks_page, profile_page  # noqa: PLC0415

    rows[0]["text"] = "<script>alert(1)</script> is my bill wrong"
    changed = [*rows, rows[0]]
    table = make(changed)
    for page in (
        render(checks_page(check(changed, test=test_table), table, test_table)),
        render(profile_page(profile_data(table), table)),
    ):
        assert "data:image/png" in page
        assert "<script" not in page


def test_a_profile_of_nothing_is_empty(make):
    profile = profile_data(make([]))
    assert (profile.rows, profile.lengths, profile.first_time) == (0, {}, None)


def test_a_profile_counts(make):
    rows = [
        {
            "text": "My bill is wrong",
            "label": "bill",
            "time": NOW,
            "channel": "chat",
            "attributes": "region=north,tenure=new",
        },
        {
            "text": "my bill is  wrong",
            "label": "bill",
            "time": NOW + DAY_US,
            "channel": "chat",
            "attributes": "region=south",
        },
        {"text": "Wo ist meine Karte?", "label": "card", "time": NOW, "channel": "email", "attributes": None},
    ]
    profile = profile_data(make(rows))
    assert (profile.rows, profile.duplicates, profile.channels) == (3, 1, {"chat": 2, "email": 1})
    assert profile.recognised_languages == {"en": 2, "de": 1}
    assert profile.attributes == {"region=north": 1, "region=south": 1, "tenure=new": 1}
    assert list(profile.days.values()) == [2, 1]
    assert pl.Series([each.rows for each in profile.labels]).sum() == 3
