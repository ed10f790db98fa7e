"""What is wrong with a table, in words: the key, the value, the rule and the nearest right key."""

from __future__ import annotations

import re
from difflib import get_close_matches
from reprlib import Repr
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import inspect

from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENTRY = "..."
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_KINDS = {
    "array": "a list",
    "bool": "true or false",
    "date": "a date such as 2026-03-02",
    "datetime": "a date and time such as 2026-03-02T08:00:00",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "a text in quotes",
    "time": "a time such as 08:00:00",
}
_SHORT = Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist, _SHORT.maxstring, _SHORT.maxother = 2, 3, 5, 60, 60
_MANY_DIGITS = 10**40


def refuse(error: msgspec.ValidationError, tables: dict[str, Any], wanted: type, *, see: str) -> InvalidInput:
    """Explain why ``tables`` are not what is wanted.

    Args:
        error: What :func:`msgspec.convert` said of them.
        tables: Of plain values; of a table with free keys only the offending entry is left in it.
        wanted: The type asked for.
        see: Where the keys are described.

    >>> class Team(msgspec.Struct, forbid_unknown_fields=True):
    ...     agents: int
    >>> tables = {"late": {"agents": 4}, "early": {"agent": 3}}
    >>> try:
    ...     msgspec.convert(tables, dict[str, Team])
    ... except msgspec.ValidationError as error:
    ...     print(refuse(error, tables, dict[str, Team], see="the manual"))
    early: has no key 'agent'; do you mean 'agents'? See the manual
    """
    rule, _, place = str(error).partition(" - at ")
    steps = _steps(place)
    of_key = place.startswith("`key`")
    kind = inspect.type_info(wanted)
    path: list[str | int] = []
    value: Any = tables
    for step in steps:
        key = _offender(value, str(error), tables, wanted) if step == _ENTRY else step
        path.append(key)
        value, kind = value[key], _inner(kind, key)
    if of_key:
        key = _offender(value, str(error), tables, wanted)
        path.append(key)
        return InvalidInput(_dotted(path), f"is no key for this table: {_requirement(rule, kind)}; see {see}")
    named = re.fullmatch(r"Object (contains unknown|missing required) field `(.*)`", rule, re.DOTALL)
    if named is None:
        return InvalidInput(_dotted(path), f"is {show(value)}; {_requirement(rule, kind)}; see {see}")
    if named[1] == "missing required":
        return InvalidInput(_dotted(path), f"lacks the key {named[2]!r}; add it, see {see}")
    keys = [field.encode_name for field in kind.fields] if isinstance(kind, inspect.StructType) else []
    near = get_close_matches(named[2], keys, n=1)
    hint = f"do you mean {near[0]!r}?" if near else f"there are {', '.join(keys)}."
    return InvalidInput(_dotted(path), f"has no key {show(named[2])}; {hint} See {see}")


def show(value: object) -> str:
    """A value as it may stand in a message: short, whatever it is.

    >>> show("x" * 1000)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxx'"
    >>> show(10**5000), show({"a": {"b": {"c": 1}}})
    ('a number of over 40 digits', "{'a': {'b': {...}}}")
    """
    if isinstance(value, int) and abs(value) >= _MANY_DIGITS:
        return "a number of over 40 digits"
    if isinstance(value, bool):
        return str(value).lower()
    return _SHORT.repr(value) if isinstance(value, (dict, list, str)) else str(value)[:60]


def _steps(place: str) -> list[str | int]:
    """From ``$.teams[0].agents`` to its parts; an entry of a table with free keys is ``...``."""
    return [name or (int(entry) if entry != _ENTRY else entry) for name, entry in _STEP.findall(place)]


def _offender(table: dict[str, Any], problem: str, tables: dict[str, Any], wanted: type) -> str:
    """The key whose entry alone causes the problem, for msgspec does not say; the others are removed."""
    for key, value in list(table.items()):
        table.clear()
        table[key] = value
        try:
            msgspec.convert(tables, wanted)
        except msgspec.ValidationError as error:
            if str(error) == problem:
                return key
    raise AssertionError(problem)  # one of them caused it


def _inner(kind: inspect.Type, key: str | int) -> inspect.Type:
    """The type of what a key leads to."""
    match kind:
        case inspect.StructType():
            return next(field.type for field in kind.fields if field.encode_name == key)
        case inspect.DictType():
            return kind.value_type
        case inspect.VarTupleType():
            return kind.item_type
        case inspect.TupleType():
            return kind.item_types[int(key)]
        case _:
            return kind


def _requirement(rule: str, kind: inspect.Type) -> str:
    if rule.startswith("Invalid enum value"):
        key = kind.key_type if isinstance(kind, inspect.DictType) else kind
        values = key.values if isinstance(key, inspect.LiteralType) else ()
        return f"it must be one of {', '.join(map(str, values))}"
    if "matching regex" in rule:
        return "it must have 1 to 64 letters, digits, spaces or _ . - and begin with a letter or digit"
    rule = re.sub(r"Invalid RFC3339 encoded (\w+)", r"Expected `\1`", rule.partition(", got ")[0])
    rule = re.sub(r"`(\w+)`", lambda match: _KINDS.get(match[1], match[1]), rule)
    rule = re.sub(r"(\d)\.0\b", r"\1", rule)
    return "it must be " + rule.removeprefix("Expected ") if rule.startswith("Expected") else rule.lower()


def _dotted(path: Sequence[str | int]) -> str:
    parts = (
        f"[{step}]" if isinstance(step, int) else f".{step if 0 < len(step) <= 70 else show(step)}" for step in path
    )
    return "".join(parts).lstrip(".") or "scenario"
