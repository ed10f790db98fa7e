"""Training sets: 100,000 rows, each with 20 features and a 384-number embedding as they were at its moment.

There are 5,000 conversations of 20 turns; each row asks about one of them at some moment, some before its first turn.
Feast, on its DuckDB store, cannot compute windows. So it is given, in a Parquet file, the value of each feature as
of each turn, made beforehand and not timed, and looks up the last one. Headset is timed twice, by the same `History`:

* *looked up* has the same answer: each feature is the `Last` of the conversation, the embedding the mean of all its
  embeddings so far. All values are compared with Feast's, to the last bit. The figure is the ratio of the two.
* *aggregated* is what Feast cannot do: counts, means, extremes, quantiles and weighted means over windows of an
  hour, and the mean of all embeddings in it.

Timed for Feast: `get_historical_features(...).to_arrow()`, which reads the Parquet file (the system has it cached). For
Headset: `History.values`, from facts that are in DuckDB; putting them there, `History.add`, is timed apart, since it
happens once for any number of training sets. Rounds of both alternate; the figure is the ratio of the best ones,
because others who use the processors only slow a round down.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from feast.environment import Feast, NoFeast

from headset.features.aggregation import (
    Aggregation,
    Count,
    Ewma,
    First,
    Last,
    Max,
    Mean,
    Min,
    Quantile,
    Sum,
    VectorMean,
)
from headset.features.batch import History
from headset.features.definition import Feature, FeatureView
from headset.features.expression import Expression, column
from headset.features.fact import Fact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

TARGET = 5.0
SEED = 20261122
ROWS = 100_000
TURNS = 20
SCALARS = 20
SIZE = 384
START = 1_750_000_000_000_000
DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
UTC = pa.timestamp("us", tz="UTC")
SENTIMENT, POSITION = column("sentiment"), column("position")


def make_view(name: str, features: Iterable[tuple[Aggregation, Expression | None]], window: str) -> FeatureView:
    """A view of these features and of the mean of embeddings."""
    wanted = (*features, (VectorMean(SIZE), column("embedding")))
    return FeatureView(
        name=name,
        entity="conversation",
        event="TurnReceived",
        owner="benchmarks",
        description="",
        features=tuple(
            Feature(
                name=f"f{place}" if place < SCALARS else "embedding",
                aggregation=aggregation,
                expression=expression,
                window=window,
            )
            for place, (aggregation, expression) in enumerate(wanted)
        ),
    )


LOOKED_UP = make_view(
    "looked_up", ((Last(), SENTIMENT * (place + 1) + POSITION) for place in range(SCALARS)), "conversation"
)
AGGREGATED = make_view(
    "aggregated",
    (
        (Count(), None),
        *((one, SENTIMENT) for one in (Mean(), Sum(), Min(), Max(), First(), Last(), Ewma("10 min"))),
        *((Quantile(share), SENTIMENT) for share in (0.5, 0.9)),
        *((one, SENTIMENT * POSITION) for one in (Mean(), Sum(), Min(), Max(), Last())),
        *((one, POSITION) for one in (Min(), Max(), Last())),
        *((Mean(), flag) for flag in (SENTIMENT < -0.5, SENTIMENT > 0.5)),
    ),
    "1 h",
)


class Turns:
    """Made-up turns: ``times`` and ``sentiment`` (conversations, turns), ``vectors`` (conversations, turns, 384)."""

    def __init__(self, conversations: int, random: np.random.Generator) -> None:
        shape = (conversations, TURNS)
        self.keys = [f"conversation-{number:06d}" for number in range(conversations)]
        # Gaps of at least a microsecond: no two turns of a conversation are at the same time.
        gaps = random.integers(1, 10 * MINUTE_US, shape)
        self.times = START + random.integers(0, 30 * DAY_US, (conversations, 1)) + gaps.cumsum(axis=1)
        self.sentiment = random.uniform(-1, 1, shape)
        self.vectors = random.normal(0, 0.05, (*shape, SIZE)).astype("<f4")

    def facts(self) -> list[Fact]:
        """A fact for each turn."""
        return [
            Fact(
                event="TurnReceived",
                event_id=(conversation * TURNS + turn).to_bytes(16, "big"),
                event_time=int(time),
                append_time=int(time),
                offset=conversation * TURNS + turn + 1,
                keys={"conversation": self.keys[conversation]},
                columns={
                    "sentiment": float(self.sentiment[conversation, turn]),
                    "position": float(turn),
                    "embedding": self.vectors[conversation, turn].tobytes(),
                },
            )
            for conversation, times in enumerate(self.times)
            for turn, time in enumerate(times)
        ]

    def as_of_each(self) -> pa.Table:
        """The values of the looked-up features as of each turn, computed plainly."""
        position = np.arange(TURNS, dtype=np.float64)
        known = {f"f{place}": (self.sentiment * (place + 1) + position).ravel() for place in range(SCALARS)}
        # A mean is of whole multiples of 2**-32, as docs/features.md says.
        units = np.rint(self.vectors * np.float64(2**32)).cumsum(axis=1)
        means = (units / 2**32 / (position + 1)[:, None]).astype("<f4")
        vectors = pa.FixedSizeListArray.from_arrays(means.ravel(), SIZE).cast(pa.list_(pa.float32()))
        keys = [key for key in self.keys for _ in range(TURNS)]
        times = pa.array(self.times.ravel()).cast(UTC)
        return pa.table({"key": keys, "event_time": times, **known, "embedding": vectors})

    def rows(self, random: np.random.Generator, count: int) -> pa.Table:
        """What the training set asks for."""
        conversations = random.integers(0, len(self.keys), count)
        moments = self.times[conversations, random.integers(0, TURNS, count)]
        # A third at the very moment of a turn; of the others, some before the first.
        moments += random.integers(-10 * MINUTE_US, 10 * MINUTE_US, count) * (random.random(count) > 1 / 3)
        return pa.table({"conversation": [self.keys[number] for number in conversations], "as_of": moments})


def differing(ours: pa.Table, theirs: pa.Table) -> tuple[int, int, int]:
    """Values that differ, values compared, and rows from before the first turn (null in Feast, defaults in Headset)."""
    theirs = theirs.sort_by("place")
    if theirs["place"].to_pylist() != list(range(ours.num_rows)):
        raise SystemExit(f"Feast gave {theirs.num_rows:,} of {ours.num_rows:,} rows")
    wrong = compared = 0
    early = theirs["embedding"].combine_chunks().is_null().to_numpy(zero_copy_only=False)
    for place in range(SCALARS):
        left = ours[f"looked_up.f{place}"].combine_chunks()
        right = theirs[f"f{place}"].combine_chunks()
        wrong += int((numbers(left) != numbers(right)).sum()) + int(
            (left.is_null().to_numpy(zero_copy_only=False) != early).sum()
        )
        compared += len(left)
    means = ours["looked_up.embedding"].combine_chunks().flatten().to_numpy().reshape(-1, SIZE)
    known = theirs["embedding"].combine_chunks().flatten().to_numpy().reshape(-1, SIZE)
    wrong += int((means[~early] != known).sum()) + int((means[early] != 0).sum())
    return wrong, compared + means.size, int(early.sum())


def numbers(values: pa.Array) -> NDArray[np.float64]:
    """The values, 0 for null."""
    return values.fill_null(0.0).to_numpy()


def timed(history: History, view: FeatureView, rows: pa.Table) -> tuple[pa.Table, tuple[float, float]]:
    """The training set, the seconds it took, and the seconds of processor time, all threads together."""
    began, worked = time.perf_counter(), time.process_time()
    found = history.values([view], rows)
    return found, (time.perf_counter() - began, time.process_time() - worked)


def ask_feast(folder: Path, turns: Turns, rows: pa.Table) -> Feast:
    """Feast with the values as of each turn, and the rows asked for.

    Raises:
        NoFeast: it cannot be had.
    """
    pq.write_table(turns.as_of_each(), folder / "turns.parquet")
    asked = {"key": rows["conversation"], "event_timestamp": rows["as_of"].cast(UTC)}
    pq.write_table(pa.table({**asked, "place": np.arange(rows.num_rows)}), folder / "rows.parquet")
    features = [*(f"f{place}" for place in range(SCALARS)), "embedding"]
    return Feast("historical.py", {"folder": str(folder), "views": {"turns": features}})


def main() -> None:
    """Measure, compare, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20,000 rows over 1,000 conversations")
    quick = parser.parse_args().quick
    count, rounds = (ROWS // 5, 3) if quick else (ROWS, 3)
    random = np.random.default_rng(SEED)
    turns = Turns(count // TURNS, random)
    rows = turns.rows(random, count)
    facts, history = turns.facts(), History()
    began = time.perf_counter()
    history.add(facts)
    added_s = time.perf_counter() - began
    del facts
    times: dict[str, list[tuple[float, float]]] = {"looked up": [], "aggregated": [], "Feast": []}
    compared: tuple[int, int, int] | None = None
    with tempfile.TemporaryDirectory() as folder:
        try:
            feast: Feast | None = ask_feast(Path(folder), turns, rows)
        except NoFeast as error:
            feast = None
            print(f"without Feast, so there is no figure: {error}")
        for turn in range(rounds):
            ours, seconds = timed(history, LOOKED_UP, rows)
            times["looked up"].append(seconds)
            times["aggregated"].append(timed(history, AGGREGATED, rows)[1])
            if feast is not None:
                out = Path(folder) / "found.parquet"
                answer = feast.ask(out=None if turn else str(out))
                times["Feast"].append((answer["seconds"], answer["cpu_s"]))
                if compared is None:
                    compared = differing(ours, pq.read_table(out))
        if feast is not None:
            feast.__exit__()
    asked = f"{count:,} rows, {count // TURNS:,} conversations of {TURNS} turns"
    print(f"{asked:56s} {'best':>8s} {'slowest':>8s} {'CPU':>8s}")
    described = {
        "looked up": "Headset: 20 last values, mean of embeddings",
        "aggregated": "Headset: 20 features over 1 h, mean of embeddings",
        "Feast": "Feast: the same as the first, from ready values",
    }
    best = {name: [min(each) for each in zip(*found, strict=True)] for name, found in times.items() if found}
    for name, (seconds, cpu_s) in best.items():
        print(f"{described[name]:56s} {seconds:8.2f} {max(times[name])[0]:8.2f} {cpu_s:8.2f} s")
    print(f"{'Headset: putting the facts into the history, once':56s} {added_s:8.2f} s")
    wrong = 0
    if compared is not None:
        wrong, values, early = compared
        print(f"{values:,} values compared, {wrong:,} differ; {early:,} rows are from before the first turn")
    figure = by_cpu = 0.0
    if "Feast" in best:
        figure, by_cpu = (theirs / ours for theirs, ours in zip(best["Feast"], best["looked up"], strict=True))
        with_adding = best["Feast"][0] / (best["looked up"][0] + added_s)
        print(
            f"Feast takes {figure:.1f} times as long, {with_adding:.1f} times with putting the facts there each time;"
        )
        print(f"by processor time, which others on the machine change less, {by_cpu:.1f} times")
    result: dict[str, Any] = {
        "name": "point_in_time",
        "figure": round(figure, 2),
        "unit": f"times faster than Feast with equal values; {count:,} rows, 20 features, 384 numbers",
        "target": TARGET,
        "holds": bool(figure >= TARGET and not wrong),
        "baseline": "Feast 0.67 on its DuckDB store, from a Parquet file of ready values",
        "machine": f"{os.cpu_count()} cores {platform.machine()}, Python {platform.python_version()}",
        "seed": SEED,
        "seconds": {name: round(found[0], 2) for name, found in best.items()} | {"add": round(added_s, 2)},
        "by_processor_time": round(by_cpu, 2),
        "values_that_differ": wrong,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
