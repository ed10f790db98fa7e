# ruff: noqa: D102, ARG002 - methods that override say what their base class says
"""Expressions over columns, of a fact or of a request: declared once, run by Python and by DuckDB with equal results.

Null is as in SQL: what is computed from null is null, but ``false & null`` is false and ``true | null`` is true.
Division by zero is null. Numbers are 64-bit floats in both executions.
"""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
from msgspec import Struct

from headset.core.errors import InvalidInput
from headset.features.fact import COLUMNS, LARGEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from headset.features.fact import Kind

    Compiled = Callable[[Mapping[str, Any]], Any]

LOOKBACK_US = 30 * 86_400_000_000
"""How far :func:`seconds_since` looks back."""

_CONSTANT_KINDS: dict[type, Kind] = {float: "number", bool: "flag", str: "word"}


class Expression(Struct, frozen=True, tag=True):
    r"""A value computed from columns; made with :func:`column` and operators.

    Equality stays Python's own, so that definitions can be compared: in an expression write ``equals`` and ``differs``.

    >>> slow = (column("latency_ms") > 500) & ~column("degraded")
    >>> slow.sql()
    '(("latency_ms" > \'500.0\'::DOUBLE) AND (NOT "degraded"))'
    >>> slow.compile()({"latency_ms": 800.0, "degraded": False})
    True
    >>> print(slow)
    ((latency_ms > 500) & ~degraded)
    """

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        """What it gives, where these are the columns and their kinds.

        Raises:
            InvalidInput: a column is unknown, or of a kind the operator does not take.
        """
        raise NotImplementedError

    def compile(self) -> Compiled:
        """A function of a fact's columns."""
        raise NotImplementedError

    def sql(self) -> str:
        """The same for DuckDB."""
        raise NotImplementedError

    def parts(self) -> Iterator[Expression]:
        """All expressions inside it that are computed from the same fact, itself included."""
        yield self
        for name in self.__struct_fields__:
            part = getattr(self, name)
            if isinstance(part, Expression):
                yield from part.parts()

    def equals(self, other: Operand) -> Expression:
        """True where both are equal."""
        return Comparison("=", self, _expression(other))

    def differs(self, other: Operand) -> Expression:
        """True where they are not equal."""
        return Comparison("<>", self, _expression(other))

    def is_null(self) -> Expression:
        """True where nothing is known; never null itself."""
        return IsNull(self)

    def otherwise(self, other: Operand) -> Expression:
        """``other`` where this is null."""
        return Coalesce(self, _expression(other))

    def __add__(self, other: Operand) -> Expression:
        return Arithmetic("+", self, _expression(other))

    def __radd__(self, other: Operand) -> Expression:
        return Arithmetic("+", _expression(other), self)

    def __sub__(self, other: Operand) -> Expression:
        return Arithmetic("-", self, _expression(other))

    def __rsub__(self, other: Operand) -> Expression:
        return Arithmetic("-", _expression(other), self)

    def __mul__(self, other: Operand) -> Expression:
        return Arithmetic("*", self, _expression(other))

    def __rmul__(self, other: Operand) -> Expression:
        return Arithmetic("*", _expression(other), self)

    def __truediv__(self, other: Operand) -> Expression:
        return Arithmetic("/", self, _expression(other))

    def __rtruediv__(self, other: Operand) -> Expression:
        return Arithmetic("/", _expression(other), self)

    def __lt__(self, other: Operand) -> Expression:
        return Comparison("<", self, _expression(other))

    def __le__(self, other: Operand) -> Expression:
        return Comparison("<=", self, _expression(other))

    def __gt__(self, other: Operand) -> Expression:
        return Comparison(">", self, _expression(other))

    def __ge__(self, other: Operand) -> Expression:
        return Comparison(">=", self, _expression(other))

    def __and__(self, other: Operand) -> Expression:
        return Logic("AND", self, _expression(other))

    def __or__(self, other: Operand) -> Expression:
        return Logic("OR", self, _expression(other))

    def __invert__(self) -> Expression:
        return Not(self)

    def __bool__(self) -> bool:
        """Refused: ``and``, ``or``, ``not`` and chained comparisons would silently drop a part.

        Raises:
            InvalidInput: always.
        """
        raise InvalidInput("expression", "has no truth of its own; write &, | and ~ for and, or and not")


Operand = Expression | float | str | bool


class Column(Expression, frozen=True):
    """See :func:`column`."""

    name: str

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        if self.name not in columns:
            raise InvalidInput(self.name, f"is no column here; there are {', '.join(sorted(columns))}")
        return columns[self.name]

    def compile(self) -> Compiled:
        name = self.name
        return lambda columns: columns.get(name)

    def __str__(self) -> str:
        return self.name

    def sql(self) -> str:
        return identifier(self.name)


