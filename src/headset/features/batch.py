"""Batch execution: the same definitions as SQL over a history of facts, for training sets, backfills and checks.

A view becomes one query. Facts and the rows asked for are put into one stream, by key and time, and each feature is
a window function over it: DuckDB answers those with segment trees, in parallel, and nothing is joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from headset.core.errors import InvalidInput
from headset.features.aggregation import VectorMean, vector_mean, vector_units
from headset.features.expression import LOOKBACK_US, Sized, identifier, literal
from headset.features.fact import COLUMNS, ENTITIES, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import duckdb
    from numpy.typing import NDArray

    from headset.features.definition import Feature, FeatureView
    from headset.features.expression import SecondsSince
    from headset.features.fact import Fact

_TYPES: dict[Kind, pa.DataType] = {
    "number": pa.float64(),
    "flag": pa.bool_(),
    "word": pa.string(),
    "vector": pa.binary(),
}
_ENVELOPE = {
    "fact_id": pa.binary(16),
    "fact_time": pa.int64(),
    "log_offset": pa.int64(),
    **{f"key_{entity}": pa.string() for entity in ENTITIES},
}
_LATEST = 1 << 62
_CHUNK = 50_000
_VECTORS_AT_ONCE = 100  # they and their sums fit the processor's cache
_NUMBERS_AT_ONCE = 1_000_000


def fact_schema(event: str) -> pa.Schema:
    """The columns of a table of facts of type ``event``."""
    return pa.schema({**_ENVELOPE, **{name: _TYPES[kind] for name, kind in COLUMNS[event].items()}})


class History:
    """Facts in DuckDB, one table per event type, and features at any moment of them.

    For one thread at a time.

    >>> from headset.features.aggregation import Count
    >>> from headset.features.definition import Feature, FeatureView
    >>> from headset.features.fact import Fact
    >>> turns = Feature(name="turns", aggregation=Count(), window="conversation")
    >>> view = FeatureView(
    ...     name="pace", entity="conversation", event="TurnReceived", features=(turns,), owner="", description=""
    ... )
    >>> history = History()
    >>> history.add([Fact("TurnReceived", bytes(16), 5, 7, 1, {"conversation": "c-1"}, {})])
    >>> wanted = pa.table({"conversation": ["c-1", "c-1"], "as_of": [4, 5]})
    >>> history.values([view], wanted)["pace.turns"].to_pylist()
    [0, 1]
    """

    def __init__(self) -> None:
        self._connection = _connect()
        for event in COLUMNS:
            self._connection.register("empty", fact_schema(event).empty_table())
            self._connection.execute(f"CREATE TABLE {identifier(event)} AS SELECT * FROM empty")  # noqa: S608 - quoted
            self._connection.unregister("empty")

    def add(self, facts: Iterable[Fact]) -> None:
        """Keep ``facts``, in any order; those told twice count once."""
        waiting: dict[str, list[Fact]] = {}
        for fact in facts:
            group = waiting.setdefault(fact.event, [])
            group.append(fact)
            if len(group) == _CHUNK:
                self._insert(fact.event, waiting.pop(fact.event))
        for event, group in waiting.items():
            self._insert(event, group)

    def values(self, views: Sequence[FeatureView], rows: pa.Table, *, known_to: int | None = None) -> pa.Table:
        """``rows`` with the value each feature had for each of them.

        Args:
            views: The features wanted.
            rows: A moment each: ``as_of`` (int64, microseconds) and the keys, one string column per entity of the
                views. Other columns stay as they are.
            known_to: Log offset; facts behind it are not looked at, as if they had not been heard of yet.

        Returns:
            All rows in their order, with a column ``view.feature`` for each feature. A row whose key is null or was
            never heard of has defaults.

        Raises:
            InvalidInput: a column of ``rows`` is missing, of another type, or a moment is before 1970.
        """
        self._check(rows, views)
        for view in views:
            keys = rows[view.entity].cast(pa.string())
            wanted = pa.table({"key": keys, "fact_time": rows["as_of"], "place": np.arange(rows.num_rows)})
            for name, column in self._view(view, wanted, known_to):
                rows = rows.append_column(f"{view.name}.{name}", column)
        return rows

    def close(self) -> None:
        """Release the memory."""
        self._connection.close()

    def _insert(self, event: str, facts: Sequence[Fact]) -> None:
        columns: dict[str, list[Any]] = {
            "fact_id": [fact.event_id for fact in facts],
            "fact_time": [fact.event_time for fact in facts],
            "log_offset": [fact.offset for fact in facts],
        }
        columns |= {f"key_{entity}": [fact.keys.get(entity) for fact in facts] for entity in ENTITIES}
        columns |= {name: [fact.columns.get(name) for fact in facts] for name in COLUMNS[event]}
        self._connection.register("arrived", pa.table(columns, schema=fact_schema(event)))
        self._connection.execute(f"INSERT INTO {identifier(event)} SELECT * FROM arrived")  # noqa: S608 - quoted
        self._connection.unregister("arrived")

    @staticmethod
    def _check(rows: pa.Table, views: Sequence[FeatureView]) -> None:
        for name in ("as_of", *(view.entity for view in views)):
            if name not in rows.column_names:
                raise InvalidInput(f"rows.{name}", "is missing; give as_of and a column for each entity of the views")
        if rows["as_of"].type != pa.int64():
            raise InvalidInput("rows.as_of", f"is {rows['as_of'].type}; give int64, microseconds since 1970")
        moments = rows["as_of"].drop_null().to_numpy()
        if len(moments) and not (moments.min() >= 0 and moments.max() <= _LATEST):
            raise InvalidInput("rows.as_of", "holds a moment before 1970 or beyond all time; give microseconds")

    def _view(
        self, view: FeatureView, wanted: pa.Table, known_to: int | None
    ) -> Iterator[tuple[str, pa.Array | pa.ChunkedArray]]:
        query = Query(view, known_to)
        self._connection.register("wanted", wanted)
        try:
            if query.vectors:  # they are read as well, so what leads to them is computed once
                self._connection.execute(f"CREATE OR REPLACE TEMP TABLE input AS {query.facts}")
            found = self._connection.sql(query.over("input") if query.vectors else query.whole).to_arrow_table()
            for feature in view.features:
                column = found[feature.name]
                if isinstance(feature.aggregation, VectorMean):
                    column = self._means(query, feature, column, feature.aggregation.size)
                yield feature.name, column
        finally:
            self._connection.unregister("wanted")
            self._connection.execute("DROP TABLE IF EXISTS input")

    def _means(self, query: Query, feature: Feature, places: pa.ChunkedArray, size: int) -> pa.FixedSizeListArray:
        """The means of the vectors at ``places``."""
        rows, vectors = query.vectors_of(feature)
        asked = self._connection.sql(rows).fetchnumpy()["row"]
        kept = self._connection.sql(vectors).to_arrow_reader(_CHUNK).read_all()
        place_of = np.empty(int(asked.max(initial=-1)) + 1, np.int64)
        place_of[kept["row"].to_numpy()] = np.arange(kept.num_rows)
        known = _numbers(kept["vector"]).reshape(-1, size)
        first, last = places.combine_chunks().flatten().to_numpy().reshape(-1, 2).T
        return pa.FixedSizeListArray.from_arrays(_means(known, place_of[asked], first, last).ravel(), size)


class Query:
    """A view as SQL. ``wanted`` stands for the rows asked for: ``key``, ``fact_time``, ``place``."""

    def __init__(self, view: FeatureView, known_to: int | None) -> None:
        self._view = view
        self._limit = "" if known_to is None else f"WHERE log_offset <= {known_to:d}"
        self._inputs = view.inputs
        windows = sorted({feature.window_us for feature in view.features})
        self._windows = {window_us: f"w{place}" for place, window_us in enumerate(windows)}

    @property
    def whole(self) -> str:
        """One query for all features."""
        return f"WITH input AS ({self.facts}) {self.over('input')}"

    @property
    def vectors(self) -> bool:
        """Whether some feature is a mean of vectors; its column then holds places, see ``VectorMean.result``."""
        return any(isinstance(feature.aggregation, VectorMean) for feature in self._view.features)

    def place(self, feature: Feature) -> int:
        """Which input ``feature`` aggregates."""
        return self._inputs.index(feature.input(self._view.event))

    def vectors_of(self, feature: Feature) -> tuple[str, str]:
        """Where the vectors that ``feature`` aggregates are, by key and time, and the vectors with where they are."""
        place, event = self.place(feature), identifier(self._view.event)
        where = f"SELECT x{place} AS row FROM input WHERE x{place} IS NOT NULL ORDER BY key, rank"  # noqa: S608
        vectors = f"""
            SELECT rowid AS row, {self._inputs[place].sql()} AS vector FROM {event}
            WHERE rowid IN (SELECT x{place} FROM input)
        """  # noqa: S608 - of quoted names
        return where, vectors

    @property
    def facts(self) -> str:
        """The facts that count: ``key``, ``event_time``, ``rank`` by time and id, and inputs ``x0``, ``x1``, …."""
        view = self._view
        inputs = ", ".join(
            f"{f'vector_{place}' if isinstance(expression, Sized) else expression.sql()} AS x{place}"
            for place, expression in enumerate(self._inputs)
        )
        condition = "" if view.filter is None else f"AND {view.filter.sql()}"
        return f"""
            SELECT key_{view.entity} AS key, fact_time AS event_time,
                row_number() OVER (ORDER BY fact_time, fact_id) AS rank, {inputs}
            FROM {self._with_markers()} WHERE key_{view.entity} IS NOT NULL {condition}
        """  # noqa: S608 - of quoted names

    def over(self, facts: str) -> str:
        """All features for each row asked for, from ``facts``."""
        per_fact: dict[str, str] = {}
        per_window: dict[str, str] = {}
        results = []
        for feature in self._view.features:
            x, window = f"x{self.place(feature)}", self._windows[feature.window_us]
            aggregation = feature.aggregation
            per_fact |= aggregation.per_fact(x)
            per_window |= aggregation.per_window(x, window, feature.window_us)
            result = aggregation.result(x, window, feature.window_us)
            if feature.default is not None:
                result = f"coalesce({result}, {literal(feature.default)})"
            results.append(f"{result} AS {identifier(feature.name)}")
        order = "PARTITION BY key ORDER BY event_time, rank NULLS LAST, place"  # no two rows are equal
        # How many rows of the stream lie between the window's first and the current one, found once for all features.
        back = {
            f"back_{name}": f"greatest(0, row_number() OVER ({order}) - 1 - count(*) OVER (PARTITION BY key"
            f" ORDER BY event_time RANGE BETWEEN UNBOUNDED PRECEDING AND {window_us} PRECEDING))"
            for window_us, name in self._windows.items()
        }
        frames = (
            f"{name} AS ({order} ROWS BETWEEN back_{name} PRECEDING AND CURRENT ROW)" for name in self._windows.values()
        )
        return f"""
            SELECT {", ".join(results)} FROM (
                SELECT place, {_listed(per_window)} FROM (
                    SELECT *, {_listed(back)} FROM (
                        SELECT key, event_time, rank, NULL AS place, {_listed(per_fact)} FROM {facts}
                        UNION ALL BY NAME SELECT key, fact_time AS event_time, place FROM wanted
                    )
                ) WINDOW {", ".join(frames)} QUALIFY place IS NOT NULL
            ) ORDER BY place
        """  # noqa: S608 - of quoted names

    def _with_markers(self) -> str:
        """The view's facts, each once, with a column for each ``seconds_since``, and for vectors one of their rows."""
        rows = (
            f", CASE WHEN {expression.sql()} IS NOT NULL THEN rowid END AS vector_{place}"
            for place, expression in enumerate(self._inputs)
            if isinstance(expression, Sized)
        )
        source = self._once(self._view.event, "".join(rows))
        for marker in self._view.markers:
            source = f"""(
                SELECT fact.*, seconds AS {identifier(marker.name)} FROM {source} fact
                LEFT JOIN {self._seconds_since(marker)} ON fact.fact_id = since_id
            )"""  # noqa: S608 - of quoted names
        return source

    def _seconds_since(self, marker: SecondsSince) -> str:
        """``since_id`` and ``seconds`` for each fact of the view."""
        own = self._view.event
        mark = f"CASE WHEN {marker.where.sql()} THEN fact_time END"
        if marker.event == own:
            moments = f"SELECT fact_id, fact_time, key_conversation, TRUE AS own, {mark} AS mark FROM {self._once(own)}"  # noqa: S608
        else:
            moments = f"""
                SELECT fact_id, fact_time, key_conversation, TRUE AS own, NULL AS mark FROM {self._once(own)}
                UNION ALL
                SELECT fact_id, fact_time, key_conversation, FALSE, {mark} FROM {self._once(marker.event)}
            """  # noqa: S608 - of quoted names
        previous = """
            max(mark) OVER (
                PARTITION BY key_conversation ORDER BY fact_time, fact_id
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
        """
        return f"""(
            SELECT fact_id AS since_id, CASE WHEN gap <= {LOOKBACK_US} THEN gap::DOUBLE / '1e6'::DOUBLE END AS seconds
            FROM (
                SELECT fact_id, own, fact_time - {previous} AS gap FROM ({moments}) WHERE key_conversation IS NOT NULL
            ) WHERE own
        )"""  # noqa: S608 - of quoted names

    def _once(self, event: str, also: str = "") -> str:
        return f"""(
            SELECT *{also} FROM {identifier(event)} {self._limit}
            QUALIFY row_number() OVER (PARTITION BY fact_id ORDER BY log_offset) = 1
        )"""  # noqa: S608 - quoted


