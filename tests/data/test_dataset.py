from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from headset.core.errors import InvalidInput, NotFound
from headset.core.ids import stable_id
from headset.data import dataset as dataset_module
from headset.data.dataset import fingerprint, list_datasets, read_dataset

ROWS = "text,label\nwhere is it,delivery\nbye,goodbye\nhello,greeting\nbye,goodbye\n"


def test_what_was_imported_is_read_back_sorted(import_as, log, vault, write):
    import_as("csv", write(ROWS))
    dataset = read_dataset(log, vault, "bank")
    assert dataset.texts == ("bye", "bye", "hello", "where is it")
    assert dataset.labels == ("goodbye", "goodbye", "greeting", "delivery")
    assert len(set(dataset.ids)) == 4
    assert all(place.startswith("bank:") and place.endswith("#1") for place in dataset.ids)


def test_equal_content_has_equal_order_and_fingerprint(import_as, log, vault, write):
    import_as("csv", write(ROWS), "one")
    import_as("csv", write("text,label\n" + "\n".join(reversed(ROWS.splitlines()[1:]))), "two")
    import_as("csv", write(ROWS + "more,x\n"), "three")
    one, two, three = (read_dataset(log, vault, name) for name in ("one", "two", "three"))
    assert (one.texts, one.labels, one.fingerprint) == (two.texts, two.labels, two.fingerprint)
    assert one.fingerprint == fingerprint(reversed(one.texts), reversed(one.labels))
    assert three.fingerprint != one.fingerprint


def test_erased_texts_are_left_out_and_counted(import_as, log, vault, write):
    import_as("csv", write(ROWS))
    (subject,) = [
        record.event.subject for record in log.read(types=["LabelRecorded"]) if record.event.payload.value == "delivery"
    ]
    vault.destroy(subject)
    dataset = read_dataset(log, vault, "bank")
    assert (dataset.texts, dataset.erased) == (("bye", "bye", "hello"), 1)


def test_a_data_set_of_erased_texts_only_is_empty(import_as, log, vault, write):
    import_as("csv", write("text,label\nhello,greeting\n"))
    vault.destroy(log.read()[0].event.subject)
    dataset = read_dataset(log, vault, "bank")
    assert (dataset.texts, dataset.erased) == ((), 1)


def test_more_rows_than_are_read_at_once_are_refused_with_a_way_out(import_as, log, vault, write, monkeypatch):
    import_as("csv", write(ROWS))
    monkeypatch.setattr(dataset_module, "ROWS_LIMIT", 4)
    assert len(read_dataset(log, vault, "bank").texts) == 4
    monkeypatch.setattr(dataset_module, "ROWS_LIMIT", 3)
    with pytest.raises(InvalidInput, match=r"'bank' holds more than 3 labelled texts.*'headset data check'"):
        read_dataset(log, vault, "bank")


def test_the_latest_label_of_a_turn_holds(import_as, log, vault, write):
    import_as("csv", write("text,label\nhello,greeting\n"))
    label = log.read(types=["LabelRecorded"])[0].event
    for number, (value, later_us) in enumerate([("newest", 5), ("late news", -5), ("newer", 2)]):
        payload = replace(label.payload, value=value)
        event_id = stable_id("correction", str(number))
        log.append([replace(label, event_id=event_id, event_time=label.event_time + later_us, payload=payload)])
    assert read_dataset(log, vault, "bank").labels == ("newest",)


def test_only_labelled_turns_of_conversations_are_read(import_as, log, vault, write):
    turns = [
        {"speaker": "customer", "text": "my bill", "intent": "bill"},
        {"speaker": "agent", "text": "ok"},
        {"speaker": "customer", "text": "bye", "intent": "goodbye"},
    ]
    import_as("jsonl", write(json.dumps({"conversation_id": "c", "turns": turns})))
    dataset = read_dataset(log, vault, "bank")
    assert dataset.texts == ("bye", "my bill")
    assert dataset.ids == ("bank:c#3", "bank:c#1")


def test_an_unknown_name_lists_the_data_sets_that_exist(import_as, log, vault, write):
    with pytest.raises(NotFound, match="there are: none"):
        read_dataset(log, vault, "bank")
    import_as("csv", write(ROWS), "shop")
    import_as("csv", write(ROWS), "bank")
    import_as("uss", write("USER\tHi\tX\t3\n"), "rated")
    assert list_datasets(log) == {"bank": 4, "shop": 4}
    with pytest.raises(NotFound, match=r"'rated' holds no labelled text.*there are: bank, shop"):
        read_dataset(log, vault, "rated")