class Constant(Expression, frozen=True):
    """The same value for each fact."""

    value: float | str | bool

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        if isinstance(self.value, float) and not math.isfinite(self.value):
            raise InvalidInput(str(self.value), "is not a finite number")
        return _CONSTANT_KINDS[type(self.value)]

    def compile(self) -> Compiled:
        value = self.value
        return lambda _: value

    def __str__(self) -> str:
        return repr(self.value).removesuffix(".0")

    def sql(self) -> str:
        return literal(self.value)


class Arithmetic(Expression, frozen=True):
    """``+ - * /`` of two numbers; null where the divisor is 0."""

    operation: Literal["+", "-", "*", "/"]
    left: AnyExpression
    right: AnyExpression

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        for side in (self.left, self.right):
            _require(side, columns, "number", self.operation)
        return "number"

    def compile(self) -> Compiled:
        return _strict(_ARITHMETIC[self.operation], self.left, self.right)

    def __str__(self) -> str:
        return f"({self.left} {self.operation} {self.right})"

    def sql(self) -> str:
        right = self.right.sql()
        if self.operation == "/":
            right = f"nullif({right}, '0'::DOUBLE)"
        return f"({self.left.sql()} {self.operation} {right})"


class Comparison(Expression, frozen=True):
    """``= <> < <= > >=`` of two values of one kind; order is for numbers only. NaN is the largest number."""

    operation: Literal["=", "<>", "<", "<=", ">", ">="]
    left: AnyExpression
    right: AnyExpression

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        kind = self.left.kind(columns)
        if kind == "vector" or (kind != "number" and self.operation not in {"=", "<>"}):
            raise InvalidInput(_named(self.left), f"is a {kind}; {self.operation} does not take it")
        _require(self.right, columns, kind, self.operation)
        return "flag"

    def compile(self) -> Compiled:
        compare = _COMPARISON[self.operation]
        return _strict(lambda left, right: compare(_ordered(left), _ordered(right)), self.left, self.right)

    def __str__(self) -> str:
        return f"({self.left} {self.operation} {self.right})"

    def sql(self) -> str:
        return f"({self.left.sql()} {self.operation} {self.right.sql()})"


class Logic(Expression, frozen=True):
    """``AND`` and ``OR`` of two flags."""

    operation: Literal["AND", "OR"]
    left: AnyExpression
    right: AnyExpression

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        for side in (self.left, self.right):
            _require(side, columns, "flag", self.operation)
        return "flag"

    def compile(self) -> Compiled:
        left, right = self.left.compile(), self.right.compile()
        decisive = self.operation == "OR"

        def decide(columns: Mapping[str, Any]) -> bool | None:
            first: bool | None = left(columns)
            second: bool | None = right(columns)
            if first is decisive or second is decisive:
                return decisive
            return None if first is None or second is None else not decisive

        return decide

    def __str__(self) -> str:
        return f"({self.left} {'&' if self.operation == 'AND' else '|'} {self.right})"

    def sql(self) -> str:
        return f"({self.left.sql()} {self.operation} {self.right.sql()})"


class Not(Expression, frozen=True):
    """The opposite of a flag."""

    operand: AnyExpression

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        _require(self.operand, columns, "flag", "~")
        return "flag"

    def compile(self) -> Compiled:
        return _strict(operator.not_, self.operand)

    def __str__(self) -> str:
        return f"~{self.operand}"

    def sql(self) -> str:
        return f"(NOT {self.operand.sql()})"


class IsNull(Expression, frozen=True):
    """See :meth:`Expression.is_null`."""

    operand: AnyExpression

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        self.operand.kind(columns)
        return "flag"

    def compile(self) -> Compiled:
        operand = self.operand.compile()
        return lambda columns: operand(columns) is None

    def __str__(self) -> str:
        return f"{self.operand}.is_null()"

    def sql(self) -> str:
        return f"({self.operand.sql()} IS NULL)"


