from __future__ import annotations

from contracts.log import LogContract

from headset.events.memory import MemoryLog


class TestMemoryLog(LogContract):
    def open_log(self, folder, clock):
        return MemoryLog(clock)
