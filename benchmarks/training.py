"""How training and search grow with rows: CPU seconds, memory and accuracy by step, each size in its own processes.

``python benchmarks/training.py [--quick]``. Texts are the twin's, of 29 intents in three languages; nearly all are
different. They go through the log, as a user's would. The figure is the slope of log time over log rows of a whole
training (least squares), without what does not depend on rows: loading libraries, opening MLflow, tracking. The
search is a batch of trials on the rows it takes at most. The baseline is a plain pipeline of scikit-learn, TF-IDF of
words and ``LinearSVC``, without embedding, calibration, measuring or search, on the same rows in the same process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from random import Random

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import headset.training.intent_job  # noqa: F401 - loading it takes seconds, which are not the rows' doing
from headset.app import open_installation
from headset.app.training import train_intent
from headset.core.config import load_config
from headset.data.dataset import read_dataset
from headset.data.importer import import_items
from headset.data.row import Row
from headset.training.recipe import SHIPPED, IntentRequest
from headset.training.search.objective import Objective
from headset.training.search.request import SearchRequest
from headset.training.tracking import open_tracker
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

SEED = 7
TARGET = 1.15
FULL, QUICK = (10_000, 100_000, 1_000_000), (800, 1_600, 3_200)
_TESTED = 2_000
_BASELINE_LIMIT = 100_000
"""Beyond it the baseline's solver takes hours."""
_APART = {"open MLflow", "track", "register"}
_SPLIT = {"read the data": "read", "measure": "measure", "calibrate": "calibrate", "fit the model": "fit"}


class Steps:
    """CPU seconds by step, from the progress a training tells."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._began: dict[str, float] = {}

    def tell(self, phase: str, fraction: float) -> None:
        """Time a phase from its first call to the one that ends it."""
        now = time.process_time()
        began = self._began.setdefault(phase, now)
        if fraction >= 1:
            self.seconds[phase] += now - began
            del self._began[phase]


def peak_mb() -> float:
    """Most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def write_home(home: Path, rows: int) -> int:
    """Put ``rows`` labelled texts and some to measure on into a home; gives how many different texts there are."""
    world = make_world(read_scenario("quiet_week"))
    different = 0
    with open_installation(load_config(home, {})) as parts:
        for name, count, seed in (("rows", rows, SEED), ("unseen", _TESTED, SEED + 1)):
            examples = write_examples(world, count, Random(seed))
            if name == "rows":
                different = len({" ".join(example.text.lower().split()) for example in examples})
            items = (Row(number, example.text, example.label) for number, example in enumerate(examples, start=1))
            import_items(items, name, log=parts.log, door=parts.door, clock=parts.clock)
    return different


def train(home: Path) -> dict[str, object]:
    """Train once: seconds by step, accuracy on the unseen texts, memory."""
    steps = Steps()
    with open_installation(load_config(home, {})) as parts:
        _ = parts.encoder
        open_tracker(home, "")  # makes its tables
        wall, began = time.perf_counter(), time.process_time()
        report = train_intent(parts, IntentRequest(dataset="rows", test="unseen", seed=SEED), progress=steps.tell)
        total = time.process_time() - began
    apart = sum(seconds for name, seconds in steps.seconds.items() if name in _APART)
    told = {_SPLIT[name]: seconds for name, seconds in steps.seconds.items() if name in _SPLIT}
    told["the rest"] = max(total - apart - sum(told.values()), 1e-3)
    told["(wall clock)"] = time.perf_counter() - wall
    return {"seconds": total - apart, "steps": told, "accuracy": report.metrics["accuracy"], "mb": peak_mb()}


def tune(home: Path) -> dict[str, object]:
    """Read and analyse for a search, then judge the shipped recipe: what one trial costs."""
    with open_installation(load_config(home, {})) as parts:
        began = time.process_time()
        data, unseen = (read_dataset(parts.log, parts.vault, name) for name in ("rows", "unseen"))
        request = SearchRequest(dataset="rows", test="unseen", seed=SEED)
        objective = Objective(data, unseen, request, parts.encoders.available())
        read = time.process_time() - began
        scores = [objective.fold(SHIPPED, fold) for fold in range(request.folds)]
        seconds = time.process_time() - began
    accuracy = float(np.mean([each["accuracy"] for each in scores]))
    steps = {"read": read, "first trial": seconds - read}
    return {"seconds": seconds, "steps": steps, "accuracy": accuracy, "mb": peak_mb()}


