"""A simulated year into a log: the time it takes, and how much of it is more than keeping the events.

`retail_year`, about 1,000 contacts a day, is generated as `headset twin generate` does it: simulated, put into words,
redacted, encrypted under keys per customer, kept durably, with the truth beside it.

Baseline: the same events, ready-made, appended to an empty log of the same kind in batches of the same size. The figure
is how many times as long generating takes. The full form generates the whole year; the quick form its first days, and
says how long a year would take at that pace. The largest resident memory of both processes is printed too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from headset.app import open_installation
from headset.core.clock import ManualClock, SystemClock
from headset.core.config import load_config
from headset.events.sqlite import SqliteLog
from headset.features.sentiment import Sentiment
from headset.twin.generate import generate
from headset.twin.scenario import read_scenario
from headset.twin.truth import TruthFile
from headset.twin.world import make_world

SCENARIO = "retail_year"
QUICK_DAYS = 14
BATCH = 1_000
READ = 200_000
TARGET = 12.0
YEAR_TARGET_S = 240.0


def main() -> None:
    """Generate, append the same events again, print the figures and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_DAYS} days")
    quick = parser.parse_args().quick
    scenario = read_scenario(SCENARIO)
    days = QUICK_DAYS if quick else scenario.days
    clock = ManualClock()
    entropy = random.Random(scenario.seed).randbytes
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with (
            TruthFile(home / "truth.jsonl") as truth,
            open_installation(load_config(home, {}), clock=clock, entropy=entropy) as parts,
        ):
            began = time.perf_counter()
            made = generate(
                make_world(scenario),
                log=parts.log,
                door=parts.door,
                clock=clock,
                score=Sentiment().score,
                seed=scenario.seed,
                days=days,
                truth=truth,
                progress=_show,
            )
            seconds = time.perf_counter() - began
            who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
            memory = [resource.getrusage(each).ru_maxrss / 1024 for each in who]
            appended, kept_s = append_again(parts.log, Path(folder) / "again.db")
        size = sum(file.stat().st_size for file in home.rglob("*") if file.is_file())
    year_s = seconds / made.contacts * 365_000
    ratio = (seconds / made.events) / (kept_s / appended)
    print(f"\n{days} days: {made.contacts:,} contacts, {made.events:,} events, {size / 2**20:,.0f} MB")
    pace = f"{made.contacts / seconds:,.0f} contacts and {made.events / seconds:,.0f} events a second"
    print(f"generated in {seconds:.1f} s: {pace}")
    print(f"365,000 contacts at this pace: {year_s:.0f} s (limit {YEAR_TARGET_S:.0f} s)")
    print(
        f"the same events, appended again: {appended / kept_s:,.0f} a second; generating takes {ratio:.1f} times that"
    )
    print(f"largest resident memory: {memory[0]:.0f} MB here, {memory[1]:.0f} MB in the process that simulates")
    result = {
        "name": "twin_generate",
        "figure": round(ratio, 2),
        "unit": "times as long as appending the same ready-made events",
        "target": TARGET,
        "holds": bool(ratio <= TARGET and year_s <= YEAR_TARGET_S),
        "baseline": "SqliteLog.append of the same events",
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}",
        "seed": scenario.seed,
        "year_s": round(year_s, 1),
        "memory_mb": [round(each) for each in memory],
    }
    print(json.dumps(result))


def append_again(log: SqliteLog, path: Path) -> tuple[int, float]:
    """Append up to so many events of ``log`` to a new one; how many, and the seconds it took."""
    events, after = [], 0
    while len(events) < READ and (records := log.read(after, 10_000)):
        events += [record.event for record in records]
        after = records[-1].offset
    again = SqliteLog(path, SystemClock())
    began = time.perf_counter()
    for start in range(0, len(events), BATCH):
        again.append(events[start : start + BATCH])
    seconds = time.perf_counter() - began
    again.close()
    return len(events), seconds


def _show(phase: str, fraction: float) -> None:
    if sys.stderr.isatty():
        print(f"\r{phase} {fraction:4.0%}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
