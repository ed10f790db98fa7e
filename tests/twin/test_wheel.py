from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from headset.twin.wheel import Wheel

WEIGHTS = st.dictionaries(
    st.integers(), st.floats(min_value=0, max_value=1e12, allow_subnormal=False), min_size=1, max_size=40
).filter(lambda weights: any(weights.values()))


def test_things_come_in_proportion_to_their_weights():
    weights = {"a": 1, "b": 2.5, "c": 0, "d": 0.1, "e": 6.4}
    wheel, random = Wheel(weights), Random(11)
    drawn = Counter(wheel.draw(random) for _ in range(50_000))
    kept = [thing for thing, weight in weights.items() if weight]
    expected = [50_000 * weights[thing] / sum(weights.values()) for thing in kept]
    assert set(drawn) == set(kept)
    assert chisquare([drawn[thing] for thing in kept], expected).pvalue > 0.001


@given(WEIGHTS, st.integers(min_value=0))
def test_only_what_has_a_weight_is_drawn_and_equal_seeds_draw_the_same(weights, seed):
    wheel = Wheel(weights)
    drawn = [wheel.draw(random) for random in [Random(seed)] for _ in range(20)]
    assert all(weights[thing] > 0 for thing in drawn)
    assert drawn == [wheel.draw(random) for random in [Random(seed)] for _ in range(20)]


@given(WEIGHTS, st.sampled_from([0.0, 0.5, 1 - 2**-53]))
def test_both_ends_of_the_wheel_hold(weights, at):
    class Stopped(Random):
        def random(self):
            return at

    assert weights[Wheel(weights).draw(Stopped())] > 0