def plain(home: Path) -> dict[str, object]:
    """The baseline on the same rows; reading them is not counted."""
    with open_installation(load_config(home, {})) as parts:
        data, unseen = (read_dataset(parts.log, parts.vault, name) for name in ("rows", "unseen"))
    began = time.process_time()
    fitted = make_pipeline(TfidfVectorizer(), LinearSVC(random_state=SEED)).fit(data.texts, data.labels)
    seconds = time.process_time() - began
    accuracy = float(np.mean(fitted.predict(unseen.texts) == np.array(unseen.labels)))
    return {"seconds": seconds, "steps": {}, "accuracy": accuracy, "mb": peak_mb()}


def measured(part: str, home: Path) -> dict[str, object]:
    """One part in a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, __file__, "--part", part, "--home", str(home)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def slope(rows: list[int], seconds: list[float]) -> float:
    """Of log seconds over log rows, by least squares."""
    return float(np.polyfit(np.log(rows), np.log(seconds), 1)[0])


def main() -> None:
    """Measure every size, print the tables and the line of JSON."""
    parser = argparse.ArgumentParser(description="Time and memory of training and search, by rows.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} rows")
    parser.add_argument("--rows", type=int, nargs="+", help="other numbers of rows")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        parts = {"train": train, "tune": tune, "plain": plain}
        print(json.dumps(parts[arguments.part](arguments.home)))
        return
    sizes = list(arguments.rows or (QUICK if arguments.quick else FULL))
    results: dict[str, dict[int, dict]] = {"train": {}, "tune": {}, "plain": {}}
    different = {}
    for rows in sizes:
        with tempfile.TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            different[rows] = write_home(home, rows)
            for part, found in results.items():
                if part != "plain" or rows <= _BASELINE_LIMIT:
                    found[rows] = measured(part, home)
                    print(f"{rows:,} rows, {part}: {found[rows]['seconds']:.1f} s", file=sys.stderr)
    report(sizes, different, results)


def report(sizes: list[int], different: dict[int, int], results: dict[str, dict[int, dict]]) -> None:
    """Print what was measured."""
    table = Table("what", *(f"{rows:,}" for rows in sizes), "slope", title="CPU seconds by rows")
    table.add_row("different texts", *(f"{different[rows]:,}" for rows in sizes), "")
    for part, found in results.items():
        known = [rows for rows in sizes if rows in found]
        seconds = [found[rows]["seconds"] for rows in known]
        cells = [f"{found[rows]['seconds']:.1f}" if rows in found else "" for rows in sizes]
        steep = f"{slope(known, seconds):.2f}" if len(known) > 1 else ""
        table.add_row(f"[bold]{part}[/bold]", *cells, steep)
        for step in sorted({name for each in found.values() for name in each["steps"]}):
            some = [rows for rows in known if found[rows]["steps"].get(step, 0) > 0]
            cells = [f"{found[rows]['steps'].get(step, 0):.1f}" if rows in found else "" for rows in sizes]
            steep = f"{slope(some, [found[rows]['steps'][step] for rows in some]):.2f}" if len(some) > 1 else ""
            table.add_row(f"  {step}", *cells, steep)
        table.add_row("  peak MB", *(f"{found[rows]['mb']:,.0f}" if rows in found else "" for rows in sizes), "")
        shares = [f"{found[rows]['accuracy']:.2%}" if rows in found else "" for rows in sizes]
        table.add_row("  accuracy", *shares, "")
    Console().print(table)
    figure = slope(sizes, [results["train"][rows]["seconds"] for rows in sizes])
    compared = max(results["plain"])
    ratio = results["train"][compared]["seconds"] / results["plain"][compared]["seconds"]
    figures = {
        "name": "training",
        "figure": round(figure, 2),
        "unit": f"slope of log CPU seconds over log rows, {sizes[0]:,} to {sizes[-1]:,} rows",
        "target": TARGET,
        "holds": figure <= TARGET,
        "baseline": (
            f"scikit-learn TF-IDF and LinearSVC alone, {results['plain'][compared]['seconds']:.1f} s on {compared:,}"
            f" rows; a whole training takes {ratio:.1f} times that"
        ),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "seed": SEED,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
