"""A log with its vault and door, and the real files where they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from headset.core.clock import ManualClock
from headset.data.importer import import_file
from headset.events.door import Door
from headset.events.memory import MemoryLog
from headset.events.vault import Vault

NOW = 1_790_000_000_000_000


@pytest.fixture
def clock():
    return ManualClock(NOW)


@pytest.fixture
def log(clock):
    return MemoryLog(clock)


@pytest.fixture
def vault(tmp_path):
    vault = Vault(tmp_path / "keys.db", b"k" * 32)
    yield vault
    vault.close()


@pytest.fixture
def import_as(log, vault, clock):
    """``import_as("csv", path, "bank")`` imports into the test's log."""

    def run(format_name, path, name="bank", **options):
        return import_file(path, format_name, name, log=log, door=Door(vault), clock=clock, **options)

    return run


@pytest.fixture
def write(tmp_path):
    """``write("text,label\\n...")`` gives the path of a file with that content."""
    count = 0

    def run(content):
        nonlocal count
        count += 1
        path = tmp_path / f"file{count}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return run


@pytest.fixture
def real_file(root):
    """``real_file("uss/SGD.txt")`` gives the path of a published data set's file, or skips."""

    def find(name):
        folder = Path(os.environ.get("HEADSET_DATA") or root.parent / "shared" / "data")
        path = folder / name
        if not path.is_file():
            pytest.skip(f"{name} is neither in ../shared/data nor in HEADSET_DATA")
        return path

    return find
