"""Tables of entities and moments from files: the rows that features are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from headset.core.clock import iso, parse_iso
from headset.core.errors import InvalidInput
from headset.features.fact import ENTITIES

if TYPE_CHECKING:
    from pathlib import Path

TIMES = ("as_of", "label_time")

_MAGIC = b"PAR1"
_EARLIEST_NUMBER = 946_684_800_000_000  # the year 2000: numbers below are seconds or milliseconds by mistake


def read_rows(path: Path) -> pa.Table:
    """A table with ``as_of`` and keys, from CSV with a header line or from Parquet, told apart by content.

    ``as_of`` and ``label_time`` are ISO 8601 with a zone, microseconds since 1970, or (Parquet) timestamps with a
    zone, and become int64 microseconds. Keys (``conversation``, ``customer``, ``agent``, ``queue``, ``segment``)
    are texts: ``0042`` stays as it is. An empty cell is null.

    Raises:
        InvalidInput: the file is not there, is neither CSV nor Parquet, holds no rows, or a column is missing or of
            another type.
    """
    table = _read(path)
    if "as_of" not in table.column_names:
        raise InvalidInput(
            f"{path.name}.as_of", f"is missing; the columns are {', '.join(table.column_names)[:200]}; name one as_of"
        )
    if len(set(table.column_names)) < table.num_columns:
        raise InvalidInput(path.name, "holds two columns of one name; name each column once")
    if table.num_rows == 0:
        raise InvalidInput(path.name, "holds no rows; give one row for each moment and entity")
    for place, name in enumerate(table.column_names):
        if name in TIMES:
            table = table.set_column(place, name, _moments(f"{path.name}.{name}", table[name]))
        elif name in ENTITIES:
            table = table.set_column(place, name, check_keys(f"{path.name}.{name}", table[name]))
    return table


def check_keys(field: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """``column`` as strings.

    Raises:
        InvalidInput: it holds something else; it names ``field``.
    """
    held = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if held not in {pa.string(), pa.large_string(), pa.string_view(), pa.null()}:
        raise InvalidInput(field, f"is {held}; keys are texts, so that 0042 and 42 differ: cast the column to text")
    return column.cast(pa.string())


def _read(path: Path) -> pa.Table:
    try:
        with path.open("rb") as file:
            beginning = file.read(len(_MAGIC))
            file.seek(0)
            if beginning == _MAGIC:
                return _whole(pq.read_table(file))
    except OSError as error:
        raise InvalidInput("rows", f"{path} cannot be read ({error.strerror or error}); name a file that can") from None
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InvalidInput(path.name, f"is not Parquet ({_reason(error)}); write it again") from None
    if not beginning:
        raise InvalidInput(path.name, "is empty; give CSV with a header line, or Parquet")
    if path.suffix == ".parquet":
        raise InvalidInput(path.name, f"begins with {beginning!r}, so it is not Parquet; write it again")
    try:
        return _whole(_read_csv(path))
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise InvalidInput(
            path.name, f"is not CSV with one header line, in UTF-8 ({_reason(error)}); write it again"
        ) from None


def _whole(table: pa.Table) -> pa.Table:
    """``table``, if all names and texts in it are UTF-8, which readers do not look at."""
    table.validate(full=True)
    return table


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def _read_csv(path: Path) -> pa.Table:
    return pyarrow.csv.read_csv(
        path,
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys((*TIMES, *ENTITIES), pa.string()), null_values=[""], strings_can_be_null=True
        ),
    )


def _moments(field: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        try:
            return column.cast(pa.timestamp("us", "UTC"), safe=kind.unit != "ns").cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise InvalidInput(field, f"holds a time beyond all calendars ({_reason(error)}); correct it") from None
    if pa.types.is_timestamp(kind):
        raise InvalidInput(field, "names no time zone; write timestamps in UTC, or microseconds since 1970")
    if pa.types.is_int64(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        values = (_moment(field, row, value) for row, value in enumerate(column.to_pylist(), 1))
        return pa.chunked_array([pa.array(values, pa.int64())])
    raise InvalidInput(field, f"is {kind}; write ISO 8601 times such as {iso(0)}, or microseconds since 1970")


def _moment(field: str, row: int, value: str | int | None) -> int | None:
    if value is None:
        return None
    try:
        moment = int(value)
    except ValueError:
        try:
            return parse_iso(str(value), field=field)
        except InvalidInput as error:
            raise InvalidInput(field, f"row {row}: {error.problem}") from None
    if not _EARLIEST_NUMBER <= moment < 1 << 62:
        raise InvalidInput(
            field,
            f"row {row}: {moment} microseconds after 1970 is not between the years 2000 and 9998; numbers are"
            " microseconds, older moments are written as ISO 8601",
        )
    return moment
