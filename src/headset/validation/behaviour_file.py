"""Behavioural tests of one's own, in YAML; ``docs/validation.md`` describes every key."""

from __future__ import annotations

import re
from functools import partial
from itertools import product
from random import Random
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import yaml
from msgspec import Meta, Struct

from headset.core.errors import InvalidInput, NotFound
from headset.validation.behaviour import Behaviour, Case, Direction, Kind
from headset.validation.noise import NOISES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_BYTES = 1_048_576
_CASES = 10_000
_SLOT = re.compile(r"\{(\w+)\}")
_PLACE = re.compile(r"\$((?:\[\d+\]|\.\w+|\[\.\.\.\])*)")
_STEP = re.compile(r"\[(\d+)\]|\.(\w+)")

Text = Annotated[str, Meta(min_length=1, max_length=4_000)]
Texts = Annotated[tuple[Text, ...], Meta(min_length=1, max_length=_CASES)]
Noises = Literal["typos", "case", "punctuation", "accents", "greetings", "details"]


class _Test(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    kind: Kind
    texts: Texts
    slots: dict[str, Texts] = {}
    noise: Noises | None = None
    add: Text | None = None
    intent: Text | Texts = ()
    handover: bool | None = None
    confidence: Direction | None = None
    limit: Annotated[float, Meta(ge=0, le=1)] = 0.0


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    tests: Annotated[tuple[_Test, ...], Meta(min_length=1, max_length=1_000)]


def read_suite(paths: Sequence[Path], seed: int) -> list[Behaviour]:
    """The tests of some files, in order.

    Args:
        paths: Each a YAML file, or a folder whose ``*.yaml`` are read in order of name.
        seed: Of typing slips.

    Raises:
        NotFound: there is no such file.
        InvalidInput: it cannot be read or says what no test can do; names the line.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(path.glob("*.yaml")) if path.is_dir() else [path]
    return [test for file in files for test in read_suite_text(_read(file), str(file), seed)]


def read_suite_text(text: str, name: str, seed: int = 7) -> list[Behaviour]:
    r"""The tests of one file; ``name`` says in messages which it is.

    Raises:
        InvalidInput: it is no YAML, or says what no test can do; names the line.

    >>> (test,) = read_suite_text(
    ...     "tests:\n- name: refunds\n  kind: minimum\n  texts: ['I want my {what} back']\n"
    ...     "  slots: {what: [money, deposit]}\n  intent: refund", "suite.yaml")
    >>> [case.text for case in test.cases], sorted(test.intents)
    (['I want my money back', 'I want my deposit back'], ['refund'])
    """
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise InvalidInput("suite", f"{name} uses an alias (*name); write it out")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 1}" if mark is not None else "some line"
        raise InvalidInput("suite", f"{name}, {line}: {error.problem}; see docs/validation.md") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = str(error).splitlines()[0][:120]
        raise InvalidInput("suite", f"{name} is no YAML ({problem}); see docs/validation.md") from None
    try:
        found = msgspec.convert(content, _File)
    except msgspec.ValidationError as error:
        where = f"{name}, line {_line(root, str(error))}"
        raise InvalidInput("suite", f"{where}: {error}; see docs/validation.md") from None
    random = Random(seed)  # noqa: S311 - a seeded sample
    tests = []
    for place, test in enumerate(found.tests):
        problem = _problem(test)
        if problem:
            where = f"{name}, line {_line(root, f'`$.tests[{place}]`')}"
            raise InvalidInput("suite", f"{where}: the test {test.name!r} {problem}")
        tests.append(_behaviour(test, random))
    return tests


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _BYTES:
            raise InvalidInput("suite", f"{path} has {path.stat().st_size:,} bytes, at most {_BYTES:,}; split it")
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise NotFound("suite", f"{path} is not there; name a YAML file of tests") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput("suite", f"{path} cannot be read ({error}); name a YAML file in UTF-8") from None


def _problem(test: _Test) -> str:
    """Why a test cannot be run; empty where it can."""
    names = {name for text in test.texts for name in _SLOT.findall(text)}
    if names - set(test.slots):
        return f"has no slot {min(names - set(test.slots))!r}; add it under 'slots'"
    fewest = min(_fillings(text, test.slots) for text in test.texts)
    if sum(_fillings(text, test.slots) for text in test.texts) > _CASES:
        return f"fills its slots in more than {_CASES:,} ways; name fewer values"
    expects = bool(test.intent) or test.handover is not None
    rules: dict[Kind, dict[str, bool]] = {
        "minimum": {
            "expects nothing; add 'intent' or 'handover'": not expects,
            "changes its texts; that is a test of kind 'invariance' or 'direction'": bool(
                test.noise or test.add or test.confidence
            ),
        },
        "invariance": {
            "expects that the intent stays, and nothing else; drop intent, handover, confidence and add": bool(
                expects or test.confidence or test.add
            ),
            "changes nothing; add 'noise', or a slot with two values to every text": test.noise is None and fewest < 2,
        },
        "direction": {
            "changes nothing; say with 'add' what is added to each text": test.add is None,
            "expects nothing; say intent, handover or confidence": not (expects or test.confidence),
            "has a noise, which is for tests of kind 'invariance'": test.noise is not None,
        },
    }
    return next((problem for problem, applies in rules[test.kind].items() if applies), "")


def _fillings(text: str, slots: dict[str, tuple[str, ...]]) -> int:
    count = 1
    for name in dict.fromkeys(_SLOT.findall(text)):
        count *= len(slots[name])
    return count


def _fill(text: str, slots: dict[str, tuple[str, ...]]) -> Iterator[str]:
    names = list(dict.fromkeys(_SLOT.findall(text)))
    for values in product(*(slots[name] for name in names)):
        chosen = dict(zip(names, values, strict=True))
        yield _SLOT.sub(partial(_value, chosen), text)


def _value(chosen: dict[str, str], slot: re.Match[str]) -> str:
    return chosen[slot.group(1)]


def _behaviour(test: _Test, random: Random) -> Behaviour:
    cases: list[Case] = []
    for template in test.texts:
        first, *others = _fill(template, test.slots)
        match test.kind:
            case "minimum":
                cases += [Case(text) for text in (first, *others)]
            case "direction":
                cases += [Case(text, f"{text} {test.add}") for text in (first, *others)]
            case _ if test.noise is not None:
                cases += [Case(text, NOISES[test.noise](text, random)) for text in (first, *others)]
            case _:
                cases += [Case(first, other) for other in others]
    return Behaviour(
        name=test.name,
        kind=test.kind,
        cases=tuple(cases),
        limit=test.limit,
        intents=frozenset((test.intent,) if isinstance(test.intent, str) else test.intent),
        handover=test.handover,
        confidence=test.confidence,
    )


def _line(root: Any, problem: str) -> int:  # noqa: ANN401 - a node of a library without types
    """The line, from 1, of the node that a message of msgspec speaks of."""
    place = _PLACE.search(problem)
    node = root
    for index, key in _STEP.findall(place.group(1) if place else ""):
        inner = _inner(node, index, key)
        if inner is None:
            break
        node = inner
    return 1 if node is None else int(node.start_mark.line) + 1


def _inner(node: Any, index: str, key: str) -> Any:  # noqa: ANN401 - as above
    if isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
        return node.value[int(index)]
    if isinstance(node, yaml.MappingNode) and key:
        return next((value for name, value in node.value if name.value == key), None)
    return None
