from __future__ import annotations

import json
from collections import Counter

import pytest

from headset.core.errors import InvalidInput, StorageFailed
from headset.data import importer
from headset.data.dataset import read_dataset
from headset.data.importer import import_items
from headset.data.row import Row
from headset.events.door import Door

NOW = 1_790_000_000_000_000


def events(log, *types):
    return [record.event for record in log.read(limit=1_000_000, types=types or None)]


def lines(*conversations):
    return "\n".join(map(json.dumps, conversations))


def say(text, **more):
    return {"speaker": "customer", "text": text, **more}


def test_a_labelled_row_becomes_a_turn_and_its_label(import_as, log, vault, write):
    report = import_as("csv", write("text,label\nMail me at ana@example.org,contact\n"))
    turn, label = events(log)
    assert (report.rows, report.added, report.already_there, report.bad) == (1, 1, 0, [])
    assert report.redactions == {"email": 1}
    assert vault.open(turn.subject, turn.payload.text) == "Mail me at [email]"
    assert (turn.payload.turn_id, turn.payload.position, turn.payload.speaker) == ("1", 0, "customer")
    assert (label.payload.kind, label.payload.value, label.payload.turn_id) == ("intent", "contact", "1")
    assert {event.source for event in (turn, label)} == {"import:bank"}
    assert turn.conversation_id == label.conversation_id
    assert turn.subject == f"conversation:{turn.conversation_id}"
    assert turn.conversation_id.startswith("bank:")


def test_importing_again_adds_nothing(import_as, log, write):
    path = write("text,label\nhello,greet\nbye,part\n")
    import_as("csv", path)
    before = log.head()
    report = import_as("csv", path)
    assert (report.rows, report.added, report.already_there, log.head()) == (2, 0, 2, before)
    assert report.redactions == {}


def test_equal_rows_of_a_file_are_distinct_and_stay_so(import_as, log, write):
    path = write("text,label\n" + "hello,greet\n" * 3)
    assert import_as("csv", path).added == 3
    assert import_as("csv", path).already_there == 3
    assert import_as("csv", write("text,label\nnew,x\n" + "hello,greet\n" * 4)).added == 2
    assert len({event.conversation_id for event in events(log)}) == 5


def test_an_interrupted_import_is_completed_by_the_next(import_as, log, write, monkeypatch):
    monkeypatch.setattr(importer, "BATCH", 4)
    path = write("text,label\n" + "".join(f"text {n},label\n" for n in range(20)))
    append, calls = log.append, []

    def fail_at_the_third(batch):
        calls.append(len(batch))
        if len(calls) == 3:
            raise StorageFailed("the disk is gone")
        return append(batch)

    monkeypatch.setattr(log, "append", fail_at_the_third)
    with pytest.raises(StorageFailed):
        import_as("csv", path)
    monkeypatch.setattr(log, "append", append)
    report = import_as("csv", path)
    assert (report.added, report.already_there, log.head()) == (16, 4, 40)


def test_two_names_hold_the_same_file_twice(import_as, log, write):
    path = write("text,label\nhello,greet\n")
    import_as("csv", path, "one")
    assert import_as("csv", path, "two").added == 1


def test_an_erased_row_does_not_come_back(import_as, log, vault, write):
    path = write("text,label\nhello,greet\n")
    import_as("csv", path)
    vault.destroy(events(log)[0].subject)
    assert import_as("csv", path).already_there == 1
    assert log.head() == 2


def test_bad_rows_are_kept_out_and_the_good_ones_go_in(import_as, log, write):
    rows = ["good,a", ",a", "no label,", "nul\0,a", "x" * 16_001 + ",a", "odd,\x07", "long," + "l" * 129, "fine,b"]
    report = import_as("csv", write("text,label\n" + "\n".join(rows)))
    assert (report.rows, report.added, report.bad_count) == (2, 2, 6)
    assert [bad.number for bad in report.bad] == [3, 4, 5, 6, 7, 8]
    assert [bad.problem.split(":")[0] for bad in report.bad] == ["text", "label", "text", "text", "label", "label"]


