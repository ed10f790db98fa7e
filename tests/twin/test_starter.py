from __future__ import annotations

import re
from collections import Counter
from io import BytesIO
from random import Random

import msgspec
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from headset.core.clock import parse_iso
from headset.data.formats import jsonl
from headset.data.row import Dialogue
from headset.events.redaction import redact
from headset.twin.starter import starter_conversations, starter_examples, starter_intents, starter_replies

UNTIL = 1_790_000_000_000_000


@pytest.fixture(scope="module")
def examples():
    return starter_examples(4_000, Random(7))


def test_there_are_enough_intents_in_equal_shares(examples):
    counts = Counter(example.intent for example in examples)
    assert len(counts) >= 24
    assert max(counts.values()) - min(counts.values()) <= 1


def test_equal_seeds_give_equal_texts(examples):
    assert starter_examples(4_000, Random(7)) == examples
    assert starter_examples(100, Random(8)) != starter_examples(100, Random(9))
    assert starter_conversations(20, Random(1), UNTIL) == starter_conversations(20, Random(1), UNTIL)


def test_every_text_is_complete_and_varied(examples):
    assert not [
        example.text
        for example in examples
        if re.search(r"[(){}|]|\s\s|^\W*$", example.text) and ":(" not in example.text
    ]
    assert len({example.text for example in examples}) > 0.9 * len(examples)
    lengths = sorted(len(example.text.split()) for example in examples)
    assert lengths[len(lengths) // 20] <= 5
    assert lengths[-len(lengths) // 20] >= 16


def test_no_text_holds_what_redaction_would_take_out(examples):
    assert not [example.text for example in examples if redact(example.text).counts]


def test_held_out_texts_can_be_learned_but_not_perfectly(examples):
    model = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True), LinearSVC())
    training, held_out = examples[:3_000], examples[3_000:]
    model.fit([example.text for example in training], [example.intent for example in training])
    accuracy = model.score([example.text for example in held_out], [example.intent for example in held_out])
    assert 0.92 <= accuracy <= 0.985


def test_every_intent_has_replies():
    assert set(starter_replies()) == set(starter_intents())
    assert all(3 <= len(replies) <= 6 for replies in starter_replies().values())


def test_conversations_are_lines_of_the_import_format():
    conversations = starter_conversations(300, Random(7), UNTIL)
    lines = b"\n".join(map(msgspec.json.encode, conversations))
    dialogues = list(jsonl.parse(BytesIO(lines)))
    assert all(isinstance(dialogue, Dialogue) for dialogue in dialogues)
    assert [turn.text for turn in dialogues[0].turns] == [turn.text for turn in conversations[0].turns]
    assert Counter(dialogue.resolution for dialogue in dialogues)["resolved"] > 200
    assert any(dialogue.csat for dialogue in dialogues)
    assert all(turn.intent is None or turn.speaker == "customer" for dialogue in dialogues for turn in dialogue.turns)


def test_conversations_lie_before_the_time_given_in_order():
    started = [parse_iso(one.started, field="started") for one in starter_conversations(100, Random(7), UNTIL)]
    ended = [parse_iso(one.turns[-1].time, field="time") for one in starter_conversations(100, Random(7), UNTIL)]
    assert started == sorted(started)
    assert max(ended) < UNTIL
