"""Keeping features up to date: how soon an event shows in a read, and how many a second are folded; all shipped views.

The events are those of a simulated contact centre, from its log. Timed apart, each on the same events:

* `SignalReader.facts`: events to facts; it opens what is sealed, and computes embeddings from the texts, which the
  simulated centre does not keep. Serving computes them when a turn comes in, and keeps them.
* `MemoryStore.write` and `RedisStore.write`: facts into the store, in the follower's batches of 1,000.
* `Follower.catch_up`: the whole way from the log into memory.

Freshness: a thread appends 500 events a second, each with a commit of its own, to the log whose past is folded; another
calls `catch_up` every 20 ms, as the serving process does; a third reads without pause. An event's freshness is the time
from the start of its append until a read says that it has heard of it (`FeatureRow.position`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import structs
from redis import Redis
from redis.exceptions import RedisError

from headset.app import open_installation
from headset.backends.redis import RedisStore
from headset.core.clock import ManualClock
from headset.core.config import load_config
from headset.core.ids import Ids
from headset.features.definition import pinned
from headset.features.families import risk_service, shipped
from headset.features.follower import Follower
from headset.features.memory import MemoryStore
from headset.features.store import FeatureRequest
from headset.twin.generate import generate
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headset.app import Installation
    from headset.events.log import Record
    from headset.events.schema import Event
    from headset.events.sqlite import SqliteLog
    from headset.features.definition import FeatureView
    from headset.features.fact import Fact
    from headset.features.store import OnlineStore

SCENARIO = "retail_year"
TARGET_S = 1.0
SEED = 20261122
EVENTS_PER_S = 500
FOLLOW_EVERY_S = 0.02
BATCH = 1_000
GRACE_US = 3_600_000_000
REDIS = "redis://127.0.0.1:6379"


def fold(store: OnlineStore, views: Sequence[FeatureView], facts: Sequence[Fact]) -> float:
    """Facts per second that ``store`` folds."""
    store.install(views)
    versions = [view.version for view in views]
    store.positions()
    began = time.perf_counter()
    for start in range(0, len(facts), BATCH):
        part = facts[start : start + BATCH]
        store.write(part, part[-1].offset, versions)
    return len(facts) / (time.perf_counter() - began)


def fold_redis(url: str, views: Sequence[FeatureView], facts: Sequence[Fact]) -> float:
    """The same for Redis; 0 where there is none."""
    prefix = f"headset_bench_{os.getpid()}"
    try:
        client = Redis.from_url(url, socket_timeout=10)
        client.ping()
    except RedisError as error:
        print(f"without Redis: {error}; set HEADSET_REDIS_URL")
        return 0.0
    store = RedisStore(url, prefix=prefix, grace_us=GRACE_US)
    try:
        return fold(store, views, facts)
    finally:
        store.close()
        for name in client.scan_iter(match=f"{prefix}*", count=1_000):
            client.unlink(name)


def append(log: SqliteLog, events: Sequence[Event]) -> list[tuple[int, float]]:
    """Append each event by itself at the pace wanted; the offset of each, and when its append began."""
    found = []
    due = time.perf_counter()
    for event in events:
        began = time.perf_counter()
        log.append([event])
        found.append((log.head(), began))
        due += 1 / EVENTS_PER_S
        time.sleep(max(0.0, due - time.perf_counter()))
    return found


def freshness(
    parts: Installation, views: Sequence[FeatureView], follower: Follower, store: MemoryStore, said: Sequence[Record]
) -> list[float]:
    """Seconds from the append of each event until a read has heard of it; ``said`` is said again, under new ids."""
    ids = Ids(parts.clock, random.Random(SEED))
    now = parts.clock.now()
    events = [structs.replace(one.event, event_id=ids.new(), event_time=now + at) for at, one in enumerate(said)]
    service = risk_service(views)
    seen: list[tuple[int, float]] = []
    over = threading.Event()

    def follow() -> None:
        while not over.wait(FOLLOW_EVERY_S):
            follower.catch_up()

    def read() -> None:
        keys = {"conversation": events[0].conversation_id or ""}
        while not over.is_set():
            (row,) = store.read(service, [FeatureRequest(keys, now + len(events))])
            if not seen or row.position > seen[-1][0]:
                seen.append((row.position, time.perf_counter()))
            time.sleep(0.001)

    threads = [threading.Thread(target=each) for each in (follow, read)]
    for thread in threads:
        thread.start()
    appended = append(parts.log, events)
    ends = time.perf_counter() + 30
    while (not seen or seen[-1][0] < appended[-1][0]) and time.perf_counter() < ends:
        time.sleep(0.01)
    over.set()
    for thread in threads:
        thread.join()
    positions = np.array([position for position, _ in seen])
    places = [int(np.searchsorted(positions, offset)) for offset, _ in appended]
    moments = [moment for _, moment in seen] + [float("inf")]
    return [moments[place] - began for place, (_, began) in zip(places, appended, strict=True)]


def main() -> None:
    """Simulate, fold, follow, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two days of the centre and 5 s of appends")
    quick = parser.parse_args().quick
    days, seconds = (2.0, 5) if quick else (14.0, 60)
    scenario = read_scenario(SCENARIO)
    clock = ManualClock()
    entropy = random.Random(SEED).randbytes
    with (
        tempfile.TemporaryDirectory() as folder,
        open_installation(load_config(Path(folder), {}), clock=clock, entropy=entropy) as parts,
    ):
        generate(
            make_world(scenario),
            log=parts.log,
            door=parts.door,
            clock=clock,
            score=parts.sentiment.score,
            seed=SEED,
            days=days,
        )
        signals = parts.signals()
        views = [pinned(view, signals.versions) for view in shipped(parts.encoder.dim)]
        records, after = [], 0
        while some := parts.log.read(after, 10_000):
            records += some
            after = some[-1].offset
        began = time.perf_counter()
        facts = signals.facts(records)
        read_per_s = len(records) / (time.perf_counter() - began)
        features = sum(len(view.features) for view in views)
        print(f"{len(records):,} events, {len(facts):,} facts, {len(views)} views with {features} features")
        memory_per_s = fold(MemoryStore(grace_us=GRACE_US), views, facts)
        url = os.environ.get("HEADSET_REDIS_URL", REDIS)
        redis_per_s = fold_redis(url, views, facts[: 5_000 if quick else 50_000])
        store = MemoryStore(grace_us=GRACE_US)
        follower = Follower(parts.log, signals, store)
        follower.install(views)
        began = time.perf_counter()
        followed = follower.catch_up()
        followed_per_s = followed / (time.perf_counter() - began)
        count = seconds * EVENTS_PER_S
        late = freshness(parts, views, follower, store, (records * (count // len(records) + 1))[-count:])
    per_s = {
        "events to facts": read_per_s,
        "facts into memory": memory_per_s,
        "facts into Redis": redis_per_s,
        "events from the log into memory": followed_per_s,
    }
    for what, rate in per_s.items():
        print(f"{what:40s} {rate:10,.0f} a second")
    half, high, most = (float(np.quantile(late, share)) for share in (0.5, 0.99, 1.0))
    print(f"freshness at {EVENTS_PER_S} events a second: median {half:.3f} s, p99 {high:.3f} s, longest {most:.3f} s")
    result = {
        "name": "feature_update",
        "figure": round(high, 4),
        "unit": f"s from append to visible in a read, p99, at {EVENTS_PER_S} events a second; all shipped views",
        "target": TARGET_S,
        "holds": high <= TARGET_S,
        "baseline": f"none; folding alone {memory_per_s:,.0f} facts a second in memory, {redis_per_s:,.0f} in Redis",
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}",
        "seed": SEED,
        "per_second": {what.replace(" ", "_"): round(rate) for what, rate in per_s.items()},
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
