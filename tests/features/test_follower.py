"""The follower brings a store up to date with the log, keeps its state on disk, and forgets what is erased."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from random import Random

import numpy as np
import pytest
from msgspec import structs

from headset.core.clock import SystemClock
from headset.core.errors import StorageFailed
from headset.events.sqlite import SqliteLog
from headset.features.aggregation import Mean
from headset.features.definition import Feature, FeatureService
from headset.features.expression import column
from headset.features.follower import Follower, Snapshot
from headset.features.memory import MemoryStore
from headset.features.store import FeatureRequest

from .conversation_log import MOOD, NOON, SECOND, VISITS, LetterEncoder, Told

SERVICE = FeatureService(name="care", views=(MOOD, VISITS), owner="", description="")
KEYS = {"conversation": "c-1", "customer": "ana"}


@pytest.fixture
def told(tmp_path):
    return Told(tmp_path)


def follow(told, store=None, path=None, views=(MOOD, VISITS)):
    snapshot = None if path is None else Snapshot(path, told.vault)
    follower = Follower(told.log, told.signals, MemoryStore() if store is None else store, snapshot)
    follower.install(views)
    return follower


def read(store, service=SERVICE, as_of=NOON + SECOND, keys=KEYS):
    (row,) = store.read(service, [FeatureRequest(keys, as_of)])
    assert not row.problem
    return row


def test_what_is_in_the_log_is_in_the_store(told):
    store = MemoryStore()
    follower = follow(told, store)
    told.start()
    told.say("a nice day")
    last = told.say("a bad day, all in all", position=1)
    assert follower.lag == last
    assert follower.catch_up() == last
    assert (follower.position, follower.lag) == (last, 0)
    row = read(store)
    assert row.position == last
    assert (row.values["mood.turns"], row.values["visits.begun"]) == (2, 1)
    assert row.values["mood.last"] == pytest.approx(-0.05)


def test_signals_are_the_same_whether_kept_with_the_turn_or_computed_from_its_text(told):
    store = MemoryStore()
    follower = follow(told, store)
    for conversation, kept in (("c-1", True), ("c-2", False)):
        told.start(conversation)
        told.say("some sentence", conversation, kept=kept)
    follower.catch_up()
    one, other = (read(store, keys={**KEYS, "conversation": name}).values for name in ("c-1", "c-2"))
    assert one.pop("mood.about").tobytes() == other.pop("mood.about").tobytes()
    assert one == other


def test_a_turn_that_bears_signals_of_another_version_has_them_computed_anew(told):
    store = MemoryStore()
    told.start()
    told.say("some sentence", kept=True)
    (record,) = told.log.read(after=1)
    assert told.signals.signals(record.event)["sentiment"] == pytest.approx(1 - 13 / 20)
    foreign = structs.replace(record.event.payload, sentiment=0.99, sentiment_version="other", encoder_version="other")
    found = told.signals.signals(structs.replace(record.event, payload=foreign))
    assert found["sentiment"] == pytest.approx(1 - 13 / 20)
    assert np.allclose(found["embedding"], LetterEncoder().encode(["some sentence"])[0], atol=0.05)
    assert store.positions() == {}


def test_catching_up_stops_where_it_is_told(told):
    follower = follow(told)
    told.start()
    first, _ = told.say("one"), told.say("two", position=1)
    follower.catch_up(until=first)
    assert follower.position == first


def test_a_new_version_is_folded_from_the_whole_log_while_the_old_one_serves(told):
    store = MemoryStore()
    follower = follow(told, store)
    told.start()
    told.say("a nice day")
    follower.catch_up()
    longer = structs.replace(MOOD, features=(structs.replace(MOOD.features[1], window="2 h"),))
    follower.install((MOOD, VISITS, longer))
    assert read(store).values["mood.turns"] == 1
    assert follower.position == 0
    follower.catch_up()
    both = FeatureService(name="new", views=(longer,), owner="", description="")
    assert read(store, both).values["mood.sentiment"] == read(store).values["mood.sentiment"]


def test_after_a_start_only_what_came_since_the_snapshot_is_folded(told, tmp_path):
    first = follow(told, path=tmp_path / "state")
    told.start()
    told.say("a nice day")
    first.catch_up()
    first.save()
    told.say("and another", position=1)
    store = MemoryStore()
    again = follow(told, store, tmp_path / "state")
    assert again.position == 2
    assert again.catch_up() == 1
    assert read(store).values["mood.turns"] == 2


def test_a_state_that_has_not_changed_is_not_written_again(told, tmp_path):
    follower = follow(told, path=tmp_path / "state")
    told.start()
    follower.catch_up()
    follower.save()
    before = (tmp_path / "state").read_bytes()
    follower.save()
    assert (tmp_path / "state").read_bytes() == before  # sealed anew, it would be other bytes
    told.say("a nice day")
    follower.catch_up()
    follower.save()
    assert (tmp_path / "state").read_bytes() != before


@pytest.mark.parametrize("content", ["", "no base64 at all", "AAAA" * 40])
def test_a_snapshot_that_is_damaged_costs_a_replay_and_nothing_else(told, tmp_path, content):
    told.start()
    told.say("a nice day")
    path = tmp_path / "state"
    path.write_text(content)
    store = MemoryStore()
    again = follow(told, store, path)
    assert again.position == 0
    again.catch_up()
    assert read(store).values["mood.turns"] == 1


def test_a_snapshot_holds_no_signal_in_clear(told, tmp_path):
    follower = follow(told, path=tmp_path / "state")
    told.start(customer="a.very.rare.name")
    told.say("a nice day", customer="a.very.rare.name")
    follower.catch_up()
    follower.save()
    content = (tmp_path / "state").read_bytes()
    assert b"a.very.rare.name" not in content
    assert not list(tmp_path.glob(".*partial"))


def test_an_erased_subject_leaves_no_signal_behind(told, tmp_path):
    store = MemoryStore()
    follower = follow(told, store, tmp_path / "state")
    told.start()
    told.say("a nice day", kept=True)
    told.start("c-2", "bob")
    told.say("a nice day", "c-2", "bob", kept=True)
    follower.catch_up()
    follower.save()
    before = (tmp_path / "state").read_bytes()
    assert read(store).values["mood.about"].any()
    told.erase()
    follower.catch_up()
    assert not read(store).values["mood.about"].any()
    assert read(store).values["mood.turns"] == 1
    assert read(store, keys={"conversation": "c-2", "customer": "bob"}).values["mood.about"].any()
    assert not (tmp_path / "state").exists()
    follower.save()
    (tmp_path / "old").write_bytes(before)
    assert Snapshot(tmp_path / "old", told.vault).read() is None
    fresh = MemoryStore()
    assert follow(told, fresh, tmp_path / "state").catch_up() == 0
    assert not read(fresh).values["mood.about"].any()


def test_an_erasure_that_fails_halfway_is_done_again(told):
    class Failing(MemoryStore):
        broken = True

        def rewrite(self, *arguments, **named):
            if self.broken:
                raise StorageFailed("away")
            super().rewrite(*arguments, **named)

    store = Failing()
    follower = follow(told, store)
    told.start()
    told.say("a nice day", kept=True)
    follower.catch_up()
    told.erase()
    with pytest.raises(StorageFailed):
        follower.catch_up()
    assert read(store).values["mood.about"].any()
    store.broken = False
    follower.catch_up()
    assert not read(store).values["mood.about"].any()


def test_what_was_erased_while_nobody_followed_is_gone_after_the_next_start(told, tmp_path):
    follower = follow(told, path=tmp_path / "state")
    told.start()
    told.say("a nice day", kept=True)
    follower.catch_up()
    follower.save()
    told.erase()
    store = MemoryStore()
    follow(told, store, tmp_path / "state").catch_up()
    assert read(store).values["mood.turns"] == 1
    assert not read(store).values["mood.about"].any()


def test_a_view_made_of_another_versions_signals_is_not_computed(told):
    store = MemoryStore()
    old = structs.replace(MOOD, signals={"embedding": "letters-0"})
    follow(told, store, views=(old, VISITS))
    assert set(store.positions()) == {VISITS.version}


def test_a_snapshot_that_cannot_be_written_is_told(told, tmp_path):
    follower = follow(told, path=tmp_path / "no such folder" / "state")
    with pytest.raises(StorageFailed, match="free disk space"):
        follower.save()


def test_a_failure_of_the_store_is_made_up_for(told):
    class Failing(MemoryStore):
        broken = True

        def write(self, *arguments, **named):
            if self.broken:
                raise StorageFailed("away")
            super().write(*arguments, **named)

    store = Failing()
    follower = follow(told, store)
    told.start()
    told.say("a nice day")
    with pytest.raises(StorageFailed):
        follower.catch_up()
    store.broken = False
    follower.catch_up()
    assert read(store).values["mood.turns"] == 1


FOLLOWING = """
import sys
from pathlib import Path
from headset.core.clock import SystemClock
from headset.events.sqlite import SqliteLog
from headset.events.vault import Vault
from headset.features.follower import Follower, Snapshot
from headset.features.memory import MemoryStore
sys.path.insert(0, sys.argv[2])
from conversation_log import MOOD, VISITS, LengthSentiment, LetterEncoder
from headset.features.signal import SignalReader

