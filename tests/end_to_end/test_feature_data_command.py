"""``headset features backfill|verify|lineage``: what was known when, whether it was true, where it came from."""

from __future__ import annotations

import csv
import json

import pyarrow.parquet as pq
import pytest
from msgspec import structs

from headset.app import open_installation
from headset.core.clock import iso
from headset.core.config import load_config
from headset.events.schema import ConversationStarted, DecisionServed, Event, TurnReceived
from headset.features.served import feature_hash


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def log(home):
    """A conversation of three customer turns, one of them decided; gives the times of the turns."""
    with open_installation(load_config(home, {})) as parts:
        parts.apply_shipped_features()
        now, times = parts.clock.now(), []

        def event(payload, number):
            return Event(
                event_id=parts.ids.new(),
                event_time=now - (10 - number) * 60_000_000,
                subject="customer:ana",
                source="api",
                conversation_id="c-1",
                payload=payload,
            )

        events = [event(ConversationStarted(customer_id="ana"), 0)]
        for number, text in enumerate(("thank you, that is great", "this is awful", "a terrible, horrible mess")):
            sealed = parts.door.admit("customer:ana", text).sealed
            turn = TurnReceived(turn_id=str(number), position=number, speaker="customer", text=sealed, queue="default")
            events.append(event(turn, number + 1))
            times.append(events[-1].event_time)
        versions = {"sentiment": parts.sentiment.version}
        values = {
            "sentiment": parts.sentiment.score("a terrible, horrible mess"),
            "event_time": times[2] / 1e6,
            "position": 2,
            "channel": "chat",
            "queue": "default",
            "language": "en",
            "segment": None,
        }
        served = DecisionServed(
            decision_id=str(parts.ids.new()),
            turn_id="2",
            position=2,
            model="intent",
            model_version="1",
            arm="champion",
            intent="refund",
            confidence=0.9,
            route="bot",
            reason="confident",
            latency_ms=1.0,
            feature_versions=versions,
            feature_hash=feature_hash(versions, values),
        )
        events.append(event(served, 4))
        parts.log.append(events)
    return times


