"""Reading features for a decision: 50 features over 5 views and a mean of 384-number embeddings, of one conversation.

Every timed read comes after a new turn of the conversation it is about, as a decision does. Memory: in this process,
while another thread folds 500 facts a second (threads take turns every millisecond, as in the server); folding a
fact finds what it changes for those who read lately. Redis: facts are written through one store, and read through
another that did not write them. Beside them, in the same run and in turns
with them: a plain `GET` of as many bytes as the values have, and Feast on the same Redis, in process, which reads the
same 50 values and the embedding from 5 feature views. Feast is given the values ready-made; Headset computes its
windows while it reads.

A server reads ahead what its decisions changed, so a decision over Redis meets the time of nothing new; the first read
after a new turn is shown beside it.

A hundred conversations go on at a time, and each is read after ten turns of it.

Flat: the same 50 features in 1, 5 and 20 views, and 5 views over ever more conversations, in memory. Every
conversation has one turn, those that are read have ten.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from itertools import product
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from feast.environment import Feast, NoFeast
from redis import Redis
from redis.exceptions import RedisError

from headset.backends.redis import RedisStore
from headset.features.aggregation import Count, Distinct, Ewma, First, Last, Max, Mean, Min, Quantile, Sum, VectorMean
from headset.features.definition import Feature, FeatureService, FeatureView
from headset.features.expression import column
from headset.features.fact import Fact
from headset.features.memory import MemoryStore
from headset.features.store import FeatureRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from headset.features.store import FeatureRow, OnlineStore

TARGET = 8.0
SEED = 20261122
SIZE = 384
READ_KEYS = 1_000
TURNS = 10
FACTS_PER_S = 500
P99_US = 1_000.0
OF_ROUND_TRIP = 3.0
FLAT = 0.2
START = 1_800_000_000_000_000
REDIS = "redis://127.0.0.1:6379"

AGGREGATIONS = (
    Count(),
    Mean(),
    Sum(),
    Min(),
    Max(),
    First(),
    Last(),
    Ewma("2 h"),
    Quantile(0.9),
    Distinct(),
)
SENTIMENT, POSITION = column("sentiment"), column("position")
INPUTS = (
    (SENTIMENT, "1 h"),
    (SENTIMENT, "1 d"),
    (POSITION, "1 h"),
    (SENTIMENT * POSITION, "1 d"),
    (SENTIMENT + POSITION, "1 d"),
)
SCALARS = tuple(
    Feature(name=f"f{number}", expression=expression, aggregation=aggregation, window=window)
    for number, ((expression, window), aggregation) in enumerate(product(INPUTS, AGGREGATIONS))
)
EMBEDDING = Feature(
    name="embedding", expression=column("embedding"), aggregation=VectorMean(SIZE), window="conversation"
)


def make_service(count: int) -> FeatureService:
    """The 50 features and the embedding, dealt to ``count`` views."""
    views = tuple(
        FeatureView(
            name=f"view{place}",
            entity="conversation",
            event="TurnReceived",
            owner="benchmarks",
            description="",
            features=SCALARS[place::count] + ((EMBEDDING,) if place == 0 else ()),
        )
        for place in range(count)
    )
    return FeatureService(name="bench", views=views, owner="benchmarks", description="")


class Talk:
    """Turns of made-up conversations, one every tenth of a second of the log's time."""

    def __init__(self, random: Random) -> None:
        self._random = random
        vectors = np.random.default_rng(SEED).normal(0, 0.05, (100, SIZE)).astype("<f4")
        self._vectors = [vector.tobytes() for vector in vectors]
        self.offset = 0

    @property
    def now(self) -> int:
        """The time of the last turn."""
        return START + 100_000 * self.offset

    def turn(self, key: str) -> Fact:
        """The next turn, in the conversation ``key``."""
        self.offset += 1
        said = {
            "sentiment": self._random.uniform(-1, 1),
            "position": float(self._random.randrange(20)),
            "embedding": self._vectors[self.offset % len(self._vectors)],
        }
        name = self.offset.to_bytes(16, "big")
        return Fact("TurnReceived", name, self.now, self.now, self.offset, {"conversation": key}, said)


