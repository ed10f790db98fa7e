from __future__ import annotations

import msgspec
import pytest
from contracts.store import VIEWS, StoreContract, feed, turn

from headset.core.errors import InvalidInput
from headset.features.memory import MemoryStore


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def open_store(self):
        return MemoryStore

    @pytest.fixture
    def open_anew(self):
        return MemoryStore

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
