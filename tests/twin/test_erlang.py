"""The floor gives the waits and abandonments of theory; ``benchmarks/twin_erlang.py`` holds the estimator."""

from __future__ import annotations

from runpy import run_path
from types import SimpleNamespace

import numpy as np
import pytest

from headset.twin.floor import Floor

CONTACTS = 60_000
TOLERANCE = 0.02


class TardyFloor(Floor):
    """Lets customers wait a tenth longer than they want to."""

    def request(self, skill, patience_s=None, *, urgency=0):
        return super().request(skill, patience_s * 1.1, urgency=urgency)


@pytest.fixture
def script(root):
    return SimpleNamespace(**run_path(str(root / "benchmarks" / "twin_erlang.py")))


def relative_errors(script, setting, seed):
    course = script.simulate(setting, CONTACTS, np.random.default_rng(seed))
    found = script.estimate(*script.batch(setting, course))
    exact = np.array([getattr(setting.exact(), name) for name in script.FIGURES])
    print(f"{setting}: exact {exact}, simulated {found.value} ± {found.error} (seed {seed})")  # noqa: T201 - the figures are the test's report
    return np.abs(found.value - exact) / np.maximum(exact, 1e-9)


@pytest.mark.parametrize(
    ("agents", "utilisation", "patience"),
    [(1, 0.9, None), (10, 0.8, None), (50, 0.9, None), (2, 0.5, 0.5), (10, 1.2, 3.0)],
)
def test_waits_and_abandonments_are_those_of_theory(script, seed, agents, utilisation, patience):
    setting = script.Setting(agents, utilisation, patience)
    assert max(relative_errors(script, setting, seed)) <= TOLERANCE


def test_a_floor_that_lets_customers_wait_too_long_is_found_out(script, seed, monkeypatch):
    monkeypatch.setitem(script.simulate.__globals__, "Floor", TardyFloor)
    assert max(relative_errors(script, script.Setting(10, 1.2, 3.0), seed)) > TOLERANCE
