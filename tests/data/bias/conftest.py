"""Outcomes whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from headset.data.bias.outcome import Outcomes


@pytest.fixture
def draw():
    """``draw(rng, gap=0.08)`` gives outcomes in which people who speak ``es`` are found 8 points less often."""

    def run(random, *, rows=2_000, gap=0.0, share=0.4, recall=0.92, groups=None):
        spanish = random.random(rows) < share
        right = random.random(rows) < recall - gap * spanish
        confidence = np.where(right, random.beta(9, 1.2, rows), random.beta(3, 2.5, rows))
        language = {"language": np.where(spanish, "es", "en")}
        intents = random.integers(0, 10, rows).astype(np.str_)
        return Outcomes(intents, right, confidence, confidence < 0.7, language | (groups or {}))

    return run
