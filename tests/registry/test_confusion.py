"""A test's confusion matrix is found with its version, and what is none is refused."""

from __future__ import annotations

from random import Random

import msgspec
import numpy as np
import pytest

from headset.core.clock import ManualClock
from headset.core.errors import ArtifactError, InvalidInput, NotFound
from headset.core.ids import Ids, stable_id
from headset.events.memory import MemoryLog
from headset.events.schema import ModelRegistered
from headset.registry.artifact import read_beside
from headset.registry.confusion import CONFUSION, find_confusion, read_confusion
from headset.registry.scorer import Arrays, Block, Scorer
from headset.registry.seal import Seal
from headset.registry.store import Registry

SEEN = {
    "intents": ["a", "b"],
    "counts": [[1, 1], [0, 1]],
    "right": [[0.9], [0.8]],
    "wrong": [[0.4], []],
    "threshold": 1.01,
    "unlearned": 2,
}
CONTENT = msgspec.json.encode(SEEN)
SCORER = Scorer(
    labels=("a", "b"),
    threshold=0.7,
    temperature=1.0,
    blocks=(Block("word", 1, 1, 1.0, 1),),
    terms=["card"],
    arrays=Arrays(np.ones(1), np.zeros((1, 2), np.float32), np.zeros((3, 2), np.float32), np.zeros(2)),
)


@pytest.fixture
def register(tmp_path):
    """``register(beside)`` registers a version with these files and gives the registry."""
    clock = ManualClock(1_700_000_000_000_000)
    registry = Registry(
        MemoryLog(clock), tmp_path / "models", clock, Ids(clock, Random(7)), Seal(lambda *parts: stable_id(*parts).hex)
    )

    def take_in(beside):
        made = ModelRegistered(
            model="intent", version="", artifact_sha256=SCORER.save(tmp_path / "made", beside), run_id="", dataset="d",
            data_fingerprint="f", commit="c", seed=7, metrics={}, encoder_version="e",
        )  # fmt: skip
        registry.register(made, tmp_path / "made")
        return registry

    return take_in


def test_it_is_found_with_its_version(register):
    found = find_confusion(register({CONFUSION: CONTENT}), "intent", "1")
    assert msgspec.json.encode(found) == CONTENT


def test_a_version_without_it_says_what_to_do(register):
    with pytest.raises(
        NotFound, match="version 1 of 'intent' was registered without its confusion matrix; train again"
    ):
        find_confusion(register({}), "intent", "1")


def test_a_version_that_is_not_there_is_not_found(register):
    with pytest.raises(NotFound, match="versions: 1"):
        find_confusion(register({CONFUSION: CONTENT}), "intent", "2")


def test_it_is_sealed_with_the_artifact(register):
    registry = register({CONFUSION: CONTENT})
    folder = registry.artifact("intent", "1")
    Scorer.load(folder)
    (folder / CONFUSION).write_bytes(CONTENT.replace(b"0.9", b"0.1"))
    with pytest.raises(ArtifactError, match="it was changed after it was saved"):
        find_confusion(registry, "intent", "1")


def test_other_files_change_the_seal_and_not_the_model(tmp_path):
    assert SCORER.save(tmp_path / "one") != SCORER.save(tmp_path / "two", {CONFUSION: CONTENT})
    assert Scorer.load(tmp_path / "two").labels == SCORER.labels
    assert read_beside(tmp_path / "one", CONFUSION) is None


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"intents": ["a", "a"]}, "2 intents, some twice"),
        ({"intents": [], "counts": [], "right": [], "wrong": []}, "0 intents"),
        ({"counts": [[1, 1]]}, "counts that are not 2 rows of 2"),
        ({"counts": [[1, 1], [1]]}, "counts that are not 2 rows of 2"),
        ({"counts": [[1, -1], [0, 1]]}, "Expected `int` >= 0"),
        ({"counts": [[2, 1], [0, 1]]}, "one confidence"),
        ({"right": [[0.9]]}, "one confidence"),
        ({"wrong": [[0.4], [], []]}, "one confidence"),
        ({"counts": [[0, 0], [0, 0]], "right": [[], []], "wrong": [[], []]}, "holds no test row"),
        ({"right": [[1.5], [0.8]]}, "Expected `float` <= 1"),
        ({"threshold": None}, "Expected `float`"),
        ({"thresold": 0.5}, "unknown field"),
    ],
)
def test_what_is_no_confusion_matrix_is_refused(tmp_path, change, problem):
    path = tmp_path / "confusion.json"
    path.write_bytes(msgspec.json.encode(SEEN | change))
    with pytest.raises(InvalidInput, match=problem):
        read_confusion(path)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b'{"intents": ["\xff"]}', b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path, content):
    path = tmp_path / "confusion.json"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"confusion\.json is no confusion matrix"):
        read_confusion(path)


def test_a_file_that_is_not_there_is_not_found(tmp_path):
    with pytest.raises(NotFound, match=r"name a confusion\.json or a version"):
        read_confusion(tmp_path / "nothing.json")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_confusion(tmp_path)
