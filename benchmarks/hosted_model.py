"""What one turn costs across the process boundary: a hosted estimator, the same called here, and the compiled scorer.

``python benchmarks/hosted_model.py [--quick]``. All read the same texts, one at a time, in alternating rounds; the
figure is the median over rounds of the hosted model's wall-clock time over that of the same estimator in this process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from headset.core.clock import SystemClock
from headset.features.static_encoder import load_encoder
from headset.training.compiler import compile_scorer
from headset.training.intent import fit_intent
from headset.training.plugin.learner import Learning, fit_learner
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = 7
TARGET = 4.0
MODULE = """
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

def build():
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=30))
"""


def cost_ms(predict: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Milliseconds per text, one text at a time."""
    began = time.perf_counter()
    for text in texts:
        predict([text])
    return (time.perf_counter() - began) / len(texts) * 1e3


def main() -> None:
    """Fit on texts of the twin, time all, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description="Time per turn of a hosted model and of the compiled scorer.")
    parser.add_argument("--quick", action="store_true", help="fewer training texts and rounds")
    quick = parser.parse_args().quick
    world = make_world(read_scenario("quiet_week"))
    examples = write_examples(world, 600 if quick else 3_000, Random(SEED), language="en", channel="chat")
    learned, labels = [example.text for example in examples], [example.label for example in examples]
    encoder = load_encoder()
    fitted = fit_intent(learned, labels, encoder, seed=SEED, target_precision=0.95, progress=lambda *_: None)
    scorer = compile_scorer(fitted)
    unseen = write_examples(world, 50 if quick else 200, Random(SEED + 1), language="en", channel="chat")
    texts = [example.text for example in unseen]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "my_model.py").write_text(MODULE, "utf-8")
        learning = Learning("my_model:build", folder, 3_600, folder)
        hosted = fit_learner(
            learned, labels, learning, seed=SEED, target_precision=0.95, clock=SystemClock(), progress=lambda *_: None
        ).model
        sys.path.append(name)
        from my_model import build  # noqa: PLC0415 - written above

        here = build().fit(learned, labels)
        empty = encoder.encode([""])
        measured: dict[str, list[float]] = {
            "compiled, with embedding": [],
            "estimator, here": [],
            "estimator, hosted": [],
        }
        for _ in range(3 if quick else 10):
            measured["compiled, with embedding"].append(
                cost_ms(lambda batch: scorer.score(batch, encoder.encode(batch)), texts)
            )
            measured["estimator, here"].append(cost_ms(here.predict_proba, texts))
            measured["estimator, hosted"].append(cost_ms(lambda batch: hosted.score(batch, empty), texts))
    compiled, local, remote = measured.values()
    ratio = statistics.median(slow / fast for slow, fast in zip(remote, local, strict=True))
    against = statistics.median(slow / fast for slow, fast in zip(remote, compiled, strict=True))
    table = Table("what", "ms per text", title=f"{len(scorer.labels)} intents, {len(examples)} texts learned")
    for what, times in measured.items():
        table.add_row(what, f"{statistics.median(times):.3f}")
    table.add_row("hosted over here", f"{ratio:.1f}")
    table.add_row("hosted over compiled", f"{against:.1f}")
    Console().print(table)
    figures = {
        "name": "hosted_model",
        "figure": round(ratio, 1),
        "unit": "times the time per turn of the same estimator in this process",
        "target": TARGET,
        "holds": ratio <= TARGET,
        "baseline": f"estimator here {statistics.median(local):.2f} ms, compiled {statistics.median(compiled):.2f} ms",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "seed": SEED,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
