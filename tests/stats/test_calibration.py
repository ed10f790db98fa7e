from __future__ import annotations

import numpy as np

from headset.stats.calibration import calibration_interval


def measure(rng, rows, shift):
    sure = rng.uniform(0.5, 1, rows)
    return calibration_interval(sure, rng.uniform(size=rows) < sure - shift, rng, draws=100)


def test_a_perfect_model_is_not_blamed_for_chance(seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    found = [measure(rng, 500, 0.0) for _ in range(60)]
    assert np.mean([each.value for each in found]) < np.mean([each.measured for each in found])
    assert np.mean([each.low <= 0.05 for each in found]) > 0.95


def test_an_error_is_found_as_large_as_it_is(seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    found = [measure(rng, 1_000, 0.15) for _ in range(60)]
    assert abs(np.mean([each.value for each in found]) - 0.15) < 0.02
    assert np.mean([each.low <= 0.15 <= each.high for each in found]) > 0.88
