"""What synthetic rows do for rare intents: BANKING77 cut to 10 texts for each of 15 intents.

``python benchmarks/synthetic_data.py [--quick]``. Which intents and which texts are drawn anew for each seed; what
makes rows sees the texts to learn from and nothing else. The figure is the mean gain in macro-F1 over the 15 intents on
all of the published test texts, which nothing was chosen on. Beside it stands what plain weighting gains: copies of the
same texts, and ``class_weight="balanced"``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import statistics
from pathlib import Path
from random import Random

import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from scipy.stats import t as student
from sklearn.svm import LinearSVC

from headset.data.synthetic.domain import Domain
from headset.data.synthetic.fidelity import Fidelity
from headset.data.synthetic.generation import GENERATORS, build_generators, generate
from headset.data.synthetic.privacy import PrivacyFilter
from headset.features.static_encoder import load_encoder
from headset.training.analysis import Analysis
from headset.training.recipe import SHIPPED
from headset.training.synthesis.trial import bootstrap_gain, f1_by_class, margins_of_unseen

SEED = 7
TARGET = 3.0
_RARE, _TEXTS, _PER_INTENT = 15, 10, 100
_QUICK_INTENTS, _QUICK_TEXTS = 32, 60
_ARMS = ("real", "synthetic", "copies", "balanced weights")


class Measured(Struct, frozen=True):
    """One drawing of intents and texts: macro-F1 of the rare intents by arm, accuracy over all, the gain's interval."""

    f1: list[float]
    accuracy: list[float]
    low: float
    high: float
    made: int
    refused: int


def read_rows(name: str) -> list[tuple[str, str]]:
    """Texts and intents of a file of BANKING77."""
    folder = Path(os.environ.get("HEADSET_DATA") or Path(__file__).parents[2] / "shared" / "data")
    with (folder / "banking77" / name).open(encoding="utf-8", newline="") as stream:
        return [(row["text"], row["category"]) for row in csv.DictReader(stream)]


def cut(rows: list[tuple[str, str]], random: Random, *, quick: bool) -> tuple[list[tuple[str, str]], list[str]]:
    """Rows to learn from, and the intents that became rare."""
    by_intent: dict[str, list[str]] = {}
    for text, intent in rows:
        by_intent.setdefault(intent, []).append(text)
    chosen = random.sample(sorted(by_intent), _QUICK_INTENTS if quick else len(by_intent))
    rare = sorted(chosen[:_RARE])
    kept = []
    for intent in sorted(chosen):
        texts = by_intent[intent]
        most = _TEXTS if intent in rare else _QUICK_TEXTS if quick else len(texts)
        kept += [(text, intent) for text in random.sample(texts, min(most, len(texts)))]
    return kept, rare


def measure(seed: int, *, quick: bool) -> Measured:
    """All arms on one drawing."""
    random, encoder = Random(seed), load_encoder()
    learned, rare = cut(read_rows("train.csv"), random, quick=quick)
    intents = {intent for _, intent in learned}
    asked = [pair for pair in read_rows("test.csv") if pair[1] in intents]
    texts, labels = [text for text, _ in learned], [label for _, label in learned]
    domain = Domain(texts, labels)
    made = generate(
        build_generators(GENERATORS, domain, encoder),
        dict.fromkeys(rare, _PER_INTENT),
        PrivacyFilter(texts),
        Fidelity(domain, encoder),
        random,
    )
    own = [pair for pair in learned if pair[1] in rare]
    added = [[], [(row.text, row.label) for row in made.rows], own * (_PER_INTENT // _TEXTS)]
    names = sorted(intents)
    unseen = np.repeat([False, True], [len(learned), len(asked)])
    every, known = [text for text, _ in [*learned, *asked]], [label for _, label in [*learned, *asked]]
    predicted = [
        margins_of_unseen(every, known, unseen, more, names, encoder, SHIPPED, seed).argmax(axis=1) for more in added
    ]
    seen, new = Analysis(every).split(
        SHIPPED, encoder, np.flatnonzero(~unseen).tolist(), np.flatnonzero(unseen).tolist()
    )
    balanced = LinearSVC(C=SHIPPED.penalty, tol=1e-1, random_state=seed, class_weight="balanced").fit(seen, labels)
    predicted.append(np.searchsorted(names, balanced.predict(new)))
    truth = np.searchsorted(names, [label for _, label in asked])
    answers, places = np.array(predicted)[:, None, :], np.searchsorted(names, rare)
    gains = bootstrap_gain(truth, answers[:2], places, np.random.Generator(np.random.PCG64(seed)))
    low, high = np.quantile(gains, [0.025, 0.975])
    f1 = f1_by_class(truth, answers, places, np.ones((1, len(truth)))).mean(axis=(1, 2, 3))
    return Measured(
        [float(value) for value in f1],
        [float(np.mean(answer == truth)) for answer in predicted],
        float(low),
        float(high),
        len(made.rows),
        sum(made.refused.values()),
    )


def main() -> None:
    """Measure all seeds, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description="Synthetic rows for rare intents of BANKING77.")
    parser.add_argument("--quick", action="store_true", help="one seed, 32 intents, 60 texts of each frequent one")
    quick = parser.parse_args().quick
    seeds = range(SEED, SEED + (1 if quick else 5))
    found = [measure(seed, quick=quick) for seed in seeds]
    gains = [100 * (each.f1[1] - each.f1[0]) for each in found]
    table = Table("seed", *(f"F1, {arm}" for arm in _ARMS), *(f"accuracy, {arm}" for arm in _ARMS), "made", "refused")
    for seed, each in zip(seeds, found, strict=True):
        scores = (f"{value:.3f}" for value in (*each.f1, *each.accuracy))
        table.add_row(str(seed), *scores, str(each.made), str(each.refused))
    console = Console(width=180)
    console.print(table)
    for place, arm in enumerate(_ARMS[1:], start=1):
        gain = statistics.mean(100 * (each.f1[place] - each.f1[0]) for each in found)
        console.print(f"{arm}: {gain:+.1f} points of macro-F1 over the {_RARE} rare intents")
    gain = statistics.mean(gains)
    if quick:
        low, high, of = 100 * found[0].low, 100 * found[0].high, "bootstrap over test texts"
    else:
        half = student.ppf(0.975, len(gains) - 1) * statistics.stdev(gains) / len(gains) ** 0.5
        low, high, of = gain - half, gain + half, f"t over {len(gains)} seeds"
    console.print(f"gain of synthetic rows {gain:.1f} points, 95 % interval {low:.1f} to {high:.1f} ({of})")
    figures = {
        "name": "synthetic_data",
        "figure": round(gain, 1),
        "unit": "points of macro-F1 over 15 intents with 10 texts each gained by synthetic rows, BANKING77 test texts",
        "target": TARGET,
        "holds": bool(gain >= TARGET and low > 0),
        "baseline": f"real rows alone, macro-F1 {statistics.mean(each.f1[0] for each in found):.3f};"
        f" with copies of them {statistics.mean(each.f1[2] for each in found):.3f}",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "seed": SEED,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
