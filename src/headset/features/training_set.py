"""Training sets: what the features were at each row's moment, guarded against knowing the label beforehand."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from msgspec import Struct

from headset.core.clock import iso
from headset.core.errors import InvalidInput, StorageFailed
from headset.features.entity_table import TIMES, check_keys
from headset.features.on_demand import evaluate_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from headset.features.batch import History
    from headset.features.definition import FeatureService

_KEY = b"headset.training_set"
_DAY_US = 86_400_000_000


class _Description(Struct, frozen=True):
    """What the file says beside the table."""

    service: str
    service_version: str
    features: dict[str, str]
    position: int
    fingerprint: str


class TrainingSet(Struct, frozen=True):
    """Rows with the features they had, and where these came from.

    Attributes:
        table: The rows as given, in their order, then one column per feature of the service.
        service: Name of the feature service.
        service_version: Its version.
        features: The version of each feature, by ``view.feature``.
        position: Log offset up to which events were looked at.
        fingerprint: SHA-256 (hex) of names, types and values of all columns: equal content, equal fingerprint.
    """

    table: pa.Table
    service: str
    service_version: str
    features: dict[str, str]
    position: int
    fingerprint: str

    @property
    def rows(self) -> int:
        """How many."""
        return int(self.table.num_rows)

    def write(self, path: Path) -> None:
        """Write it as Parquet, complete or not at all; what is not in the table goes into the file's metadata.

        Raises:
            InvalidInput: see :func:`check_target`; or Parquet has no such column.
            StorageFailed: the file cannot be written.
        """
        check_target(path)
        told = {name: getattr(self, name) for name in _Description.__struct_fields__}
        metadata = {_KEY: msgspec.json.encode(_Description(**told))}
        partial = path.with_name(f".{path.name}.partial")
        try:
            with partial.open("wb") as file:
                pq.write_table(self.table.replace_schema_metadata(metadata), file, compression="zstd")
            partial.replace(path)
        except OSError as error:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            raise StorageFailed(
                f"{path} cannot be written ({error.strerror or error}); name a file in a folder that takes one"
            ) from error
        except pa.ArrowException as error:
            partial.unlink(missing_ok=True)
            raise InvalidInput("rows", f"cannot be written as Parquet ({error}); leave that column out") from error

    @classmethod
    def read(cls, path: Path) -> TrainingSet:
        """What :meth:`write` wrote.

        Raises:
            InvalidInput: there is no such file, it is no training set, or its content was changed.
        """
        try:
            with path.open("rb") as file:
                table = pq.read_table(file)
            table.validate(full=True)
        except OSError as error:
            raise InvalidInput(
                "path", f"{path} cannot be read ({error.strerror or error}); name a file that can"
            ) from None
        except (pa.ArrowException, UnicodeDecodeError):
            raise InvalidInput("path", f"{path} is not Parquet; make it with 'headset features backfill'") from None
        metadata = table.schema.metadata or {}
        if _KEY not in metadata:
            raise InvalidInput("path", f"{path} is no training set; make one with 'headset features backfill'")
        try:
            described = msgspec.json.decode(metadata[_KEY], type=_Description)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise InvalidInput(
                "path", f"{path} is damaged: what it says of its features is lost; make it again"
            ) from None
        table = table.replace_schema_metadata()
        if fingerprint(table) != described.fingerprint:
            raise InvalidInput("path", f"{path} was changed after it was written; make it again")
        return cls(table, **msgspec.structs.asdict(described))


def build_training_set(
    service: FeatureService, rows: pa.Table, *, history: History, position: int, newest: int | None = None
) -> TrainingSet:
    """``rows`` with the value each feature of ``service`` had at ``as_of``.

    Every row is kept, in its place. A feature sees what happened up to and including ``as_of``, so that must be
    before ``label_time``: the event that carries the label could be seen otherwise.

    Args:
        service: The features wanted.
        rows: ``as_of`` (int64, microseconds), a text column per entity of the views, the request's columns where
            on-demand features need them, perhaps ``label`` and ``label_time`` (int64, microseconds: when the label
            became true). Other columns stay.
        history: Facts of the log; see :func:`~headset.features.log_history.log_history`.
        position: Log offset up to which events are looked at.
        newest: The newest moment the log can speak of, microseconds; None for no limit.

    Raises:
        InvalidInput: a column is missing or of another type, a time cannot be, or a row would see its label; it
            names how many rows, the first of them (counted from 1) and the next step.
    """
    check_rows(service, rows, newest)
    rows = rows.replace_schema_metadata()
    found = history.values(service.views, rows, known_to=position)
    features = evaluate_table(service, found)
    table = pa.table([*rows.columns, *features.columns], [*rows.column_names, *features.column_names])
    return TrainingSet(table, service.name, service.version, service.versions, position, fingerprint(table))


def check_rows(service: FeatureService, rows: pa.Table, newest: int | None = None) -> None:
    """Check all that can be known of ``rows`` without the log; for the arguments see :func:`build_training_set`.

    Raises:
        InvalidInput: a column is missing or of another type, a time cannot be, or a row would see its label.
    """
    _check_columns(service, rows)
    _check_times(rows, newest)
    _check_leakage(rows)
    service.on_demand_plan.request(rows)


def check_target(path: Path) -> None:
    """Check that a training set can be written to ``path``: a file, or nothing yet, in a folder that takes one.

    Raises:
        InvalidInput: it cannot.
    """
    try:
        if path.exists() and not path.is_file():
            raise InvalidInput("out", f"{path} is no regular file; name a file to write")
        if not (path.parent.is_dir() and os.access(path.parent, os.W_OK | os.X_OK)):
            raise InvalidInput("out", f"{path.parent} is no folder that takes files; name one that does")
    except OSError as error:
        raise InvalidInput("out", f"{path} cannot be written ({error.strerror}); name another file") from None


def fingerprint(table: pa.Table) -> str:
    """SHA-256 (hex) of the names, types and values of all columns, in order; how they lie in memory is nothing to it.

    >>> one, two = pa.table({"a": [1, 2]}), pa.concat_tables([pa.table({"a": [1]}), pa.table({"a": [2]})])
    >>> fingerprint(one) == fingerprint(two)
    True
    """
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        for part in (name.encode(), _spelled(column.type).encode(), *_content(column)):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()


def _spelled(kind: pa.DataType) -> str:
    """A type by what Parquet keeps of it: no names of lists' elements, no whole seconds."""
    if pa.types.is_fixed_size_list(kind):
        return f"{_spelled(kind.value_type)} x {kind.list_size}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"list of {_spelled(kind.value_type)}"
    if pa.types.is_map(kind):
        return f"map of {_spelled(kind.key_type)} to {_spelled(kind.item_type)}"
    if pa.types.is_struct(kind):
        return f"struct of {[(field.name, _spelled(field.type)) for field in kind]}"
    return str(kind).replace("[s]", "[ms]")


