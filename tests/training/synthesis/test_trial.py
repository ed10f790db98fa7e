from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headset.core.errors import InvalidInput
from headset.data.dataset import Dataset, fingerprint
from headset.data.synthetic.privacy import PrivacyFilter
from headset.data.synthetic.row import SyntheticRow
from headset.features.static_encoder import load_encoder
from headset.training.recipe import SHIPPED
from headset.training.split import hold_out, learnable, set_apart
from headset.training.synthesis.job import SynthesisRequest, check_size, find_rare
from headset.training.synthesis.trial import bootstrap_gain, judge, try_synthesis

SYLLABLES = ("ba", "do", "ki", "lu", "me", "no", "ra", "su", "ti", "vo")


def dataset(pairs, name="shop"):
    pairs = sorted(pairs)
    texts, labels = tuple(text for text, _ in pairs), tuple(label for _, label in pairs)
    return Dataset(name, texts, labels, texts, fingerprint(texts, labels))


@pytest.fixture(scope="module")
def world():
    """Two frequent intents and two rare ones whose telling words come in many forms; rare texts use frequent words."""
    random = Random(5)
    kinds = {"order": "abcdefgh", "bill": "ijklmnop", "rare_x": "qrstuvwx", "rare_y": "yzabklqr"}
    words = {label: ["".join(random.choices(letters, k=6)) for _ in range(20)] for label, letters in kinds.items()}

    def write(label, telling=2):
        filler = random.choices(words[random.choice(["order", "bill"])], k=3)
        told = [*random.choices(words[label], k=telling), *filler]
        random.shuffle(told)
        return " ".join(told)

    return [
        (write(label), label)
        for label, count in {"order": 90, "bill": 90, "rare_x": 9, "rare_y": 9}.items()
        for _ in range(count)
    ], write


def run_trial(world, make, seed):
    pairs, _ = world
    texts, labels = zip(*pairs, strict=True)
    return try_synthesis(texts, labels, ["rare_x", "rare_y"], make, load_encoder(), SHIPPED, seed=seed)


@pytest.mark.slow
def test_rows_that_teach_are_kept(world, seed):
    def make(texts, labels, seed):
        return [SyntheticRow(world[1](label), label, "test", ()) for label in ("rare_x", "rare_y") for _ in range(60)]

    trial = run_trial(world, make, seed)
    assert trial.kept, trial.reason
    assert trial.low > 0
    assert trial.synthetic > trial.real


@pytest.mark.slow
def test_rows_that_mislead_are_rejected_with_the_numbers(world, seed):
    def make(texts, labels, seed):
        wrong = {"rare_x": "order", "rare_y": "bill"}
        return [SyntheticRow(world[1](wrong[label]), label, "test", ()) for label in wrong for _ in range(60)]

    trial = run_trial(world, make, seed)
    assert not trial.kept
    assert "points" in trial.reason


@pytest.mark.slow
def test_rows_are_made_from_the_texts_to_learn_from_alone_and_every_real_row_is_measured(world, seed):
    asked = []

    def make(texts, labels, seed):
        asked.append((tuple(texts), seed))
        return [SyntheticRow("nothing new", "rare_x", "test", ())]

    trial = run_trial(world, make, seed)
    sizes = [len(texts) for texts, _ in asked]
    assert len(asked) == trial.folds * trial.repeats
    assert all(size < trial.rows for size in sizes)
    assert sum(trial.rows - size for size in sizes) == trial.rows * trial.repeats
    assert len({number for _, number in asked}) == len(asked)


@pytest.mark.parametrize(
    ("gain", "low", "high", "others", "kept", "why"),
    [
        (0.05, 0.01, 0.09, 0.0, True, "+5.0 points (95 % interval +1.0 to +9.0)"),
        (0.05, 0.0, 0.1, 0.0, False, "may be chance"),
        (-0.02, -0.04, -0.01, 0.0, False, "may be chance"),
        (0.05, 0.01, 0.09, -0.011, False, "they may lose 1 at most"),
    ],
)
def test_the_rule_is_an_interval_above_zero_and_no_harm_to_others(gain, low, high, others, kept, why):
    found, reason = judge(gain, low, high, others)
    assert found is kept
    assert why in reason


def test_the_interval_holds_no_gain_where_both_answer_alike(seed):
    random = np.random.Generator(np.random.PCG64(seed))
    truth = random.integers(0, 3, 200)
    answers = np.where(random.random(200) < 0.7, truth, 0)
    gains = bootstrap_gain(truth, np.array([[answers], [answers]]), np.array([1, 2]), random)
    assert np.all(gains == 0)


