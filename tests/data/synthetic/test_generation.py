from __future__ import annotations

from random import Random

import pytest

from headset.data.synthetic.domain import Domain
from headset.data.synthetic.fidelity import Fidelity
from headset.data.synthetic.generation import GENERATORS, build_generators, generate
from headset.data.synthetic.noise import mishear, near_keys, type_hastily
from headset.data.synthetic.paraphrase import recontract, turn_clauses
from headset.data.synthetic.privacy import PrivacyFilter
from headset.data.synthetic.token import join_tokens, normal, split_tokens
from headset.features.static_encoder import load_encoder

OPENINGS = ("Hello, ", "Can you tell me, ", "Please help: ", "I don't know, ", "")
THINGS = {
    "card": (
        "where is my new card",
        "my card has not come",
        "the card was lost in the post",
        "when will my card arrive",
    ),
    "fee": (
        "why was I charged 25 euros",
        "there is a fee of 3 pounds",
        "what is this extra fee",
        "I paid a fee on Monday",
    ),
    "top_up": (
        "how do I top up by 100 dollars",
        "my top up was declined",
        "the top up is pending",
        "can I top up by cheque",
    ),
}
PAIRS = [
    (f"{opening}{thing}{end}", intent)
    for intent, things in THINGS.items()
    for thing in things
    for opening, end in zip(OPENINGS, (" today?", "?", ".", " please.", ""), strict=True)
]


@pytest.fixture(scope="module")
def encoder():
    return load_encoder()


@pytest.fixture(scope="module")
def domain():
    return Domain([text for text, _ in PAIRS], [label for _, label in PAIRS])


@pytest.fixture(scope="module")
def make(domain, encoder):
    privacy, fidelity = PrivacyFilter([text for text, _ in PAIRS]), Fidelity(domain, encoder)

    def run(names, seed, count=8):
        generators = build_generators(names, domain, encoder)
        return generate(generators, {"fee": count}, privacy, fidelity, Random(seed))

    return run


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_makes_marked_rows_that_name_real_sources(make, name, seed):
    made = make((name,), seed, count=3)
    real = {text for text, _ in PAIRS}
    assert made.rows
    for row in made.rows:
        assert row.generator == name
        assert row.label == "fee"
        assert row.sources
        assert set(row.sources) <= real


def test_no_row_is_near_a_real_text_nor_made_twice(make, seed):
    privacy = PrivacyFilter([text for text, _ in PAIRS])
    for run in range(5):
        rows = make(GENERATORS, seed + run).rows
        assert not any(privacy.is_near_copy(row.text) for row in rows)
        assert len({normal(row.text) for row in rows}) == len(rows)


def test_what_is_refused_is_counted(make, seed):
    made = make(GENERATORS, seed)
    assert sum(made.refused.values()) > 0


def test_equal_seeds_make_equal_rows(make, seed):
    assert make(GENERATORS, seed) == make(GENERATORS, seed)
    assert make(GENERATORS, seed).rows != make(GENERATORS, seed + 1).rows


def test_an_intent_of_one_short_text_ends_and_says_that_it_fell_short(encoder, seed):
    pairs = [*PAIRS, ("ok", "confirm")]
    domain = Domain([text for text, _ in pairs], [label for _, label in pairs])
    made = generate(
        build_generators(GENERATORS, domain, encoder),
        {"confirm": 50},
        PrivacyFilter([text for text, _ in pairs]),
        Fidelity(domain, encoder),
        Random(seed),
    )
    assert made.short["confirm"] == len(made.rows) < 50


def test_generators_know_no_word_of_a_text_they_did_not_see(encoder, seed):
    seen = [pair for pair in PAIRS if "cheque" not in pair[0]]
    domain = Domain([text for text, _ in seen], [label for _, label in seen])
    made = generate(
        build_generators(("frame", "grammar", "paraphrase", "slot"), domain, encoder),
        {"top_up": 20},
        PrivacyFilter([text for text, _ in PAIRS]),
        Fidelity(domain, encoder),
        Random(seed),
    )
    assert made.rows
    assert not any("cheque" in row.text for row in made.rows)


def test_marks_stand_where_people_set_them():
    text = "I paid $5 (twice), why? It's 3.5% off."
    assert normal(join_tokens(split_tokens(text))) == normal(text)
    assert join_tokens(split_tokens("Where is it, then?")) == "Where is it, then?"


def test_clauses_turn_around_and_contractions_open_and_close(seed):
    turned = turn_clauses(split_tokens("My card is gone. What can I do?"))
    assert join_tokens(turned) == "What can I do? My card is gone."
    told = {join_tokens(recontract(split_tokens("I'm sure it is gone"), Random(seed + run))) for run in range(40)}
    assert told == {"I'm sure it is gone", "I am sure it is gone", "I'm sure it's gone", "I am sure it's gone"}


def test_noise_is_that_of_keyboards_and_recognisers(seed):
    random = Random(seed)
    assert set(near_keys("g")) == set("fhtb")
    typed = {type_hastily("Why was my transfer declined?", random) for _ in range(50)}
    assert len(typed) > 30
    heard = [mishear("Why was my transfer to Spain declined, please?", random) for _ in range(50)]
    assert all(text == text.lower() and "," not in text and "?" not in text for text in heard)
    assert any("too" in text.split() or "two" in text.split() for text in heard)
