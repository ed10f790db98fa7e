"""On-demand features: computed for each request, from the turn at hand and from stored features.

An expression is run by Python for one request and by DuckDB for a table of them, with equal results.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from msgspec.structs import force_setattr

from headset.core.errors import InvalidInput
from headset.features.expression import AnyExpression, Coalesce, Column, Constant, SecondsSince, Tidy, identifier
from headset.features.version import SEMANTICS, version_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pyarrow as pa

    from headset.features.definition import FeatureService
    from headset.features.expression import Expression
    from headset.features.fact import Kind

ON_DEMAND = "on_demand"
"""What on-demand features are named under, as stored ones are under their view."""

REQUEST: Mapping[str, Kind] = {
    "event_time": "number",
    "position": "number",
    "sentiment": "number",
    "intent": "word",
    "confidence": "number",
    "scope": "number",
    "channel": "word",
    "queue": "word",
    "language": "word",
    "segment": "word",
}
"""The columns of a request: what is known of the customer's turn when it is decided. ``event_time`` is in seconds since
1970; ``intent``, ``confidence`` and ``scope`` are what the intent model says of the turn."""

_PYTHON_TYPES: dict[Kind, type] = {"number": float, "flag": bool, "word": str}


class OnDemandFeature(Struct, frozen=True, kw_only=True):
    """One value computed from a request.

    Attributes:
        name: Unique among the on-demand features of its service, where it is ``on_demand.name``.
        expression: Of columns of :data:`REQUEST` and of stored features that the service takes, as ``view.feature``.
        default: The value where it would be null.
        description: What it says, for people.

    >>> from headset.features.expression import column
    >>> fell = OnDemandFeature(name="mood_fell", expression=column("sentiment") < column("mood.sentiment") - 0.5)
    >>> fell.columns, str(fell.expression)
    (['sentiment', 'mood.sentiment'], '(sentiment < (mood.sentiment - 0.5))')
    """

    name: str
    expression: AnyExpression
    default: float | str | bool | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.default is not None and not isinstance(self.default, (str, bool)):
            force_setattr(self, "default", float(self.default))

    @property
    def columns(self) -> list[str]:
        """The columns it is made of, each once."""
        return list(dict.fromkeys(part.name for part in self.expression.parts() if isinstance(part, Column)))

    def version(self, stored: Mapping[str, str]) -> str:
        """The hash of its meaning, where these are the versions of stored features."""
        made_of = {name: stored[name] for name in sorted(self.columns) if name in stored}
        meaning = {"semantics": SEMANTICS, "expression": self.expression, "default": self.default, "stored": made_of}
        return version_of(meaning)


class OnDemandPlan:
    """The on-demand features of one service, made ready.

    Args:
        features: Their names are unique.
        stored: The kinds of the stored features they may be made of.

    Attributes:
        kinds: What each gives, by name.
        columns: The columns they are made of, with their kinds.

    Raises:
        InvalidInput: one cannot be computed; it names the feature.
    """

    def __init__(self, features: Sequence[OnDemandFeature], stored: Mapping[str, Kind]) -> None:
        known = {**REQUEST, **stored}
        self.kinds: dict[str, Kind] = {}
        self.columns: dict[str, Kind] = {}
        whole: dict[str, Expression] = {}
        for feature in features:
            if feature.name in self.kinds:
                raise InvalidInput(ON_DEMAND, f"holds {feature.name!r} twice; names are unique")
            place = f"{ON_DEMAND}.{feature.name}"
            self.kinds[feature.name] = _kind(f"{place}.expression", feature, known)
            check_default(place, feature.default, self.kinds[feature.name])
            self.columns |= {name: known[name] for name in feature.columns}
            whole[place] = _whole(feature, self.kinds[feature.name])
        self._compiled = {place: expression.compile() for place, expression in whole.items()}
        self._sql = {place: expression.sql() for place, expression in whole.items()}
        self._readers = [(name, kind == "number") for name, kind in self.columns.items()]

    def values(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """The value of each, by ``on_demand.name``; a column that is not there is null."""
        if not self._compiled:
            return {}
        read: dict[str, Any] = {}
        for name, is_number in self._readers:
            value = columns.get(name)
            read[name] = float(value) if is_number and value is not None else value
        return {place: compute(read) for place, compute in self._compiled.items()}

    def request(self, table: pa.Table) -> dict[str, pa.ChunkedArray]:
        """The columns of :data:`REQUEST` that the features are made of, as float64 and string.

        Raises:
            InvalidInput: a column is missing, cannot be read as what it is, or holds a number that is not finite.
        """
        columns = {name: self._column(table, name) for name in self.columns if name in REQUEST}
        for name, column in columns.items():
            if self.columns[name] == "number":
                _check_finite(name, column)
        return columns

    def table(self, table: pa.Table) -> pa.Table:
        """The same for each row of ``table``, in DuckDB.

        Raises:
            InvalidInput: see :meth:`request`; for stored features a column is missing, or cannot be read as what it is.
        """
        import duckdb  # noqa: PLC0415 - whoever only serves features does not need it
        import pyarrow as pa  # noqa: PLC0415 - likewise

        columns = self.request(table)
        columns |= {name: self._column(table, name) for name in self.columns if name not in REQUEST}
        if not self._sql:
            return table.select([])
        given = pa.table({"row": np.arange(table.num_rows), **columns})  # the row for features made of no column
        computed = ", ".join(f"{sql} AS {identifier(place)}" for place, sql in self._sql.items())
        with duckdb.connect() as connection:
            connection.execute("SET enable_progress_bar = false")
            connection.execute("SET ieee_floating_point_ops = true")  # overflow is infinity, as in Python
            try:
                connection.register("given", given)
                return connection.sql(f"SELECT {computed} FROM given").to_arrow_table()  # noqa: S608 - of quoted names
            except duckdb.Error as error:
                raise InvalidInput(
                    "table", f"has rows that on-demand features cannot be computed of ({error})"
                ) from error

    def _column(self, table: pa.Table, name: str) -> pa.ChunkedArray:
        if name not in table.column_names:
            raise InvalidInput(f"table.{name}", f"is missing; on-demand features read {', '.join(self.columns)}")
        return _read(name, table[name], self.columns[name])


def evaluate(service: FeatureService, stored: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """All features of ``service`` for one request, in the order of ``service.versions``.

    Args:
        service: What to compute.
        stored: The values of its stored features, by ``view.feature``.
        request: Columns of :data:`REQUEST`; one that is not there is null.

    Raises:
        InvalidInput: the value of a stored feature is missing.
    """
    found = {**stored, **service.on_demand_plan.values({**request, **stored})}
    try:
        return {name: found[name] for name in service.versions}
    except KeyError as error:
        raise InvalidInput(f"stored.{error.args[0]}", f"is missing; the service {service.name} reads it") from None


def evaluate_table(service: FeatureService, table: pa.Table) -> pa.Table:
    """The same for each row of ``table``, which has the stored features and the columns of the requests.

    Returns:
        A column for each feature, in the order of ``service.versions``; rows in their order.

    Raises:
        InvalidInput: a column is missing, or of another kind.
    """
    computed = service.on_demand_plan.table(table)
    columns = {}
    for name in service.versions:
        source = computed if name in computed.column_names else table
        if name not in source.column_names:
            raise InvalidInput(f"table.{name}", f"is missing; the service {service.name} reads it")
        columns[name] = source[name]
    return table.select([]).from_pydict(columns)


def check_default(place: str, default: float | str | bool | None, gives: Kind) -> None:  # noqa: FBT001 - a value
    """Raise ``InvalidInput`` for a default of another kind than the feature ``place`` gives."""
    if default is None:
        return
    if type(default) is not _PYTHON_TYPES[gives]:
        raise InvalidInput(f"{place}.default", f"{default!r} is not a {gives}")
    if isinstance(default, float) and not math.isfinite(default):
        raise InvalidInput(f"{place}.default", f"{default!r} is not a finite number")


def _read(name: str, column: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """``column`` in the type of ``kind``."""
    import pyarrow as pa  # noqa: PLC0415 - whoever only serves features does not need it

    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    wanted = {"number": pa.float64(), "flag": pa.bool_(), "word": pa.string()}[kind]
    try:
        return column.cast(wanted, safe=kind != "number")  # large whole numbers are rounded, as by Python
    except pa.ArrowNotImplementedError:
        raise InvalidInput(f"table.{name}", f"is {column.type}; give {kind}s, or leave the column out") from None
    except pa.ArrowInvalid:
        row = next(row for row, value in enumerate(column) if not _can_be(value, kind, wanted))
        value = repr(column[row].as_py())[:60]
        raise InvalidInput(
            f"table.{name}", f"holds {value} in row {row + 1:,}, which is no {kind}; correct it or make it null"
        ) from None


def _can_be(value: pa.Scalar, kind: Kind, wanted: pa.DataType) -> bool:
    try:
        value.cast(wanted, safe=kind != "number")
    except ValueError:
        return False
    return True


def _check_finite(name: str, column: pa.ChunkedArray) -> None:
    numbers = column.fill_null(0.0).to_numpy()
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise InvalidInput(
            f"table.{name}",
            f"is not finite in {len(wrong):,} of {len(numbers):,} rows, first in row {wrong[0] + 1:,}"
            f" ({numbers[wrong[0]]}); give numbers or null",
        )


def _kind(place: str, feature: OnDemandFeature, known: Mapping[str, Kind]) -> Kind:
    for part in feature.expression.parts():
        if isinstance(part, SecondsSince):
            raise InvalidInput(place, "looks at other events; make seconds_since a feature of a view")
        if isinstance(part, Column) and known.get(part.name) == "vector":
            raise InvalidInput(f"{place}.{part.name}", "is a vector; on-demand features take numbers, flags and words")
    try:
        return feature.expression.kind(known)
    except InvalidInput as error:
        raise InvalidInput(f"{place}.{error.field}", error.problem) from error


def _whole(feature: OnDemandFeature, kind: Kind) -> Expression:
    tidy = Tidy(feature.expression) if kind == "number" else feature.expression
    return tidy if feature.default is None else Coalesce(tidy, Constant(feature.default))
