"""Texts in another language than they should be in."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from headset.data.quality.finding import judged, skipped
from headset.data.quality.language import detect_language

if TYPE_CHECKING:
    from headset.data.quality.finding import Finding
    from headset.data.quality.limit import LanguageCeiling
    from headset.data.quality.table import LabelledTable

_USUAL_RATIO = 0.02
_LEAST_TEXTS = 20


def check_language(table: LabelledTable, limit: LanguageCeiling, *, reference: LabelledTable | None) -> Finding:
    """Texts whose language is neither the one stated, nor expected, nor usual in the reference.

    A conversation's own word comes first, then the limits' ``expected``, then the languages of at least 2 % of the
    reference's texts. Where nobody says anything, the most frequent language is taken for the right one, and others
    are told, and never fail. Texts too short to tell are passed over.
    """
    found = [
        (place, stated, detected)
        for place, text, stated in table.frame.select("id", "text", "language").iter_rows()
        if (detected := detect_language(text or "")) is not None
    ]
    if len(found) < _LEAST_TEXTS:
        return skipped("language", limit, f"only {len(found)} texts are long enough to tell; it takes {_LEAST_TEXTS}")
    expected, source = set(limit.expected), "expected"
    if not expected and reference is not None:
        expected, source = _usual(reference), "usual in the reference"
    guessed = not expected
    if guessed:
        expected, source = {Counter(detected for _, _, detected in found).most_common(1)[0][0]}, "most frequent"
    wrong = [
        (place, stated, detected)
        for place, stated, detected in found
        if (detected != stated[:2].lower() if stated else detected not in expected)
    ]
    value = len(wrong) / len(found)
    counts = Counter(detected for _, _, detected in wrong)
    beside = f"stated, or else {source} ({', '.join(sorted(expected))})"
    return judged(
        "language",
        limit,
        value,
        f"{len(wrong)} of {len(found)} texts are in another language than {beside}",
        unit="of texts long enough to tell",
        rows=[place for place, _, _ in wrong],
        parts=dict(counts.most_common()),
        blocks=not guessed or limit.judge(sum(bool(stated) for _, stated, _ in wrong) / len(found)) == "fail",
    )


def _usual(reference: LabelledTable) -> set[str]:
    detected = map(detect_language, reference.frame["text"].drop_nulls())
    counts = Counter(language for language in detected if language is not None)
    return {language for language, count in counts.items() if count >= _USUAL_RATIO * counts.total()}