def _content(column: pa.ChunkedArray) -> Iterator[bytes]:
    """Which values are null, and the others."""
    yield column.is_null().to_numpy().tobytes()
    known = column.drop_null()
    kind = column.type
    if pa.types.is_fixed_size_list(kind) and pa.types.is_floating(kind.value_type) and len(known):
        yield from _content(pa.chunked_array([chunk.flatten() for chunk in known.chunks], kind.value_type))
    elif pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        yield known.to_numpy().tobytes()
    elif pa.types.is_temporal(kind) and getattr(kind, "unit", "") == "ns":
        yield known.cast(pa.int64()).to_numpy().tobytes()  # Python's times end at microseconds
    else:
        yield msgspec.json.encode(known.to_pylist(), enc_hook=str)


def _check_columns(service: FeatureService, rows: pa.Table) -> None:
    names = rows.column_names
    entities = dict.fromkeys(view.entity for view in service.views)
    for name in ("as_of", *entities):
        if name not in names:
            given = ", ".join(names)[:200] or "none"
            raise InvalidInput(f"rows.{name}", f"is missing, the columns are {given}; {service.name} needs it")
    for name in entities:
        check_keys(f"rows.{name}", rows[name])
    twice = {name for name in names if names.count(name) > 1}
    computed = {f"{view.name}.{feature.name}" for view in service.views for feature in view.features}
    for name in (*sorted(twice), *(name for name in names if name in computed | set(service.versions))):
        raise InvalidInput(f"rows.{name}", "would stand in the training set twice; give the column another name")
    if "label_time" in names and "label" not in names:
        raise InvalidInput("rows.label_time", "dates a label that is not there; add the column label, or leave it out")


def _check_times(rows: pa.Table, newest: int | None) -> None:
    for name in TIMES:
        if name not in rows.column_names:
            continue
        column = rows[name]
        if column.type != pa.int64():
            raise InvalidInput(f"rows.{name}", f"is {column.type}; give int64, microseconds since 1970")
        _refuse(rows, pc.less(column, 0), name, "before 1970", "give microseconds since 1970")
    _refuse(rows, rows["as_of"].is_null(), "as_of", "null", "give each row its moment, or leave it out")
    if newest is not None:
        problem = f"after the log's last event ({iso(newest)}), where features are not known yet"
        _refuse(rows, pc.greater(rows["as_of"], newest), "as_of", problem, "give earlier moments")


def _check_leakage(rows: pa.Table) -> None:
    if "label_time" not in rows.column_names:
        return
    undated = pc.and_(rows["label_time"].is_null(), rows["label"].is_valid())
    _refuse(rows, undated, "label_time", "null although there is a label", "date the label, or leave it out")
    _refuse(
        rows,
        pc.greater_equal(rows["as_of"], rows["label_time"]),
        "as_of",
        "not before label_time, so features could see the label",
        "give moments before the label became true, or leave these rows out",
    )


def _refuse(rows: pa.Table, wrong: pa.ChunkedArray, name: str, problem: str, remedy: str) -> None:
    """Refuse the rows for which ``wrong`` is true, if any; the message tells the first one's times."""
    places = pc.indices_nonzero(pc.fill_null(wrong, False))  # noqa: FBT003 - the value of null
    if not len(places):
        return
    first = places[0].as_py()
    times = (f"{each} {_shown(rows[each][first].as_py())}" for each in TIMES if each in rows.column_names)
    raise InvalidInput(
        f"rows.{name}",
        f"is {problem} in {len(places):,} of {rows.num_rows:,} rows, first in row {first + 1:,}"
        f" ({', '.join(times)}); {remedy}",
    )


def _shown(moment: int | None) -> str:
    if moment is None:
        return "null"
    return iso(moment) if 0 <= moment < 8_000 * 366 * _DAY_US else f"{moment} µs"