def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb  # noqa: PLC0415 - whoever only serves features does not need it

    connection = duckdb.connect()
    connection.execute("SET enable_progress_bar = false")  # it would be drawn over a terminal in use
    connection.execute("SET ieee_floating_point_ops = true")  # overflow is infinity, as in Python
    return connection


def _listed(columns: dict[str, str]) -> str:
    return ", ".join(f"{expression} AS {name}" for name, expression in columns.items())


def _numbers(vectors: pa.ChunkedArray) -> NDArray[np.float32]:
    """The numbers of all ``vectors``, none of which is null."""
    parts = [np.zeros(0, "<f4")]
    for chunk in vectors.chunks:
        _, offsets, content = chunk.buffers()
        start, end = np.frombuffer(offsets, "<i4")[[chunk.offset, chunk.offset + len(chunk)]]
        parts.append(np.frombuffer(content, "<f4", (end - start) // 4, start))
    return np.concatenate(parts)


def _means(
    known: NDArray[np.float32], order: NDArray[np.int64], first: NDArray[np.int64], last: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The mean of ``known[order[first:last]]`` for each ``first`` and ``last``, zeros where that is empty."""
    size = known.shape[1]
    means = np.zeros((len(first), size), np.float32)
    for rows in _groups(first, last):
        start, end = first[rows[0]], last[rows].max()
        low, high = first[rows] - start, last[rows] - start
        vectors = known.take(order[start:end], axis=0)
        found = np.empty((len(rows), size), np.float32)
        step = max(1, _NUMBERS_AT_ONCE // (end - start + 1))
        for at in range(0, size, step):
            part = slice(at, min(at + step, size))
            # Prefix sums of whole numbers: their differences are exact, and wrap around as sums do.
            total = np.zeros((end - start + 1, part.stop - at), np.int64)
            np.cumsum(vector_units(vectors[:, part]), axis=0, out=total[1:])
            sums = total.take(high, axis=0)
            sums -= total.take(low, axis=0)
            found[:, part] = vector_mean(sums, (high - low)[:, None])
        means[rows] = found
    return means


def _groups(first: NDArray[np.int64], last: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Rows by ``first``, cut where no range crosses, into groups that span few vectors where that is possible."""
    rows = np.flatnonzero(last > first)
    if not len(rows):
        return
    rows = rows[np.argsort(first[rows], kind="stable")]
    starts, ends = first[rows], np.maximum.accumulate(last[rows])
    cuts = np.append(np.flatnonzero(starts[1:] >= ends[:-1]) + 1, len(rows))
    reached, begin = ends[cuts - 1], 0
    while begin < len(rows):
        within = np.searchsorted(reached, starts[begin] + _VECTORS_AT_ONCE, side="right") - 1
        end = cuts[max(within, np.searchsorted(cuts, begin, side="right"))]
        yield rows[begin:end]
        begin = end