folder = Path(sys.argv[1])
vault = Vault(folder / "keys.db", bytes(32))
log = SqliteLog(folder / "events.db", SystemClock())
signals = SignalReader(vault, LetterEncoder(), LengthSentiment())
follower = Follower(log, signals, MemoryStore(), Snapshot(folder / "state", vault))
follower.install([MOOD, VISITS])
position = 0
while True:
    until = min(follower.position + 7, log.head())
    follower.catch_up(until=until)
    follower.save()
    print(follower.position, flush=True)
"""


def test_after_a_kill_at_any_moment_and_a_replay_the_values_are_exact(tmp_path, root, seed):
    random = Random(seed)
    told = Told(tmp_path)
    told.log = SqliteLog(tmp_path / "events.db", SystemClock(), before_commit=told.vault.flush)
    now = SystemClock().now()
    for number in range(40):
        name = f"c-{number}"
        told.start(name)
        for position in range(10):
            time = now - random.randrange(3_000 * SECOND)
            told.say(
                "x" * random.randrange(1, 30) + "aeiou", name, position=position, time=time, kept=position % 2 == 0
            )
    script = textwrap.dedent(FOLLOWING)
    reached = 0
    for round_ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), str(root / "tests" / "features")], stdout=subprocess.PIPE
        )
        for _ in range(3 + 4 * round_):
            reached = int(child.stdout.readline())
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    assert 0 < reached <= told.log.head()
    resumed, straight = MemoryStore(), MemoryStore()
    after = follow(told, resumed, tmp_path / "state")
    assert after.position > 0
    after.catch_up()
    follow(told, straight).catch_up()
    requests = [FeatureRequest({"conversation": f"c-{number}", "customer": "ana"}, now) for number in range(40)]
    for one, other in zip(resumed.read(SERVICE, requests), straight.read(SERVICE, requests), strict=True):
        assert one.values.pop("mood.about").tobytes() == other.values.pop("mood.about").tobytes()
        assert one == other
        assert one.values["mood.turns"] == 10
    told.log.close()


def test_a_definition_without_signals_opens_no_text(told):
    store = MemoryStore()
    plain = structs.replace(
        MOOD,
        features=(Feature(name="position", expression=column("position"), aggregation=Mean(), window="1 h"),),
    )
    follower = follow(told, store, views=(plain,))
    told.start()
    told.say("a nice day")
    told.vault.destroy("customer:ana")
    follower.catch_up()
    assert told.signals.erased == set()
