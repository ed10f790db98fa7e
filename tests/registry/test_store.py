"""Versions are numbered once, whoever registers at the same time, and their files are those that were registered."""

from __future__ import annotations

from random import Random

import pytest
from msgspec.structs import replace

from headset.core.clock import ManualClock
from headset.core.errors import InvalidInput, NotFound, StorageFailed
from headset.core.ids import Ids, stable_id
from headset.events.memory import MemoryLog
from headset.events.schema import Actor, AnyPayload, ModelRegistered
from headset.events.sqlite import SqliteLog
from headset.registry.ledger import TYPES
from headset.registry.seal import Seal
from headset.registry.store import Registry

MADE = ModelRegistered(
    model="intent",
    version="",
    artifact_sha256="",
    run_id="",
    dataset="bank",
    data_fingerprint="f",
    commit="c0ffee",
    seed=7,
    metrics={"accuracy": 0.9},
    encoder_version="hash-1",
)


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000_000_000)


@pytest.fixture
def log(clock):
    return MemoryLog(clock)


@pytest.fixture
def open_registry(log, clock, tmp_path):
    """``open_registry(seed)`` opens the same registry once more."""

    def registry(seed=7, *, log=log, models="models"):
        seal = Seal(lambda *parts: stable_id(*parts).hex)
        return Registry(log, tmp_path / models, clock, Ids(clock, Random(seed)), seal)

    return registry


@pytest.fixture
def artifact(tmp_path):
    """``artifact(mark)`` is a folder whose files say so."""

    def write(mark):
        folder = tmp_path / f"made-{mark}"
        folder.mkdir()
        for number in range(20):
            (folder / f"{number}.npy").write_text(str(mark))
        return folder

    return write


def marks(folder):
    """What the files of a registered version say, each thing once."""
    return {file.read_text() for file in folder.iterdir()}


def test_versions_count_from_one_and_keep_their_files(open_registry, artifact):
    registry = open_registry()
    for number in ("1", "2"):
        made = registry.register(replace(MADE, artifact_sha256=number), artifact(number))
        assert (made.version, made.made.artifact_sha256) == (number, number)
        assert marks(registry.artifact("intent", number)) == {number}
    assert [known.version for known in registry.versions()] == ["2", "1"]
    assert sorted(path.name for path in registry.artifact("intent", "1").parent.iterdir()) == ["1", "2"]


def test_trainings_that_register_at_once_get_versions_of_their_own(open_registry, artifact, clock, tmp_path, together):
    log = SqliteLog(tmp_path / "events.db", clock)
    registries = [open_registry(seed, log=log) for seed in range(4)]
    folders = {(who, turn): artifact(f"{who}-{turn}") for who in range(4) for turn in range(5)}

    def train(who):
        return [
            (
                f"{who}-{turn}",
                registries[who].register(replace(MADE, artifact_sha256=f"{who}-{turn}"), folders[who, turn]),
            )
            for turn in range(5)
        ]

    registered = [pair for share in together(4, train) for pair in share]
    assert sorted(int(made.version) for _, made in registered) == list(range(1, 21))
    for mark, made in registered:
        assert made.made.artifact_sha256 == mark
        assert marks(registries[0].artifact("intent", made.version)) == {mark}
    assert len(registries[0].versions("intent")) == 20
    assert not list((tmp_path / "models").rglob("*.partial"))
    log.close()


def test_the_number_of_a_folder_that_a_crash_left_is_skipped(open_registry, artifact, tmp_path):
    registry = open_registry()
    left = registry.artifact("intent", "1")
    left.mkdir()
    (left / "half").write_text("of another")
    (tmp_path / "models" / "intent" / "2").mkdir()
    assert registry.register(MADE, artifact("a")).version == "3"
    assert marks(left) == {"of another"}


def test_a_number_that_the_log_gave_to_another_is_not_taken(open_registry, artifact, monkeypatch):
    """Two folders of artifacts with one log: the event decides, not the folder."""
    here, there = open_registry(), open_registry(8, models="elsewhere")
    stale = there.versions()
    here.register(replace(MADE, artifact_sha256="here"), artifact("here"))
    with monkeypatch.context() as patch:
        patch.setattr(there, "versions", lambda model: stale)
        patch.setattr(there, "get", lambda model, version: version)
        assert there.register(replace(MADE, artifact_sha256="there"), artifact("there")) == "2"
    assert [known.made.artifact_sha256 for known in there.versions()] == ["there", "here"]
    assert marks(there.artifact("intent", "2")) == {"there"}
    assert not there.artifact("intent", "1").exists()


def test_an_artifact_that_cannot_be_copied_registers_nothing(open_registry, log, tmp_path):
    registry = open_registry()
    with pytest.raises(StorageFailed, match="nothing was registered"):
        registry.register(MADE, tmp_path / "absent")
    assert (registry.versions(), log.head()) == ([], 0)
    assert not list((tmp_path / "models").rglob("*.partial"))


def test_a_registry_opened_later_knows_what_the_log_knows(open_registry, artifact):
    open_registry().register(MADE, artifact("a"))
    later = open_registry(8)
    assert later.register(MADE, artifact("b")).version == "2"
    assert [known.version for known in open_registry().versions()] == ["2", "1"]


def test_a_look_up_judges_one_version(open_registry, artifact, monkeypatch):
    """A server asks for its champions every two seconds, however many versions there are."""
    registry = open_registry()
    for mark in "abc":
        registry.register(MADE, artifact(mark))
    registry.promote("intent", "2", "shadow", by=Actor("ann"), reason="to look at it")
    judged = []
    monkeypatch.setattr("headset.registry.store.objections", lambda case: judged.append(case.made.version) or [])
    assert (registry.get("intent", "shadow").version, registry.champion("intent")) == ("2", None)
    assert judged == ["2"]
    with pytest.raises(NotFound, match="versions: 3, 2, 1"):
        registry.get("intent", "9")


def test_the_types_are_those_of_the_vocabulary():
    assert set(TYPES) < {kind.__name__ for kind in AnyPayload.__args__}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_no_number_is_refused(open_registry, artifact, value):
    registry = open_registry(1)
    with pytest.raises(InvalidInput, match=r"metrics\.accuracy"):
        registry.register(replace(MADE, metrics={"accuracy": value}), artifact("1"))
    assert registry.versions() == []
