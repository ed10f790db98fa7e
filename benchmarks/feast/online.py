"""Feast's online read from Redis, in process; runs in Feast's environment, see environment.py.

First line in: `folder` with `values.parquet` (key, event_time, features), `views` (features by view), `redis`
(`host:port,db=n`) and `project`. Each further line: `keys`, to be read one after the other; the answer has the
microseconds of each read, without and with making it a dict. The line `{"values": key}` gives what is read of a key,
and the end of input deletes all of it.
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
    """Write the values, then answer."""
    warnings.showwarning = lambda *_, **__: None  # Feast's own calls
    settings = json.loads(sys.stdin.readline())
    folder = Path(settings["folder"])
    store = FeatureStore(
        config=RepoConfig(
            project=settings["project"],
            provider="local",
            registry=str(folder / "registry.db"),
            online_store={"type": "redis", "connection_string": settings["redis"], "key_ttl_seconds": 3_600},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    conversation = Entity(name="conversation", join_keys=["key"], value_type=ValueType.STRING)
    source = FileSource(path=str(folder / "values.parquet"), timestamp_field="event_time")
    views = []
    for name, features in settings["views"].items():
        schema = [Field(name=each, dtype=Array(Float32) if each == "embedding" else Float64) for each in features]
        views.append(FeatureView(name=name, entities=[conversation], schema=schema, source=source, online=True))
    store.apply([conversation, *views])
    try:
        values = pq.read_table(folder / "values.parquet").to_pandas()
        for name, features in settings["views"].items():
            store.write_to_online_store(name, values[["key", "event_time", *features]])
        print(json.dumps({"ready": True}), flush=True)
        references = [f"{name}:{each}" for name, features in settings["views"].items() for each in features]
        for line in sys.stdin:
            print(json.dumps(_answer(store, references, json.loads(line))), flush=True)
    finally:
        store.teardown()


def _answer(store: FeatureStore, references: list[str], request: dict) -> dict:
    if "values" in request:
        found = store.get_online_features(features=references, entity_rows=[{"key": request["values"]}]).to_dict()
        return {name: value[0] for name, value in found.items()}
    read, read_as_dict = [], []
    for key in request["keys"]:
        began = time.perf_counter()
        response = store.get_online_features(features=references, entity_rows=[{"key": key}])
        answered = time.perf_counter()
        response.to_dict()
        read.append((answered - began) * 1e6)
        read_as_dict.append((time.perf_counter() - began) * 1e6)
    return {"read_us": read, "read_as_dict_us": read_as_dict}


if __name__ == "__main__":
    main()
