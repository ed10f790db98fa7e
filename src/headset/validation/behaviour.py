"""Behavioural tests after CheckList (Ribeiro et al., ACL 2020), and those made from the data itself.

* **minimum** functionality: a text must be understood, or handed over.
* **invariance**: a change that means nothing must not change the intent.
* **direction**: a change must move the answer the way it should.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal

import numpy as np
from msgspec import Struct

from headset.twin.grammar import expand
from headset.twin.phrasebook import LANGUAGES, load_phrasebook
from headset.validation.noise import NOISES, garble

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.validation.context import Context

Kind = Literal["minimum", "invariance", "direction"]
Direction = Literal["rises", "falls"]

SLACK = 0.05
"""Confidence may move by so much before it counts as moved."""

_PERSON_ASKED = 12


class Case(Struct, frozen=True):
    """A text, and what becomes of it when it is changed."""

    text: str
    changed: str | None = None


class Behaviour(Struct, frozen=True, kw_only=True):
    """One behavioural test.

    Attributes:
        name: What must hold, in words.
        kind: See the module.
        cases: What is tried.
        limit: Highest share of cases that may fail.
        sampled: The cases stand for all texts, so that their failures are judged by an interval; otherwise they are
            all there is, and counted.
        intents: Of which one must be said (of the changed text, if any); empty for any.
        handover: Whether a person must answer (the changed text, if any); None for either.
        confidence: What must happen, by the change, to the confidence in the intent said first; None for anything.
    """

    name: str
    kind: Kind
    cases: tuple[Case, ...]
    limit: float
    sampled: bool = False
    intents: frozenset[str] = frozenset()
    handover: bool | None = None
    confidence: Direction | None = None


def built_in(context: Context) -> list[Behaviour]:
    """The tests made from the rows of a context."""
    texts = _sample(context.rows.texts, context.limits.suite_cases, context.random("suite"))
    random = Random(context.seed)  # noqa: S311 - a seeded sample
    tests = [_invariance(name, texts, random, getattr(context.limits, name)) for name in NOISES]
    tests += [
        Behaviour(
            name="confidence does not grow when letters are shuffled",
            kind="direction",
            cases=tuple(Case(text, garble(text, random)) for text in texts),
            limit=context.limits.garbled,
            sampled=True,
            confidence="falls",
        ),
        _two_matters(context, texts, random),
        _person_added(context, texts, random),
        _person_asked(context, random),
    ]
    return [test for test in tests if test.cases]


_HOLDS = {
    "typos": "one slip of the fingers does not change the intent",
    "case": "capitals do not change the intent",
    "punctuation": "punctuation does not change the intent",
    "accents": "missing accents do not change the intent",
    "greetings": "a greeting or thanks does not change the intent",
    "details": "other numbers or a name do not change the intent",
}


def _invariance(name: str, texts: Sequence[str], random: Random, limit: float) -> Behaviour:
    pairs = [Case(text, NOISES[name](text, random)) for text in texts]
    cases = tuple(case for case in pairs if case.changed != case.text)
    return Behaviour(name=_HOLDS[name], kind="invariance", cases=cases, limit=limit, sampled=True)


def _two_matters(context: Context, texts: Sequence[str], random: Random) -> Behaviour:
    """Another row's request, of another intent, follows."""
    label = dict(zip(context.rows.texts, context.rows.labels, strict=True))
    cases = []
    for text in texts:
        other = random.choice(texts)
        if label[other] != label[text]:
            cases.append(Case(text, f"{text} {other}"))
    return Behaviour(
        name="confidence does not grow when another request follows",
        kind="direction",
        cases=tuple(cases),
        limit=context.limits.two_matters,
        sampled=True,
        confidence="falls",
    )


def _person_added(context: Context, texts: Sequence[str], random: Random) -> Behaviour:
    plain = ("I want to speak to a person.", "Please let me talk to a human.", "I need an agent.")
    return Behaviour(
        name="a request for a person, added to a text, is granted",
        kind="direction",
        cases=tuple(Case(text, f"{text} {random.choice(plain)}") for text in texts),
        limit=context.limits.person,
        sampled=True,
        handover=True,
    )


def _person_asked(context: Context, random: Random) -> Behaviour:
    """In the languages of the phrasebooks."""
    books = [load_phrasebook(language) for language in LANGUAGES]
    texts = {
        expand(template, book.slots, random)
        for book in books
        for template in book.phrases.person
        for _ in range(_PERSON_ASKED)
    }
    return Behaviour(
        name="a customer who asks for a person gets one",
        kind="minimum",
        cases=tuple(map(Case, sorted(texts))),
        limit=context.limits.person,
        sampled=True,
        handover=True,
    )


def _sample(texts: Sequence[str], count: int, random: np.random.Generator) -> list[str]:
    if len(texts) <= count:
        return list(texts)
    return [texts[place] for place in np.sort(random.choice(len(texts), count, replace=False))]
