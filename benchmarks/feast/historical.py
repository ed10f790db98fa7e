"""Feast's point-in-time join on its DuckDB store; runs in Feast's environment, see environment.py.

First line in: `folder` with `features.parquet` (key, event_time, features) and `rows.parquet` (key, event_timestamp,
place), and `features`. Each further line: `out`, where to keep the answer, or null; the answer is the seconds it took.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path

import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
from feast.types import Array, Float32, Float64
from feast.value_type import ValueType


def main() -> None:
    """Apply the view, then answer."""
    warnings.showwarning = lambda *_, **__: None  # Feast's own calls
    settings = json.loads(sys.stdin.readline())
    folder = Path(settings["folder"])
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    conversation = Entity(name="conversation", join_keys=["key"], value_type=ValueType.STRING)
    views = []
    for name, features in settings["views"].items():
        schema = [Field(name=each, dtype=Array(Float32) if each == "embedding" else Float64) for each in features]
        source = FileSource(path=str(folder / f"{name}.parquet"), timestamp_field="event_time")
        views.append(FeatureView(name=name, entities=[conversation], schema=schema, source=source))
    store.apply([conversation, *views])
    references = [f"{name}:{each}" for name, features in settings["views"].items() for each in features]
    rows = pq.read_table(folder / "rows.parquet").to_pandas()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        out = json.loads(line)["out"]
        asked = rows.copy()
        began, worked = time.perf_counter(), time.process_time()
        found = store.get_historical_features(entity_df=asked, features=references).to_arrow()
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - worked
        if out is not None:
            pq.write_table(found, out)
        print(json.dumps({"seconds": seconds, "cpu_s": cpu_s, "rows": found.num_rows}), flush=True)


if __name__ == "__main__":
    main()