def table(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_training_set_holds_what_was_known_at_each_moment(main, log, tmp_path):
    rows = [
        {"conversation": "c-1", "customer": "ana", "as_of": iso(time), "channel": "chat", "label": "bad"}
        for time in log
    ]
    moments = table(tmp_path / "moments.csv", rows)
    code, told, _ = main("features", "backfill", moments, "--out", tmp_path / "set.parquet", "--json")
    assert code == 0, told
    made = json.loads(told)
    found = pq.read_table(tmp_path / "set.parquet").to_pydict()
    assert made["rows"] == 3
    assert found["label"] == ["bad"] * 3
    assert found["turns.total"] == [1, 2, 3]
    assert found["sentiment.last"][0] > 0.5 > -0.4 > found["sentiment.last"][1]
    assert len(found["history.embedding"][0]) == 768
    assert made["features"].keys() <= found.keys()
    assert made["left_out"]["on_demand.sentiment"] == ["sentiment"]
    assert "on_demand.sentiment" not in found


def test_with_the_requests_columns_on_demand_features_are_computed_as_well(main, log, tmp_path):
    row = {"conversation": "c-1", "customer": "ana", "as_of": iso(log[2] - 1)}
    moments = table(tmp_path / "moments.csv", [row | {"sentiment": -0.75, "position": 2}])
    code, told, _ = main("features", "backfill", moments, "--out", tmp_path / "set.parquet")
    assert code == 0
    found = pq.read_table(tmp_path / "set.parquet").to_pydict()
    assert found["on_demand.sentiment_change"] == [-0.75 - found["sentiment.mean"][0]]
    assert "left out: on_demand.confidence, which needs the column confidence" in told


def test_a_row_that_looks_past_its_label_is_refused(main, log, tmp_path):
    row = {"conversation": "c-1", "customer": "ana", "as_of": iso(log[2]), "label": "bad", "label_time": iso(log[1])}
    moments = table(tmp_path / "moments.csv", [row])
    code, _, told = main("features", "backfill", moments, "--out", tmp_path / "set.parquet")
    assert code == 2
    assert "label_time" in told
    assert not (tmp_path / "set.parquet").exists()


@pytest.mark.parametrize(
    ("content", "service", "word"),
    [
        (None, "risk", "cannot be read"),
        (b"", "risk", "empty"),
        (b"\x00\x01\x02", "risk", "moments.csv"),
        (b"as_of\nyesterday\n", "risk", "as_of"),
        (b"customer,conversation\nana,c-1\n", "risk", "as_of"),
        (b"as_of,customer,conversation\n2026-01-01T00:00:00Z,ana,c-1\n", "nothing", "not live"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(main, log, tmp_path, content, service, word):
    moments = tmp_path / "moments.csv"
    if content is not None:
        moments.write_bytes(content)
    code, _, told = main("features", "backfill", moments, "--service", service, "--out", tmp_path / "set.parquet")
    assert code == 2
    assert word in told
    assert "Traceback" not in told


@pytest.mark.parametrize("out", ["/", "/dev/full", "gone/set.parquet"])
def test_where_no_file_can_be_written_the_log_is_not_read(main, log, tmp_path, out):
    moments = table(tmp_path / "moments.csv", [{"conversation": "c-1", "customer": "ana", "as_of": iso(log[0])}])
    code, _, told = main("features", "backfill", moments, "--out", out)
    assert code == 2
    assert "out:" in told
    assert "read the log" not in told


def test_a_request_that_holds_no_number_is_refused(main, log, tmp_path):
    row = {"conversation": "c-1", "customer": "ana", "as_of": iso(log[0])}
    for sentiment in ("nan", "1e400", "good"):
        moments = table(tmp_path / "moments.csv", [row | {"sentiment": sentiment}])
        code, _, told = main("features", "backfill", moments, "--out", tmp_path / "set.parquet")
        assert (code, "table.sentiment" in told, "row 1" in told) == (2, True, True)


def test_verification_finds_decisions_as_they_were_served(main, log):
    code, told, _ = main("features", "verify", "--json")
    found = json.loads(told)
    assert (code, found["checked"], found["mismatched"], found["passed_over"]) == (0, 1, 0, {})
    code, told, _ = main("features", "verify", "--hours", "1")
    assert (code, told.splitlines()[0]) == (0, "1 decisions computed again, 0 came out otherwise")


def test_verification_fails_where_a_decision_was_served_otherwise(main, log, home):
    with open_installation(load_config(home, {})) as parts:
        (record,) = parts.log.read(types=("DecisionServed",))
        wrong = structs.replace(record.event.payload, decision_id=str(parts.ids.new()), feature_hash="0" * 16)
        parts.log.append([structs.replace(record.event, event_id=parts.ids.new(), payload=wrong)])
    code, told, _ = main("features", "verify")
    assert code == 1
    assert "2 decisions computed again, 1 came out otherwise" in told
    assert wrong.decision_id in told


def test_lineage_is_told_of_a_feature_and_of_a_decision(main, log, home):
    code, told, _ = main("features", "lineage", "sentiment.mean")
    assert code == 0
    assert "feature service risk" in told
    with open_installation(load_config(home, {})) as parts:
        (record,) = parts.log.read(types=("DecisionServed",))
    code, told, _ = main("features", "lineage", str(record.event.event_id), "--json")
    kinds = {node["kind"] for node in json.loads(told)["nodes"]}
    assert {"decision", "turn", "model", "signal"} <= kinds


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["lineage", "nothing"], "nothing"),
        (["lineage", "sentiment", "--openlineage", "file.jsonl"], "no training run"),
        (["lineage", "sentiment", "--limit", "-1"], "--limit"),
        (["verify", "--hours", "0"], "hours"),
        (["verify", "--hours", "nan"], "hours"),
    ],
)
def test_misuse_is_refused_with_the_next_step(main, log, arguments, word):
    code, _, told = main("features", *arguments)
    assert code == 2
    assert word in told
