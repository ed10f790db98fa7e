"""A process that appends until it is killed (or its count is reached), noting each acknowledgement.

    python killed_writer.py FOLDER SEED [COUNT]

Four threads seal and append; after each acknowledgement a line ``offset event_id subject sealed text`` goes to
``FOLDER/acknowledged`` in one write, which outlives the process.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from random import Random

from headset.core.clock import SystemClock
from headset.core.ids import Ids
from headset.events.schema import Event, TurnReceived
from headset.events.sqlite import SqliteLog
from headset.events.vault import Vault

THREADS = 4


def main(folder: Path, seed: int, count: int) -> None:
    """Append until killed."""
    vault = Vault(folder / "vault.db", bytes(32))
    clock = SystemClock()
    log = SqliteLog(folder / "events.db", clock, before_commit=vault.flush)
    ids = Ids(clock, Random(seed))
    notes = os.open(folder / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(thread: int) -> None:
        for number in range(count):
            subject = f"s{seed}-{thread}-{number // 3}"
            text = f"text {number} of {subject}"
            sealed = vault.seal(subject, text)
            payload = TurnReceived(turn_id=str(number), position=number, speaker="customer", text=sealed)
            event = Event(event_id=ids.new(), event_time=clock.now(), subject=subject, source="api", payload=payload)
            (offset,) = log.append([event])
            os.write(notes, f"{offset}\t{event.event_id.hex}\t{subject}\t{sealed}\t{text}\n".encode())

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    vault.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else sys.maxsize)
