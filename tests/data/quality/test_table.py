"""The frame of a data set: what is counted over all rows, and what is sampled."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import InvalidInput, NotFound
from headset.data.dataset import read_dataset
from headset.data.quality.table import COPIES_LIMIT, SCHEMA, read_table, table_of, text_key
from headset.events.schema import Event, LabelRecorded


@pytest.fixture
def dialogue(write, import_as):
    line = (
        '{"conversation_id": "c1", "language": "de", "channel": "email", "queue": "billing", '
        '"started": "2026-03-01T10:00:00Z", "turns": ['
        '{"speaker": "customer", "text": "Was kostet das?", "intent": "fee"}, '
        '{"speaker": "agent", "text": "Nichts."}]}\n'
    )
    import_as("jsonl", write(line))


def frame(count):
    return pl.DataFrame(
        {"text": [f"{chr(97 + n % 26) * (n // 26 + 1)} bill" for n in range(count)], "label": ["x"] * count}
    )


def test_the_table_holds_the_rows_of_the_data_set(log, vault, write, import_as):
    import_as("csv", write("text,label\nWhere is my card?,card\nMy bill is wrong,bill\n"))
    table, dataset = read_table(log, vault, "bank"), read_dataset(log, vault, "bank")
    assert sorted(table.frame.select("text", "label", "id").rows()) == sorted(
        zip(dataset.texts, dataset.labels, dataset.ids, strict=True)
    )
    assert (table.rows, table.labels, table.share) == (2, {"card": 1, "bill": 1}, 1.0)


@pytest.mark.usefixtures("dialogue")
def test_a_row_knows_what_the_start_of_its_conversation_said(log, vault):
    (row,) = read_table(log, vault, "bank").frame.rows(named=True)
    assert row == {
        "id": "bank:c1#1",
        "text": "Was kostet das?",
        "label": "fee",
        "time": row["time"],
        "language": "de",
        "channel": "email",
        "queue": "billing",
        "attributes": None,
    }


def test_the_latest_label_of_a_turn_holds(log, vault, write, import_as, clock):
    import_as("csv", write("text,label\nWhere is my card?,card\n"))
    (record,) = log.read(types=("LabelRecorded",))
    event = record.event
    later = LabelRecorded(kind="intent", value="delivery", turn_id="1")
    for number, (value, time) in enumerate((("delivery", 1), ("old", -1))):
        log.append(
            [
                Event(
                    event_id=type(event.event_id)(int=number + 1),
                    event_time=event.event_time + time,
                    subject=event.subject,
                    source=event.source,
                    conversation_id=event.conversation_id,
                    payload=LabelRecorded(kind="intent", value=value, turn_id=later.turn_id),
                )
            ]
        )
    assert read_table(log, vault, "bank").labels == {"delivery": 1}


def test_erased_texts_are_counted_and_gone(log, vault, write, import_as):
    import_as("csv", write("text,label\nWhere is my card?,card\nMy bill is wrong,bill\n"))
    vault.destroy(log.read(types=("TurnReceived",))[0].event.subject)
    table = read_table(log, vault, "bank")
    assert (table.rows, table.erased) == (1, 1)


def test_an_unknown_name_is_told_with_those_there_are(log, vault, write, import_as):
    import_as("csv", write("text,label\nWhere is my card?,card\n"))
    with pytest.raises(NotFound, match="there are: bank"):
        read_table(log, vault, "bnak")


def test_a_sample_keeps_to_the_limit_and_counts_all():
    table = table_of(frame(2_000), "many", limit=300)
    assert 0 < table.frame.height <= 300
    assert (table.rows, table.labels, len(table.keys)) == (2_000, {"x": 2_000}, 2_000)
    assert table.share < 0.5
    assert table.sampled


def test_a_sample_does_not_depend_on_the_order_of_rows():
    ordered = frame(2_000).with_columns(id=pl.col("text"))
    mixed = ordered.sample(fraction=1, shuffle=True, seed=3)
    assert table_of(ordered, "many", limit=300).frame.equals(table_of(mixed, "many", limit=300).frame)


def test_texts_of_the_same_words_are_sampled_together():
    texts = [f"{text} {extra}" for text in frame(2_000)["text"] for extra in ("1", "2")]
    table = table_of(pl.DataFrame({"text": texts, "label": ["x"] * len(texts)}), "many", limit=300)
    stems = table.frame["text"].str.slice(0, None).str.head(-2).value_counts()
    assert set(stems["count"]) == {2}


def test_copies_of_one_text_do_not_fill_the_memory():
    table = table_of(pl.DataFrame({"text": ["same"] * 5_000, "label": ["x"] * 5_000}), "many", limit=1_000)
    assert (table.frame.height, table.rows) == (COPIES_LIMIT, 5_000)


@given(st.text(), st.text())
def test_keys_differ_where_texts_do(one, other):
    same = " ".join(one.casefold().split()) == " ".join(other.casefold().split())
    assert (text_key(one) == text_key(other)) == same


def test_a_frame_without_labels_is_refused():
    with pytest.raises(InvalidInput, match="columns: lack label; there are text"):
        table_of(pl.DataFrame({"text": ["a"]}), "mine")


def test_a_frame_of_other_types_is_refused():
    with pytest.raises(InvalidInput, match="columns: are of other types"):
        table_of(pl.DataFrame({"text": ["a"], "label": ["x"], "time": ["yesterday"]}), "mine")


def test_columns_that_are_not_given_are_null():
    table = table_of(pl.DataFrame({"text": ["a"], "label": ["x"]}), "mine")
    assert table.frame.schema == SCHEMA
    assert table.frame.row(0) == ("1", "a", "x", None, None, None, None, None)
