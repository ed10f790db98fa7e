from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from headset.training.intent import fit_intent
from headset.training.recipe import Recipe
from headset.training.sample import spread_rows, widest_rows


def drawn(seed=7):
    return np.random.Generator(np.random.PCG64(seed))


@given(
    rows=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["x", "y", "z"])), min_size=1),
    limit=st.integers(3, 20),
)
def test_chosen_rows_are_different_texts_within_the_limit_and_no_intent_is_cut_below_another(rows, limit):
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    chosen = widest_rows(texts, labels, np.arange(len(rows)), limit, drawn())
    assert len(chosen) <= limit
    assert len({texts[row] for row in chosen}) == len(chosen)
    everything = widest_rows(texts, labels, np.arange(len(rows)), 10_000, drawn())
    there, kept = (Counter(labels[row] for row in some) for some in (everything, chosen))
    cut = [kept[label] for label in there if kept[label] < there[label]]
    assert not cut or max(kept.values()) - min(cut) <= 0
    assert set(kept) == set(there)


def test_a_text_counts_for_its_most_frequent_label():
    chosen = widest_rows(["Hi", "hi", "hi ", "bye"], ["a", "b", "b", "c"], np.arange(4), 10, drawn())
    assert chosen.tolist() == [1, 3]


def test_rows_to_calibrate_on_are_not_learned_and_come_from_every_intent():
    labels = ["frequent"] * 700 + ["rare"] * 70
    texts = [f"text {row}" for row in range(770)]
    learned, asked = spread_rows(texts, labels, 300, drawn())
    assert set(learned).isdisjoint(asked)
    assert Counter(labels[row] for row in learned)["rare"] == 60
    assert Counter(labels[row] for row in asked) == {"frequent": 100, "rare": 10}


def test_beyond_the_limit_one_fit_is_calibrated_on_rows_it_has_not_seen(examples, encoder):
    texts, labels = zip(*(examples * 6), strict=True)
    texts = [f"{text} {number % 7}" for number, text in enumerate(texts)]
    told = []
    fitted = fit_intent(
        texts,
        labels,
        encoder,
        seed=7,
        target_precision=0.9,
        progress=lambda step, share: told.append(step),
        recipe=Recipe(row_limit=1_000),
    )
    assert told[0] == "fit the model"
    assert 0 < fitted.temperature < 10
    assert fitted.metrics.accuracy > 0.8
