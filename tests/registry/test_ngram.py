"""N-grams are those of scikit-learn's vectorisers, whatever the text."""

from __future__ import annotations

from collections import Counter

from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from headset.registry.ngram import WORD_PATTERN, character_ngrams, word_ngrams

WORDS = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD_PATTERN).build_analyzer()
CHARACTERS = TfidfVectorizer(analyzer="char", ngram_range=(3, 4)).build_analyzer()


@given(text=st.text())
@example(text="İSTANBUL \t\n x  y ?! ab")
def test_ngrams_equal_those_of_scikit_learn(text):
    assert Counter(word_ngrams(text.lower(), 1, 2)) == Counter(WORDS(text))
    assert Counter(character_ngrams(text.lower(), 3, 4)) == Counter(CHARACTERS(text))
