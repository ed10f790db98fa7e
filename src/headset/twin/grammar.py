"""A small grammar for the texts people send, and how a careful writer ends them.

A template is text with choices and slots: ``I (need|want) {thing}(, please|)``. Choices may be nested and
empty; a slot is replaced by one of its values, which may hold choices and slots again.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from headset.twin.phrasebook import Typing


class _Slot(NamedTuple):
    name: str


class _Choice(NamedTuple):
    options: tuple[_Parts, ...]


_Parts: TypeAlias = tuple[str | _Slot | _Choice, ...]

_TOKEN = re.compile(r"\{(\w+)\}|([(|)])|[^(|){]+|\{")
_LOOSE_COMMA = re.compile(r" ?, ?(?=[,.?!]|$)| (?=[,.?!])")
_MAY_BE_LOOSE = re.compile(r" [,.?!]|,[ ]?[,.?!]|, ?$")
_SENTENCE_END = re.compile(r"(?<=[.?!]) ")
_ENDS = (".", "?", "!", "…", ":")
# A clause that begins like a question, but goes on like a statement.
_TOLD = re.compile(
    r"(?:how|what|where|when|which|who|why) (?:i|you|we|they|he|she|it)\b"
    r"|do (?:it|so|something)\b"
    r"|(?:was|wie|wo|wann|warum|wieso|weshalb|wer|welche\w?) (?:ich|du|er|sie|es|wir|ihr|man|das)\b"
    r"|(?:hat|haben|ist|sind|wird|werden|geht|kann) (?:aber|auch|doch|immer|jetzt|leider|nicht|nie|nur|sich|wieder)\b",
    re.IGNORECASE,
)


def expand(template: str, slots: Mapping[str, Sequence[str]], random: Random) -> str:
    """One of the texts a template stands for.

    Raises:
        InvalidInput: the template leaves a choice open.
        KeyError: the template names a slot that ``slots`` lacks.

    >>> from random import Random
    >>> expand("(Hello|Hi), my {thing} is broken", {"thing": ["phone", "router"]}, Random(3))
    'Hello, my phone is broken'
    """
    pieces: list[str] = []
    _fill(_parse(template), slots, random, pieces)
    text = " ".join("".join(pieces).split())
    if _MAY_BE_LOOSE.search(text) is None:
        return text
    return _LOOSE_COMMA.sub("", text) + ("," if template.endswith(",") else "")


def _fill(parts: _Parts, slots: Mapping[str, Sequence[str]], random: Random, pieces: list[str]) -> None:
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, _Choice):
            _fill(random.choice(part.options), slots, random, pieces)
        else:
            _fill(_parse(random.choice(slots[part.name])), slots, random, pieces)


@cache
def _parse(template: str) -> _Parts:
    options = _parse_options(_TOKEN.finditer(template), template, outermost=True)
    return options[0]


def _parse_options(tokens: Iterator[re.Match[str]], template: str, *, outermost: bool = False) -> tuple[_Parts, ...]:
    """The options up to the closing bracket; outside of all choices, bar and closing bracket are text."""
    options: list[list[str | _Slot | _Choice]] = [[]]
    for token in tokens:
        slot, sign = token[1], token[2]
        if slot is not None:
            options[-1].append(_Slot(slot))
        elif sign == "(":
            options[-1].append(_Choice(_parse_options(tokens, template)))
        elif sign is None or outermost:
            options[-1].append(token[0])
        elif sign == "|":
            options.append([])
        else:
            break
    else:
        if not outermost:
            raise InvalidInput("template", f"{template[:60]!r} leaves a choice open; close it with ')'")
    return tuple(map(tuple, options))


def punctuate(text: str, typing: Typing, *, continues: bool = False) -> str:
    """``text`` as a careful writer of the language ends, marks and capitalises it.

    Args:
        text: One or more sentences; the last one may lack its end mark.
        typing: Knows how questions begin and are marked.
        continues: Something with a comma stands before; the first letter stays as it is.

    >>> from headset.twin.phrasebook import load_phrasebook
    >>> typing = load_phrasebook("en").typing
    >>> punctuate("where is my phone", typing), punctuate("it broke. i dropped it", typing)
    ('Where is my phone?', 'It broke. I dropped it.')
    """
    sentences = _SENTENCE_END.split(text)
    last = sentences[-1]
    if not last.endswith(_ENDS):
        sentences[-1] += "." if _question_start(last, typing) is None else "?"
    if typing.opening_mark:
        sentences = [_open_question(sentence, typing) for sentence in sentences]
    first, *others = sentences
    return " ".join([first if continues else _capitalise(first), *map(_capitalise, others)])


def _question_start(sentence: str, typing: Typing) -> int | None:
    """Where the question begins in ``sentence``, if it holds one."""
    at = 0
    for clause in sentence.split(", "):
        word = clause.lstrip("¿").partition(" ")[0].rstrip(",.?!").lower()
        if word in typing.question_words and not (at and _TOLD.match(clause)):
            return at
        at += len(clause) + 2
    return None


def _open_question(sentence: str, typing: Typing) -> str:
    if not sentence.endswith("?") or typing.opening_mark in sentence:
        return sentence
    at = _question_start(sentence, typing) or 0
    return sentence[:at] + typing.opening_mark + sentence[at:]


def _capitalise(sentence: str) -> str:
    """Only the first letter changes, and not in iPhone."""
    at = sentence[:1] in {"¿", "¡"}
    if sentence[at + 1 : at + 2].isupper():
        return sentence
    return sentence[:at] + sentence[at : at + 1].upper() + sentence[at + 1 :]
