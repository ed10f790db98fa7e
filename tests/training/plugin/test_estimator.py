"""A user's estimator on disk: equal estimators give equal bytes."""

from __future__ import annotations

from sklearn.feature_extraction.text import CountVectorizer
from skops import io as skops

from headset.training.plugin.estimator import canonical


def test_equal_estimators_in_other_places_of_memory_give_equal_bytes_whatever_words_they_know():
    texts = ["a file of __id__ and content", "schema.json of a class _stop_words_id content"]
    both = [CountVectorizer(token_pattern=r"\S+").fit(list(texts)) for _ in range(2)]
    first, second = (skops.dumps(each) for each in both)
    assert first != second
    assert canonical(first) == canonical(second)
    assert skops.loads(canonical(first), trusted=[]).vocabulary_ == both[0].vocabulary_