def fill(store: OnlineStore, service: FeatureService, talk: Talk, keys: Sequence[str]) -> None:
    """A turn of each conversation, in batches."""
    versions = [view.version for view in service.views]
    for start in range(0, len(keys), 1_000):
        facts = [talk.turn(key) for key in keys[start : start + 1_000]]
        store.write(facts, talk.offset, versions)


def filled(store: OnlineStore, service: FeatureService, random: Random, conversations: int) -> Talk:
    """``store`` with so many conversations, the first :data:`READ_KEYS` of them with :data:`TURNS` turns."""
    store.install(service.views)
    talk = Talk(random)
    fill(store, service, talk, [name_of(number) for number in range(READ_KEYS, conversations)])
    for _ in range(TURNS):
        fill(store, service, talk, [name_of(number) for number in range(READ_KEYS)])
    return talk


def name_of(number: int) -> str:
    """The key of a conversation."""
    return f"conversation-{number:07d}"


def key_of(number: int) -> str:
    """The key of the conversation whose turn comes then: a hundred go on at a time, and each is read ten times."""
    return name_of((number // 1_000 * 100 + number % 100) % READ_KEYS)


def read(store: OnlineStore, service: FeatureService, key: str, as_of: int) -> tuple[FeatureRow, float]:
    """What is read of ``key``, and the microseconds it took."""
    requests = [FeatureRequest({"conversation": key}, as_of)]
    began = time.perf_counter()
    (row,) = store.read(service, requests)
    took = (time.perf_counter() - began) * 1e6
    if row.problem or row.unknown:
        raise SystemExit(f"{key} could not be read: {row.problem or row.unknown}")
    return row, took


def read_after_turns(
    writer: OnlineStore, reader: OnlineStore, service: FeatureService, talk: Talk, count: int
) -> list[float]:
    """The microseconds of reads, each after a turn of its conversation."""
    versions = [view.version for view in service.views]
    found = []
    for number in range(count):
        key = key_of(number)
        writer.write([talk.turn(key)], talk.offset, versions)
        found.append(read(reader, service, key, talk.now)[1])
    return found


def read_under_load(store: MemoryStore, service: FeatureService, talk: Talk, seconds: float) -> list[float]:
    """The microseconds of reads of what was just written, while a thread writes at its pace."""
    versions = [view.version for view in service.views]
    over, written = threading.Event(), [(name_of(0), talk.now)]

    def write() -> None:
        due = time.perf_counter()
        while not over.is_set():
            key = key_of(talk.offset)
            store.write([talk.turn(key)], talk.offset, versions)
            written.append((key, talk.now))
            due += 1 / FACTS_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))

    thread = threading.Thread(target=write)
    thread.start()
    found, place, ends = [], 0, time.perf_counter() + seconds
    while time.perf_counter() < ends:
        if place < len(written):
            key, as_of = written[place]
            place += 1
            found.append(read(store, service, key, as_of)[1])
        else:  # nothing new: another conversation, so that the reader never rests; not counted
            read(store, service, name_of(len(found) * 7 % READ_KEYS), written[-1][1])
    over.set()
    thread.join()
    return found


def quantile(values: Sequence[float], share: float) -> float:
    """The value that a share of all does not exceed."""
    return float(np.quantile(values, share))


def show(what: str, values: Sequence[float]) -> None:
    """One line of the table."""
    shown = (quantile(values, 0.5), quantile(values, 0.99), max(values))
    print(f"{what:62s} {len(values):7,d} " + " ".join(f"{value:9,.0f}" for value in shown), flush=True)


def after_turns(service: FeatureService, random: Random, conversations: int, count: int) -> list[float]:
    """The microseconds of reads from memory, with so many conversations in it."""
    store = MemoryStore()
    talk = filled(store, service, random, conversations)
    return read_after_turns(store, store, service, talk, count)


def flatness(times: Iterable[Sequence[float]]) -> float:
    """How far the medians lie from their middle, as a share of it."""
    medians = [statistics.median(each) for each in times]
    return (max(medians) - min(medians)) / (max(medians) + min(medians))


