"""Words are hashed anew in every process; nothing that is made or told may depend on it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_MAKE = """
import polars as pl
from random import Random
from headset.data.quality.profile import profile_data
from headset.data.quality.table import table_of
from headset.data.synthetic.domain import Domain
from headset.data.synthetic.fidelity import Fidelity
from headset.data.synthetic.generation import GENERATORS, build_generators, generate
from headset.data.synthetic.privacy import PrivacyFilter
from headset.features.static_encoder import load_encoder

words = [consonant + vowel + "ng" for consonant in "bdklm" for vowel in "aeiou"]
texts = [f"{words[n % 25]} {words[(7 * n + n // 25) % 25]} my {words[(11 * n + n // 25) % 25]} now" for n in range(75)]
labels = [f"i{number % 3}" for number in range(75)]
domain, encoder = Domain(texts, labels), load_encoder()
generators = build_generators(GENERATORS, domain, encoder)
print([domain.vocabulary(limit) for limit in range(1, 20)])
print(generate(generators, {"i0": 12}, PrivacyFilter(texts), Fidelity(domain, encoder), Random(7)))
print(list(profile_data(table_of(pl.DataFrame({"text": texts, "label": labels}), "mine")).common_words.items()))
"""


@pytest.mark.slow
def test_rows_and_profiles_do_not_depend_on_the_seed_of_hashes():
    told = {
        subprocess.run(
            [sys.executable, "-c", _MAKE],
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert "bong" in told.pop()
