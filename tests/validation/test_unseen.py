from __future__ import annotations

from random import Random

import msgspec
import pytest

from headset.core.clock import ManualClock
from headset.core.errors import InvalidInput
from headset.core.ids import Ids
from headset.data.dataset import read_dataset
from headset.data.importer import import_items
from headset.data.row import Row
from headset.data.verified import read_verified
from headset.events.door import Door
from headset.events.memory import MemoryLog
from headset.events.schema import DecisionServed, Event, FeedbackRecorded, ModelRegistered, TurnReceived
from headset.events.vault import Vault
from headset.registry.store import ModelVersion
from headset.validation.unseen import choose_data, keep_unseen, read_asked, read_learned


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000_000_000)


@pytest.fixture
def log(clock):
    return MemoryLog(clock)


@pytest.fixture
def vault(tmp_path):
    vault = Vault(tmp_path / "keys.db", b"k" * 32)
    yield vault
    vault.close()


@pytest.fixture
def add(log, vault, clock):
    def add(name, *pairs):
        rows = [Row(number, text, label) for number, (text, label) in enumerate(pairs, 1)]
        import_items(rows, name, log=log, door=Door(vault), clock=clock)
        return log.head()

    return add


@pytest.fixture
def serve(log, vault, clock, seed):
    """A customer's turn, its decision and what an agent did with it."""
    ids = Ids(clock, Random(seed))

    def serve(name, text, said, action, meant=None):
        def tell(payload):
            event = {"event_id": ids.new(), "event_time": clock.now(), "subject": name, "source": "api"}
            log.append([Event(**event, payload=payload, conversation_id=name)])

        tell(TurnReceived(turn_id="1", position=0, speaker="customer", text=Door(vault).admit(name, text).sealed))
        tell(served(f"d-{name}", said))
        tell(FeedbackRecorded(decision_id=f"d-{name}", action=action, agent_id="a", intent=meant))

    return serve


def served(decision_id, intent):
    given = {
        "decision_id": decision_id, "turn_id": "1", "position": 0, "model": "intent", "model_version": "1",
        "arm": "champion", "intent": intent, "confidence": 0.9, "alternatives": [], "scope": 1.0, "sentiment": 0.0,
        "route": "human", "reason": "low_confidence", "suggestions": [], "latency_ms": 1.0, "degraded": False,
        "feature_versions": {}, "feature_hash": "", "error": None,
    }  # fmt: skip
    known = set(DecisionServed.__struct_fields__)
    return DecisionServed(**{name: value for name, value in given.items() if name in known})


def version(dataset="bank", position=0, request=""):
    made = ModelRegistered(
        "intent", "1", "", "", dataset, "", "", 7, {}, "none", data_position=position, request=request
    )
    return ModelVersion("intent", "1", "", [], made)


def test_texts_that_were_learned_from_are_left_out_whatever_their_case(log, vault, add):
    add("bank", ("My card", "card"), ("A loan", "loan"))
    add("late", ("my  CARD", "card"), ("new text", "loan"), ("New text", "loan"))
    learned, unknown = read_learned(log, vault, [version()])
    rows = keep_unseen(read_dataset(log, vault, "late"), learned, {})
    assert ([text.lower() for text in rows.texts], rows.excluded, rows.repeated, unknown) == (["new text"], 1, 1, "")
    assert len(rows.conversations) == 1


def test_what_came_into_the_data_after_training_was_not_learned_from(log, vault, add):
    position = add("bank", ("My card", "card"))
    add("bank", ("My card", "card"), ("A loan", "loan"))
    learned, _ = read_learned(log, vault, [version(position=position)])
    assert learned == {"my card"}


@pytest.mark.parametrize("dataset", ["", "gone"])
def test_unknown_training_data_are_told(log, vault, dataset):
    assert "does not hold" in read_learned(log, vault, [version(dataset)])[1]


@pytest.mark.parametrize("measured_on", [None, "late"])
def test_an_import_is_not_taken_for_what_a_data_set_of_that_name_taught(log, vault, add, measured_on):
    add("imported", ("My card", "card"))
    asked = msgspec.json.encode({"name": "intent", "source": "model.onnx", "dataset": measured_on}).decode()
    learned, unknown = read_learned(log, vault, [version("imported", request=asked)])
    assert (learned, "does not hold" in unknown) == (frozenset(), True)


def test_the_data_of_its_test_are_chosen_then_what_agents_verified(log, vault, add, serve):
    position = add("test", ("where is it", "card"))
    asked = msgspec.json.encode({"dataset": "bank", "test": "test", "other": 1}).decode()
    assert choose_data(log, vault, None, version(request=asked)).name == "test"
    with pytest.raises(InvalidInput, match="--data"):
        choose_data(log, vault, None, version(position=position))
    serve("c1", "my loan", "loan", "accepted")
    assert choose_data(log, vault, None, version(position=position)).texts == ("my loan",)
    assert choose_data(log, vault, "test", version()).texts == ("where is it",)


def test_agents_verify_by_accepting_and_by_naming_the_intent(log, vault, serve):
    serve("c1", "my loan", "loan", "accepted")
    serve("c2", "my card", "loan", "overridden", "card")
    serve("c3", "hm", "loan", "ignored")
    found = read_verified(log, vault, after=0)
    assert list(zip(found.texts, found.labels, strict=True)) == [("my card", "card"), ("my loan", "loan")]
    assert found.ids == ("c2#1", "c1#1")


def test_verified_texts_of_erased_subjects_are_counted_only(log, vault, serve):
    serve("c1", "my loan", "loan", "accepted")
    vault.destroy("c1")
    found = read_verified(log, vault, after=0)
    assert (found.texts, found.erased) == ((), 1)


def test_a_request_that_cannot_be_read_asks_for_nothing():
    assert read_asked(version("bank", request="no json")).dataset == "bank"
    assert read_asked(version("bank")).test is None
