from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headset.core.clock import parse_iso
from headset.core.errors import InvalidInput
from headset.features.entity_table import read_rows

NOON = "2026-11-22T12:00:00Z"
NOON_US = parse_iso(NOON, field="")


def test_times_are_read_in_each_form_and_keys_stay_texts(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(f"customer,as_of,label,label_time\n0042,{NOON},1,2026-11-22T13:00:00+01:00\n,{NOON_US},,\nNA,,2,\n")
    assert read_rows(path).to_pylist() == [
        {"customer": "0042", "as_of": NOON_US, "label": 1, "label_time": NOON_US},
        {"customer": None, "as_of": NOON_US, "label": None, "label_time": None},
        {"customer": "NA", "as_of": None, "label": 2, "label_time": None},
    ]


@pytest.mark.parametrize(
    "moments",
    [
        pa.array([NOON_US]),
        pa.array([NOON]),
        pa.array([datetime(2026, 11, 22, 12, tzinfo=UTC)], pa.timestamp("s", "Europe/Berlin")),
        pa.array([NOON_US * 1_000 + 1], pa.timestamp("ns", "UTC")),
    ],
)
def test_parquet_is_known_by_its_content(tmp_path, moments):
    path = tmp_path / "rows"
    pq.write_table(pa.table({"as_of": moments, "agent": pa.array(["kim"]).dictionary_encode()}), path)
    found = read_rows(path)
    assert found.to_pylist() == [{"as_of": NOON_US, "agent": "kim"}]
    assert found.schema.types == [pa.int64(), pa.string()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"rows\.csv: is empty"),
        (b"as_of,customer\n", r"rows\.csv: holds no rows"),
        (b"time,customer\n1,a\n", r"rows\.csv\.as_of: is missing; the columns are time, customer"),
        (b"as_of,as_of\n1,1\n", r"rows\.csv: holds two columns of one name"),
        (b"as_of,customer\nyesterday,a\n", r"rows\.csv\.as_of: row 1: 'yesterday' is not an ISO 8601 time"),
        (b"as_of\n2026-11-22T12:00:00\n", r"row 1: .* names no time zone"),
        (f"as_of\n{NOON}\n1800000000\n".encode(), r"row 2: 1800000000 microseconds after 1970 is not between"),
        (b"as_of\n-5\n", r"row 1: -5 microseconds"),
        (b"as_of\n" + b"9" * 30 + b"\n", r"row 1: 9{30} microseconds"),
        (b"as_of,customer\n1\n", r"rows\.csv: is not CSV with one header line, in UTF-8 \("),
        (b"as_of,customer\n\xff\xfe\xff,a\n", r"rows\.csv"),
        (b"as_of,caf\xe9\n1,a\n", r"rows\.csv: is not CSV with one header line, in UTF-8 \('utf-8' codec"),
        (b"PAR1 and no more", r"rows\.csv: is not Parquet \("),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, content, message):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        read_rows(path)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"as_of": [NOON_US], "customer": [42]}, r"rows\.customer: is int64; keys are texts"),
        (
            {"as_of": pa.array([1 << 62], pa.timestamp("ms", "UTC"))},
            r"rows\.as_of: holds a time beyond .*4611686018427387904",
        ),
        ({"as_of": [0.5]}, r"rows\.as_of: is double; write ISO 8601"),
        ({"as_of": [datetime(2026, 1, 1)]}, r"rows\.as_of: names no time zone"),  # noqa: DTZ001 - that is the point
    ],
)
def test_columns_of_another_type_are_refused(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "rows")
    with pytest.raises(InvalidInput, match=message):
        read_rows(tmp_path / "rows")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"gone\.csv cannot be read \(No such file"):
        read_rows(tmp_path / "gone.csv")
    with pytest.raises(InvalidInput, match=r"cannot be read \(Is a directory"):
        read_rows(tmp_path)
    latin = pa.array([b"caf\xe9"]).view(pa.string())
    pq.write_table(pa.table({"as_of": [NOON_US], "customer": latin}), tmp_path / "rows.parquet")
    with pytest.raises(InvalidInput, match=r"is not Parquet .*Invalid UTF8"):
        read_rows(tmp_path / "rows.parquet")
    (tmp_path / "rows.parquet").write_text("as_of\n1\n")
    with pytest.raises(InvalidInput, match=r"begins with b'as_o', so it is not Parquet"):
        read_rows(tmp_path / "rows.parquet")
