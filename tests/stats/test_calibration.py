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


def test_rows_that_are_alike_tell_no_more_than_one_of_them(seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    sure = rng.uniform(0, 1, 300)
    right = rng.uniform(size=300) < sure
    once = calibration_interval(sure, right, rng, groups=np.arange(300))
    copies = [np.repeat(each, 5) for each in (sure, right, np.arange(300))]
    together = calibration_interval(copies[0], copies[1], rng, groups=copies[2])
    alone = calibration_interval(copies[0], copies[1], rng)
    assert abs(together.high - once.high) < 0.01
    assert alone.high - alone.low < 0.7 * (once.high - once.low)