def test_a_conversation_is_told_from_start_to_outcome(import_as, log, vault, write):
    conversation = {
        "conversation_id": "c1",
        "customer_id": "ana",
        "channel": "email",
        "started": "2026-03-01T10:00:00Z",
        "turns": [
            say("My bill is wrong", intent="bill_dispute"),
            {"speaker": "agent", "text": "I'll look", "agent_id": "a2", "time": "2026-03-01T10:05:00Z"},
            say("ok"),
        ],
        "outcome": {"resolution": "resolved", "csat": 4},
    }
    assert import_as("jsonl", write(lines(conversation))).added == 1
    told = events(log)
    assert [event.type for event in told] == [
        "ConversationStarted", "TurnReceived", "LabelRecorded", "TurnReceived", "TurnReceived",
        "ConversationEnded", "OutcomeRecorded",
    ]  # fmt: skip
    assert {(event.conversation_id, event.subject) for event in told} == {("bank:c1", "customer:ana")}
    assert [event.event_time for event in told] == sorted(event.event_time for event in told)
    started, question, label, answer, _, ended, outcome = (event.payload for event in told)
    assert (started.channel, started.customer_id, ended.ended_by) == ("email", "ana", "customer")
    assert (answer.turn_id, answer.position, answer.speaker, answer.speaker_id) == ("2", 1, "agent", "a2")
    assert (label.value, label.turn_id, question.turn_id) == ("bill_dispute", "1", "1")
    assert (outcome.resolution, outcome.csat, outcome.handle_time_s) == ("resolved", 4, None)


def test_a_longer_export_adds_only_what_is_new(import_as, log, write):
    first = {"conversation_id": "c1", "turns": [say("one")]}
    longer = {"conversation_id": "c1", "turns": [say("one"), say("two")], "outcome": {"csat": 5}}
    import_as("jsonl", write(lines(first)))
    before = log.head()
    assert import_as("jsonl", write(lines(longer))).added == 1
    assert [event.type for event in events(log)[before:]] == ["TurnReceived", "OutcomeRecorded"]


def test_conversations_without_an_id_are_told_apart(import_as, write):
    path = write(lines({"turns": [say("hi")]}, {"turns": [say("hi")]}, {"turns": [say("ho")]}))
    assert import_as("jsonl", path).added == 3
    assert import_as("jsonl", path).already_there == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"conversation_id": "c 1"}, "conversation_id: 'c 1' does not match"),
        ({"conversation_id": "c" * 89}, "conversation_id"),
        ({"conversation_id": ""}, "conversation_id"),
        ({"customer_id": "ana@example"}, "customer_id"),
        ({"channel": "a/b"}, "channel"),
        ({"started": "2099-01-01T00:00:00Z"}, "started: lies before 1970 or after"),
        ({"turns": [say("hi"), say(" ")]}, "turns[1].text: is empty"),
        ({"turns": [say("hi\0")]}, "turns[0].text: has a NUL byte"),
        ({"turns": [say("hi", intent="")]}, "turns[0].intent: is missing"),
        ({"turns": [say("hi", agent_id="ü")]}, "turns[0].agent_id"),
        ({"turns": [say("hi", time="1969-01-01T00:00:00Z")]}, "turns[0].time"),
    ],
)
def test_a_conversation_with_a_bad_value_is_kept_out_whole(import_as, log, write, change, problem):
    report = import_as("jsonl", write(lines({"turns": [say("hi")], **change}, {"turns": [say("good")]})))
    (bad,) = report.bad
    assert (bad.number, report.added) == (1, 1)
    assert problem in bad.problem
    assert len(events(log, "TurnReceived")) == 1


def test_a_conversation_id_used_twice_in_a_file_is_reported(import_as, write):
    twice = {"conversation_id": "c1", "turns": [say("hi")]}
    report = import_as("jsonl", write(lines(twice, twice)))
    assert (report.added, report.bad[0].number) == (1, 2)
    assert "stands in this file twice" in report.bad[0].problem


def test_satisfaction_is_recorded_per_rater_and_as_the_outcome(import_as, log, write):
    import_as("uss", write("USER\tHi there\tX\t3,4\nSYSTEM\tHello\tX\t\nUSER\tOVERALL\t\t4,5\n"))
    labels = [event.payload for event in events(log, "LabelRecorded")]
    assert [(label.turn_id, label.rater, label.value) for label in labels] == [
        ("1", "1", "3"), ("1", "2", "4"), (None, "1", "4"), (None, "2", "5")
    ]  # fmt: skip
    assert {label.kind for label in labels} == {"satisfaction"}
    (outcome,) = events(log, "OutcomeRecorded")
    assert outcome.payload.csat == 4.5


