from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from headset.data.occurrence import Occurrences


@given(st.lists(st.binary(max_size=2)))
def test_counts_are_those_of_a_counter(keys):
    counter = Counter()
    with Occurrences() as seen:
        for key in keys:
            assert seen.add(key) == counter[key]
            counter[key] += 1