def beside_feast(client: Redis, url: str, rounds: int, reads: int) -> dict[str, list[float]]:
    """Reads over Redis, of plain bytes, and by Feast, in turns."""
    project = f"headset_bench_{os.getpid()}"
    service, random = make_service(5), Random(SEED)
    # A busy machine may pause a read for longer than serving would wait; here it is to be measured.
    writer, reader = (RedisStore(url, prefix=project, timeout_s=10) for _ in range(2))
    times: dict[str, list[float]] = {name: [] for name in ("redis", "first", "again", "get", "feast", "feast_dict")}
    reader.install(service.views)
    try:
        talk = filled(writer, service, random, READ_KEYS)
        rows = {
            name_of(number): read(writer, service, name_of(number), talk.now)[0].values for number in range(READ_KEYS)
        }
        content = b"".join(
            value.tobytes() if isinstance(value, np.ndarray) else np.float64(value).tobytes()
            for value in rows[name_of(0)].values()
        )
        print(f"\nover Redis; a row has {len(content):,} bytes{'':23s} {'reads':>7s} {'median':>9s} {'p99':>9s}")
        client.set(f"{project}/plain", content, ex=3_600)
        times["first"] = [read(reader, service, name_of(number), talk.now)[1] for number in range(READ_KEYS)]
        with tempfile.TemporaryDirectory() as folder:
            feast = start_feast(Path(folder), url, project, service, rows)
            try:
                for _ in range(rounds):
                    times["redis"] += read_after_turns(writer, reader, service, talk, reads)
                    keys = [key_of(number) for number in range(reads)]
                    times["again"] += [read(reader, service, key, talk.now)[1] for key in keys]
                    times["get"] += [plain(client, f"{project}/plain") for _ in range(reads)]
                    if feast is not None:
                        answer = feast.ask(keys=keys)
                        times["feast"] += answer["read_us"]
                        times["feast_dict"] += answer["read_as_dict_us"]
            finally:
                if feast is not None:
                    feast.__exit__()
    finally:
        writer.close()
        reader.close()
        for name in client.scan_iter(match=f"{project}*", count=1_000):
            client.unlink(name)
    return times


def plain(client: Redis, name: str) -> float:
    """The microseconds of one GET."""
    began = time.perf_counter()
    client.get(name)
    return (time.perf_counter() - began) * 1e6


