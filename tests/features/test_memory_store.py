from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from contracts.store import (
    DAY,
    MOOD,
    START,
    VERSIONS,
    VIEWS,
    StoreContract,
    feed,
    turn,
)

from headset.core.errors import InvalidInput
from headset.features import memory
from headset.features.memory import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def open_store(self):
        return MemoryStore

    @pytest.fixture
    def open_anew(self):
        return MemoryStore

    @pytest.fixture
    def held(self):
        return MemoryStore.snapshot

    def test_rows_of_another_shape_are_refused(self, store):
        feed(store, [turn(1, 1)])
        content = msgspec.msgpack.decode(store.snapshot())
        pieces = next(iter(content[1].values()))[3]
        rows = msgspec.msgpack.decode(pieces[0])
        rows[0][1][0][2].append(1)
        pieces[0] = msgspec.msgpack.encode(rows)
        other = MemoryStore()
        other.install(VIEWS)
        with pytest.raises(InvalidInput, match="holds other rows than view 'mood' has; fold the log again"):
            other.restore(msgspec.msgpack.encode(content))

    def test_reads_go_on_while_much_is_forgotten(self, store, monkeypatch):
        facts = [turn(number, START + number, f"c{number}") for number in range(1, 1_001)]
        store.write(facts, len(facts), VERSIONS)
        left = [len(facts)]

        def read():
            assert not store._turn.locked()
            left.append(len(store._live[MOOD.version].keys))

        monkeypatch.setattr(memory, "_let_others", read)
        store.expire(START + 100 * DAY)
        assert {before - after for before, after in pairwise(left)} <= {0, 100}
        assert not any(live.keys or live.fold.trails for live in store._live.values())
