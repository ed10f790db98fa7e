"""A home with data in it, and one MLflow store for all tests: making one takes seconds."""

from __future__ import annotations

import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest

from headset.core.clock import ManualClock
from headset.core.ids import Ids
from headset.data.importer import import_items
from headset.data.row import Row
from headset.events.door import Door
from headset.events.memory import MemoryLog
from headset.events.vault import Vault
from headset.features.static_encoder import load_encoder
from headset.registry.seal import Seal
from headset.registry.store import Registry
from headset.training.intent_job import train_intent
from headset.training.recipe import SHIPPED, IntentRequest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the suites in tests/contracts

INTENTS = ("battery", "coverage", "discount", "parcel", "refund", "voicemail")
OPENINGS = ("a question about my", "can you look at the", "please help me with the", "what happened to my")
CLOSINGS = ("as soon as you can", "from last week", "since yesterday", "thank you very much", "today")
START_US = 1_700_000_000_000_000


@pytest.fixture(scope="session")
def tracking_uri(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('tracking') / 'mlflow.db'}"


@pytest.fixture(scope="session")
def encoder():
    return load_encoder()


@pytest.fixture(scope="session")
def open_home(tmp_path_factory, tracking_uri, encoder):
    """``open_home()`` gives an empty home: ``add(name, pairs)`` fills it, ``train(dataset, ...)`` trains."""
    opened = []

    def home():
        folder = tmp_path_factory.mktemp("home")
        clock = ManualClock(START_US)
        log, vault = MemoryLog(clock), Vault(folder / "keys.db", b"k" * 32)
        registry = Registry(log, folder / "models", clock, Ids(clock, Random(7)), Seal(vault.digest))
        opened.append(vault)

        def add(name, pairs):
            rows = [Row(number, text, label) for number, (text, label) in enumerate(pairs, 1)]
            import_items(rows, name, log=log, door=Door(vault), clock=clock)

        def train(dataset, test=None, seed=7, target_precision=0.9, recipe=SHIPPED, name="intent", **changes):
            phases, said = {}, StringIO()
            request = IntentRequest(
                name=name, dataset=dataset, test=test, seed=seed, target_precision=target_precision, recipe=recipe
            )
            arguments = {
                "log": log, "vault": vault, "registry": registry, "encoder": encoder, "home": folder,
                "request": request,
                "tracking_uri": tracking_uri, "clock": clock, "commit": "c0ffee",
                "progress": lambda phase, part: phases.setdefault(phase, []).append(part),
            }  # fmt: skip
            with redirect_stdout(said), redirect_stderr(said):
                report = train_intent(**arguments | changes)
            return SimpleNamespace(report=report, phases=phases, said=said.getvalue())

        return SimpleNamespace(folder=folder, log=log, vault=vault, registry=registry, add=add, train=train)

    yield home
    for part in opened:
        part.close()


@pytest.fixture(scope="session")
def examples():
    """Texts whose telling word is always spelt anew: easy by its letters, beyond a baseline that counts words.

    One in ten says one thing and is labelled another.
    """
    random = Random(7)

    def write(intent):
        if random.random() < 0.1:
            intent = random.choice(INTENTS)
        ending = "".join(random.choices("aeioulrst", k=4))
        return f"{random.choice(OPENINGS)} {intent}{ending} {random.choice(CLOSINGS)}"

    return [(write(intent), intent) for intent in INTENTS for _ in range(40)]