def start_feast(
    folder: Path, url: str, project: str, service: FeatureService, rows: dict[str, dict[str, Any]]
) -> Feast | None:
    """Feast with the values of ``rows``; None, and why on the screen, where it cannot be had."""
    views = {view.name: [f"{view.name}_{feature.name}" for feature in view.features] for view in service.views}
    views["view0"][-1] = "embedding"
    utc = pa.array([START] * len(rows), pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    columns: dict[str, Any] = {"key": list(rows), "event_time": utc}
    for name in service.versions:
        values = [row[name] for row in rows.values()]
        if name == "view0.embedding":
            columns["embedding"] = pa.array([value.tolist() for value in values], pa.list_(pa.float32()))
        else:
            columns[name.replace(".", "_")] = pa.array([float(value) for value in values])
    pq.write_table(pa.table(columns), folder / "values.parquet")
    place = urlsplit(url)
    address = f"{place.hostname}:{place.port or 6379},db={place.path.strip('/') or 0}"
    try:
        feast = Feast(
            "online.py", {"folder": str(folder), "views": views, "redis": address, "project": f"{project}_feast"}
        )
        found, key = feast.ask(values=name_of(7)), name_of(7)
        for name, value in rows[key].items():
            theirs = found["embedding" if name == "view0.embedding" else name.replace(".", "_")]
            if not np.array_equal(np.asarray(theirs, np.float64), np.asarray(value, np.float64)):
                raise SystemExit(f"Feast gives {theirs} for {name} of {key}, not {value}")
    except NoFeast as error:
        print(f"without Feast, so there is no figure: {error}")
        return None
    return feast


def main() -> None:
    """Measure, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="to 100,000 conversations instead of 1,000,000")
    quick = parser.parse_args().quick
    url = os.environ.get("HEADSET_REDIS_URL", REDIS)
    random = Random(SEED)
    sys.setswitchinterval(0.001)
    count = 1_000 if quick else 10_000

    print(f"{'microseconds of a read, in memory':62s} {'reads':>7s} {'median':>9s} {'p99':>9s} {'longest':>9s}")
    service, store = make_service(5), MemoryStore()
    talk = filled(store, service, random, READ_KEYS)
    loaded = read_under_load(store, service, talk, 4 if quick else 20)
    show(f"while {FACTS_PER_S} facts a second are folded", loaded)
    by_views, by_keys = {}, {}
    for views in (5, 1, 20):
        by_views[views] = after_turns(make_service(views), random, READ_KEYS, count)
        show(f"50 features and the embedding in {views} views", by_views[views])
    by_keys[READ_KEYS] = by_views[5]
    for conversations in (100_000,) if quick else (10_000, 100_000, 1_000_000):
        by_keys[conversations] = after_turns(service, random, conversations, count)
        show(f"5 views, {conversations:,} conversations", by_keys[conversations])
    flat = {"views": flatness(by_views.values()), "conversations": flatness(by_keys.values())}
    print(f"off the middle: {flat['views']:.0%} by views, {flat['conversations']:.0%} by conversations")

    try:
        client = Redis.from_url(url, socket_timeout=10)
        client.ping()
        times = beside_feast(client, url, 1 if quick else 5, 1_000)
    except RedisError as error:
        print(f"without Redis, so there is no figure: {error}; set HEADSET_REDIS_URL")
        times = {}
    described = {
        "redis": "Headset, after a new turn",
        "again": "Headset, nothing new: what a decision meets, for servers read ahead",
        "first": "Headset, the first read of a conversation by this process",
        "get": "plain GET of as many bytes",
        "feast": "Feast, get_online_features",
        "feast_dict": "Feast, get_online_features(...).to_dict()",
    }
    for name, what in described.items():
        if times.get(name):
            show(what, times[name])
    medians = {name: round(statistics.median(values), 1) for name, values in times.items() if values}
    p99, memory = quantile(loaded, 0.99), statistics.median(loaded)
    ratio = medians["feast"] / memory if "feast" in medians else 0.0
    over_redis = medians["feast"] / medians["redis"] if "feast" in medians else 0.0
    trip = medians["redis"] / medians["get"] if "get" in medians else 0.0
    unchanged = {other: medians[other] / medians["again"] for other in ("feast", "get") if other in medians}
    if ratio:
        beside = f"{over_redis:.1f} times ours over Redis, {unchanged['feast']:.1f} times where nothing is new"
        print(f"Feast's median is {ratio:.1f} times ours in memory, {beside}")
    if trip:
        print(f"a read over Redis takes {trip:.1f} times a plain GET of the same bytes,")
        print(f"and {1 / unchanged['get']:.1f} times where nothing is new since the last read")
    met = 1 / unchanged["get"] if "get" in unchanged else 0.0
    holds = ratio >= TARGET and p99 <= P99_US and 0 < met <= OF_ROUND_TRIP and max(flat.values()) <= FLAT
    result = {
        "name": "feature_read",
        "figure": round(ratio, 2),
        "unit": "times lower median in process than Feast's on Redis; 50 features over 5 views and 384 numbers",
        "target": TARGET,
        "holds": bool(holds),
        "baseline": f"Feast 0.67, get_online_features: median {medians.get('feast', 0):,.0f} us",
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}",
        "seed": SEED,
        "memory_us": {"median": round(memory, 1), "p99": round(p99, 1)},
        "redis_us": medians,
        "over_redis": round(over_redis, 2),
        "over_redis_nothing_new": round(unchanged.get("feast", 0.0), 2),
        "times_a_get": {"read ahead": round(met, 2), "after a new turn": round(trip, 2)},
        "off_the_middle": {name: round(value, 3) for name, value in flat.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
