"""Languages are told apart, and short texts are left alone."""

from __future__ import annotations

import random

import pytest

from headset.data.quality.language import detect_language
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Why has my card not arrived yet?", "en"),
        ("Warum ist meine Karte noch nicht da?", "de"),
        ("¿Por qué no ha llegado mi tarjeta?", "es"),
        ("Pourquoi est-ce que ma carte n'est pas encore arrivée ?", "fr"),
        ("Perché la mia carta non è ancora arrivata?", "it"),
        ("Por que o meu cartão ainda não chegou?", "pt"),
        ("Waarom is mijn kaart nog niet aangekomen?", "nl"),
        ("Dlaczego moja karta jeszcze nie jest u mnie?", "pl"),
        ("Varför har jag inte fått mitt kort?", "sv"),
        ("Neden daha gelmedi, benim için çok önemli", "tr"),
        ("Почему моя карта не пришла?", "ru"),
        ("カードはどこですか", "ja"),
        ("我的卡在哪里", "zh"),
        ("أين بطاقتي", "ar"),
        ("iPhone 13", None),
        ("", None),
        ("4111 !!!", None),
    ],
)
def test_a_language_is_recognised(text, language):
    assert detect_language(text) == language


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_customers_are_hardly_ever_taken_for_others(language, seed):
    examples = write_examples(make_world(read_scenario("quiet_week")), 400, random.Random(seed), language=language)
    found = [detect_language(each.text) for each in examples]
    assert sum(each not in {language, None} for each in found) <= 8
    assert found.count(None) < 0.4 * len(found)