def test_undated_rows_are_a_microsecond_apart(import_as, log, write):
    import_as("csv", write("text,label\na,x\nb,x\nc,x\n"))
    assert [event.event_time - NOW for event in events(log, "TurnReceived")] == [0, 1, 2]


def test_clinc150_splits_make_two_data_sets(import_as, log, write):
    import_as("clinc150", write('{"train": [["a", "x"]], "test": [["b", "x"]], "oos_test": [["c", "oos"]]}'))
    assert Counter(event.source for event in events(log, "TurnReceived")) == {"import:bank": 1, "import:bank-test": 2}


@pytest.mark.parametrize("content", ["", "text,label\n", "text,label\n,x\n", "garbage"])
def test_a_file_without_a_good_row_is_refused_with_its_name(import_as, write, content):
    path = write(content)
    with pytest.raises(InvalidInput) as caught:
        import_as("csv", path)
    assert caught.value.field == "path"
    assert str(path) in caught.value.problem
    assert "csv" in caught.value.problem


@pytest.mark.parametrize("format_name", sorted(importer.FORMATS))
def test_a_file_of_another_format_is_refused(import_as, log, write, format_name):
    with pytest.raises(InvalidInput, match=f"read as {format_name}"):
        import_as(format_name, write("%PDF-1.7\n\x00\x01\nnot, a\ttable\n"))
    assert log.head() == 0


def test_a_path_that_is_no_file_is_refused(import_as, tmp_path):
    for path in (tmp_path / "absent.csv", tmp_path, tmp_path / ("n" * 300), tmp_path / "nul\0"):
        with pytest.raises(InvalidInput, match=r"path: .*name a"):
            import_as("csv", path)


def test_an_unknown_format_or_a_bad_name_is_refused(import_as, write):
    path = write("text,label\na,b\n")
    with pytest.raises(InvalidInput, match="known are banking77, clinc150, csv, jsonl, uss"):
        import_as("xml", path)
    for name in ("", "a b", "a:b", "../x", "n" * 33):
        with pytest.raises(InvalidInput, match="is no data set name"):
            import_as("csv", path, name)


def test_progress_ends_at_the_size_of_the_file(import_as, write):
    path, seen = write("text,label\n" + "a,b\n" * 1_000), []
    import_as("csv", path, progress=lambda done, total: seen.append((done, total)))
    size = path.stat().st_size
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1] == (size, size)


def test_rows_are_streamed_in_batches(log, vault, clock):
    heads = []

    def rows():
        for number in range(2_000):
            if number % 500 == 0:
                heads.append(log.head())
            yield Row(number, f"text {number % 700}", "label")

    report = import_items(rows(), "big", log=log, door=Door(vault), clock=clock)
    assert heads == [0, 512, 1536, 2560]
    assert (report.added, log.head()) == (2_000, 4_000)


def test_only_the_first_bad_rows_are_described_but_all_counted(import_as, write, monkeypatch):
    monkeypatch.setattr(importer, "BAD_ROWS_KEPT", 3)
    report = import_as("csv", write("text,label\nok,a\n" + ",a\n" * 10))
    assert (len(report.bad), report.bad_count) == (3, 10)


@pytest.mark.slow
def test_the_published_files_go_in_whole_and_once(real_file, import_as, log, vault):
    files = [
        ("banking77", "banking77/train.csv", "bank", 10_003),
        ("banking77", "banking77/test.csv", "bank-test", 3_080),
        ("uss", "uss/SGD.txt", "uss", 1_000),
    ]
    for format_name, path, name, rows in files:
        report = import_as(format_name, real_file(path), name)
        assert (report.added, report.bad) == (rows, [])
    types = Counter(event.type for event in events(log))
    assert types["TurnReceived"] == 13_083 + 25_666
    assert types["OutcomeRecorded"] == 1_000
    before = log.head()
    assert import_as("banking77", real_file("banking77/train.csv"), "bank").already_there == 10_003
    assert log.head() == before
    assert len(set(read_dataset(log, vault, "bank").labels)) == 77
