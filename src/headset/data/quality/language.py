"""Which language a text is in: by its script, then by the small words that every sentence needs.

Counting function words is the oldest method and the cheapest (Grefenstette, "Comparing two language identification
schemes", 1995). It says nothing of a text without them, which is what a check wants: "iPhone 13" is no language.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from headset.data.quality.word import words_of

if TYPE_CHECKING:
    from collections.abc import Mapping

# Function words of spoken and written service conversations; contractions stand as people write them.
_SMALL_WORDS: Mapping[str, str] = {
    "en": "the and is are was were be been a an i i'm i've you your my me we our it it's they he she this that these "
    "those to of in on at for from with by about as but or not no don't doesn't didn't can't won't isn't can could "
    "would will do does did have has had what when where why how who which there here if so just any some because "
    "please still than then get got been into out up after before again should",
    "de": "der die das den dem des ein eine einen einem einer und ist sind war waren bin ich du er sie es wir ihr mein "
    "meine meinen meinem meiner mich mir uns unser unsere nicht kein keine keinen zu zum zur von vom mit bei für auf "
    "aus an am im in nach seit über aber oder wenn weil dass wie was wann wo warum wer kann können könnte habe hat "
    "haben hatte wird werden wurde noch schon auch nur sich ihnen ihre bitte gibt jetzt immer mal doch",
    "es": "el la los las un una unos unas y e o es son era está están estoy soy yo tú él ella nosotros mi mis me te se "
    "nos lo le les no de del al a en con por para sin sobre desde hasta que qué cuando cuándo donde dónde cómo como "
    "quién cuál por porque pero si ya muy más he ha han hay tengo tiene puedo puede pueden quiero quisiera mío esta "
    "este esto ese esa todavía también",
    "fr": "le la les l' un une des du de et est sont était suis je j'ai tu il elle nous vous ils mon ma mes me moi te "
    "se ne pas ce cette ces c'est qu'il à au aux en dans sur avec pour par sans chez depuis que qui quand où comment "
    "pourquoi quoi mais ou si ai as a avez ont avons peux peut pouvez voudrais plus très aussi encore toujours votre "
    "notre y d'un n'est",
    "it": "il lo la i gli le un uno una e ed è sono era ho hai ha hanno abbiamo io tu lui lei noi voi mio mia miei mie "
    "mi ti si ci vi non di del della dei delle a al alla da dal dalla in nel nella con su sul sulla per tra che chi "
    "cosa quando dove come perché ma o se più molto anche ancora questo questa quello posso può potete vorrei",
    "pt": "o a os as um uma uns umas e é são era está estão estou sou eu tu ele ela nós meu minha meus minhas me te se "
    "nos não de do da dos das em no na nos nas com por pelo pela para sem sobre desde até que quando onde como porque "
    "quem qual mas ou já muito mais tenho tem posso pode podem quero gostaria isso isto esta este você vocês também "
    "ainda ao à",
    "nl": "de het een en is zijn was waren ben ik je jij u hij zij ze wij we mijn me mij ons onze niet geen te van met "
    "bij voor op uit aan in naar sinds over maar of als omdat dat die dit deze hoe wat wanneer waar waarom wie kan "
    "kunnen heb heeft hebben had wordt worden nog al ook er om uw jullie graag",
    "pl": "i w we z ze na do od za po o u nie jest są był była było to ten ta te mam ma mamy mnie mi mój moja moje się "
    "co jak kiedy gdzie dlaczego czy że ale lub albo bo jeśli już jeszcze tylko bardzo przez dla przy który która "
    "które proszę mogę może można być",
    "tr": "bir ve bu şu o ben sen biz siz benim bana beni için ile ama veya değil var yok mi mu mü ne neden "
    "nerede ne zaman kim çok daha en gibi kadar sonra önce her hiç olarak olan oldu lütfen şey",
    "sv": "och är var jag du han hon vi ni det den de en ett min mitt mina mig inte ingen att av med på för från "
    "till i om men eller när hur vad var varför vem kan har hade ska vill som så också bara eller detta denna",
}

_LANGUAGES_OF: dict[str, tuple[str, ...]] = {}
for _language, _words in _SMALL_WORDS.items():
    for _word in set(_words.split()):
        _LANGUAGES_OF[_word] = (*_LANGUAGES_OF.get(_word, ()), _language)

_SCRIPTS: Mapping[str, re.Pattern[str]] = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": re.compile(r"[\u4e00-\u9fff]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
}
"""Scripts other than Latin, each under the language that writes it most; Japanese before the signs it shares."""

_SCRIPT_RATIO = 0.3
_LEAST_WORDS = 2
_LEAD = 1.5


def detect_language(text: str) -> str | None:
    """The ISO 639-1 code of a text's language; None where it holds too little to tell.

    Known are de, en, es, fr, it, nl, pl, pt, sv, tr, and by their script ar, el, he, hi, ja, ko, ru, th, zh.
    A word that several languages share counts for each of them as a part.

    >>> detect_language("Why is my card not here yet?"), detect_language("Wann kommt meine Karte?")
    ('en', 'de')
    >>> detect_language("iPhone 13") is None
    True
    """
    words = words_of(text)
    letters = sum(map(len, words))
    if letters and not text.isascii():
        for language, script in _SCRIPTS.items():
            if len(script.findall(text)) >= _SCRIPT_RATIO * letters:
                return language
    scores: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for word in words:
        languages = _LANGUAGES_OF.get(word.replace("\u2019", "'"), ())
        for language in languages:
            scores[language] += 1 / len(languages)  # type: ignore[assignment] # a Counter adds fractions as well
            seen[language] += 1
    if not scores:
        return None
    (best, most), *others = scores.most_common(2)
    second = others[0][1] if others else 0
    return best if seen[best] >= _LEAST_WORDS and most >= _LEAD * second else None