class Coalesce(Expression, frozen=True):
    """See :meth:`Expression.otherwise`."""

    left: AnyExpression
    right: AnyExpression

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        kind = self.left.kind(columns)
        _require(self.right, columns, kind, "otherwise")
        return kind

    def compile(self) -> Compiled:
        left, right = self.left.compile(), self.right.compile()

        def first_known(columns: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of the operands' kind
            value = left(columns)
            return right(columns) if value is None else value

        return first_known

    def __str__(self) -> str:
        return f"{self.left}.otherwise({self.right})"

    def sql(self) -> str:
        return f"coalesce({self.left.sql()}, {self.right.sql()})"


class SecondsSince(Expression, frozen=True):
    """See :func:`seconds_since`. To both executions it is a column, named by its meaning, that they fill in."""

    event: str
    where: AnyExpression

    @property
    def name(self) -> str:
        """Name of the column."""
        return f"seconds since {msgspec.json.encode(self).decode()}"

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        if self.event not in COLUMNS:
            raise InvalidInput(self.event, f"is no event type; there are {', '.join(COLUMNS)}")
        if any(isinstance(part, SecondsSince) for part in self.where.parts()):
            raise InvalidInput("seconds_since", "cannot depend on another one; compare columns in its condition")
        _require(self.where, COLUMNS[self.event], "flag", "seconds_since")
        return "number"

    def compile(self) -> Compiled:
        return Column(self.name).compile()

    def __str__(self) -> str:
        return f"seconds_since({self.event}, {self.where})"

    def sql(self) -> str:
        return identifier(self.name)

    def parts(self) -> Iterator[Expression]:
        yield self  # its condition is about other facts


class Tidy(Expression, frozen=True):
    """A number, or a flag as 1 or 0, fit to be aggregated: null where it is beyond ``LARGEST`` or none."""

    operand: AnyExpression

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        self.operand.kind(columns)
        return "number"

    def compile(self) -> Compiled:
        operand = self.operand.compile()

        def tidy(columns: Mapping[str, Any]) -> float | None:
            value = operand(columns)
            # A zero loses its sign; NaN is not within.
            return value + 0.0 if value is not None and -LARGEST <= value <= LARGEST else None

        return tidy

    def __str__(self) -> str:
        return str(self.operand)

    def sql(self) -> str:
        value = f"CAST({self.operand.sql()} AS DOUBLE)"
        return f"CASE WHEN {value} BETWEEN -{literal(LARGEST)} AND {literal(LARGEST)} THEN {value} + '0'::DOUBLE END"


class Sized(Expression, frozen=True):
    """A vector of ``size`` numbers; null where it has another size."""

    operand: AnyExpression
    size: int

    def kind(self, columns: Mapping[str, Kind]) -> Kind:
        return self.operand.kind(columns)

    def compile(self) -> Compiled:
        operand, length = self.operand.compile(), 4 * self.size
        return lambda columns: value if (value := operand(columns)) is not None and len(value) == length else None

    def __str__(self) -> str:
        return str(self.operand)

    def sql(self) -> str:
        value = self.operand.sql()
        return f"CASE WHEN octet_length({value}) = {4 * self.size} THEN {value} END"


if TYPE_CHECKING:
    AnyExpression: TypeAlias = Expression
else:  # msgspec reads definitions back by the classes there are
    AnyExpression = (
        Column | Constant | Arithmetic | Comparison | Logic | Not | IsNull | Coalesce | SecondsSince | Tidy | Sized
    )


def column(name: str) -> Expression:
    """A column, such as ``sentiment``; :data:`~headset.features.fact.COLUMNS` lists those of facts."""
    return Column(name)


def seconds_since(event: str, where: Operand = True) -> Expression:  # noqa: FBT002 - True is a condition here
    """Seconds since the conversation's previous fact of type ``event`` for which ``where`` holds.

    Previous is by event time, then event id. Null where there was none in the last 30 days.
    The response time of an agent, on a view of their turns:
    ``seconds_since("TurnReceived", column("speaker").equals("customer"))``.
    """
    return SecondsSince(event, _expression(where))


def identifier(name: str) -> str:
    """``name`` quoted for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: float | str | bool) -> str:  # noqa: FBT001 - a value, not an option
    """``value`` in SQL, to the last bit."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return f"'{float(value)!r}'::DOUBLE"  # from text; a bare 0.1 would be a decimal first


def _expression(operand: Operand) -> Expression:
    match operand:
        case Expression():
            return operand
        case int() | float() if not isinstance(operand, bool):
            return Constant(float(operand))
        case str() | bool():
            return Constant(operand)
    raise InvalidInput("expression", f"{operand!r} is neither an expression nor a number, text or flag")


def _require(operand: Expression, columns: Mapping[str, Kind], kind: Kind, operation: str) -> None:
    found = operand.kind(columns)
    if found != kind:
        raise InvalidInput(_named(operand), f"is a {found}; {operation} needs a {kind} here")


def _named(operand: Expression) -> str:
    return operand.name if isinstance(operand, Column) else operand.sql()


def _strict(function: Callable[..., Any], *operands: Expression) -> Compiled:
    """``function`` of what the operands give, null where one of them is."""
    if len(operands) == 1:
        only = operands[0].compile()
        return lambda columns: None if (value := only(columns)) is None else function(value)
    first, second = (operand.compile() for operand in operands)

    def apply(columns: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what the function gives
        left, right = first(columns), second(columns)
        return None if left is None or right is None else function(left, right)

    return apply


def _divide(left: float, right: float) -> float | None:
    return left / right if right else None


def _ordered(value: Any) -> Any:  # noqa: ANN401 - of any kind
    """A stand-in that Python compares as DuckDB compares ``value``: NaN equals itself and is above infinity."""
    return (value != value, 0.0 if value != value else value) if isinstance(value, float) else value  # noqa: PLR0124


_ARITHMETIC: dict[str, Callable[[float, float], float | None]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
}
_COMPARISON: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