def test_chance_alone_is_kept_in_few_of_many_trials(seed):
    """Two equally good models: their gain is 0, and its interval lies above 0 in some 2.5 % of trials."""
    random = np.random.Generator(np.random.PCG64(seed))
    false = 0
    for _ in range(100):
        truth = np.repeat([0, 1, 2], [60, 30, 30])
        arms = [[np.where(random.random(120) < 0.7, truth, random.integers(0, 3, 120))] for _ in range(2)]
        gains = bootstrap_gain(truth, np.array(arms), np.array([1, 2]), random)
        false += bool(np.quantile(gains, 0.025) > 0)
    assert false <= 8


WORDS = ("bill", "late", "card", "gone", "help", "when", "money", "back")
DATA = dataset([(f"{WORDS[number % 8]} {SYLLABLES[number % 10]} {number}", f"i{number % 3}") for number in range(63)])


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.sampled_from(WORDS), st.lists(st.sampled_from(DATA.texts), min_size=1, max_size=3))),
    st.integers(0, 99),
)
def test_synthetic_rows_are_never_measured_on_nor_know_what_is(made, seed):
    rows = [SyntheticRow(f"made up {word}", "i1", "test", tuple(sources)) for word, sources in made]
    for split in (hold_out(DATA, seed, rows), set_apart(DATA, dataset([("other words", "i0")], "test"), rows)):
        assert not {row.text for row in rows} & set(split.test_texts)
        assert not {row.text for row in rows} & set(split.texts)
        for row in split.synthetic:
            assert set(row.sources) <= set(split.texts)
            assert not set(row.sources) & set(split.test_texts)
    assert sorted([*hold_out(DATA, seed, rows).texts, *hold_out(DATA, seed, rows).test_texts]) == list(DATA.texts)


def test_a_row_near_a_test_text_is_not_learned_from():
    near = SyntheticRow("Where did my money go?", "i1", "test", (DATA.texts[0],))
    far = SyntheticRow("completely different words here", "i1", "test", (DATA.texts[0],))
    split = set_apart(DATA, dataset([("where did my money go", "i1")], "test"), [near, far])
    assert split.synthetic == [far]
    assert not any(PrivacyFilter(split.test_texts).is_near_copy(row.text) for row in split.synthetic)


def test_sources_that_differ_in_case_are_the_same():
    row = SyntheticRow("made", "i0", "test", (" HELLO  there",))
    assert learnable([row], ["hello there"]) == [row]
    assert learnable([row], ["hello"]) == []


COUNTS = [("a", 40), ("b", 40), ("few", 5), ("one", 1)]


def counted(*counts):
    return dataset([(f"{label} {number}", label) for label, count in counts for number in range(count)])


def test_rare_intents_are_found_and_those_with_too_few_texts_named():
    assert find_rare(counted(*COUNTS), 10) == ({"few": 5}, {"one": 1})


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (counted(), "'shop' holds 0 readable texts; import more"),
        (counted(("a", 40)), "has 1 intents; rows are made where there are 2 or more"),
        (
            counted(("a", 40), ("b", 30)),
            "no intent of 'shop' has fewer than 10 different texts; the rarest, 'b', has 30",
        ),
        (counted(("a", 40), ("b", 1)), "from 3 different texts of an intent or more, but 'b' has 1"),
    ],
)
def test_data_without_work_to_do_is_refused_with_the_reason(data, problem):
    with pytest.raises(InvalidInput) as refusal:
        find_rare(data, 10)
    assert problem in str(refusal.value)


def test_more_texts_than_can_be_indexed_in_memory_are_refused():
    many = ("some text",) * 200_001
    with pytest.raises(InvalidInput, match="'shop' holds 200,001 texts, the limit is 200,000"):
        check_size(Dataset("shop", many, many, many, "f"))
    check_size(Dataset("shop", many[1:], many[1:], many[1:], "f"))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rare": 0}, "rare: is 0; give a number from 1 to 1000"),
        ({"per_intent": 10_000_000}, "per-intent: is 10000000; give a number from 1 to 1000"),
        ({"generators": ("magic",)}, "generators: 'magic' is unknown; there are frame"),
        ({"seed": -1}, "seed: is -1"),
    ],
)
def test_absurd_requests_are_refused(changes, problem):
    with pytest.raises(InvalidInput) as refusal:
        SynthesisRequest(dataset="shop", name="more", **changes).check()
    assert problem in str(refusal.value)
