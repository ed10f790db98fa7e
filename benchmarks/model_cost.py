"""What one turn costs: the compiled scorer with its embedding, and the fitted scikit-learn pipeline it equals.

``python benchmarks/model_cost.py [--quick]``. Both read the same 400 texts, one at a time, in alternating
rounds on one thread's CPU clock; the figure is the median over rounds of the pipeline's time over the scorer's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from random import Random
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from headset.features.static_encoder import load_encoder
from headset.training.compiler import compile_scorer
from headset.training.intent import fit_intent
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = 7
TARGET = 5.0
_TEXTS = 400


def cost_ms(predict: Callable[[Sequence[str]], object], texts: Sequence[str]) -> float:
    """Milliseconds of CPU per text, one text at a time."""
    began = time.process_time()
    for text in texts:
        predict([text])
    return (time.process_time() - began) / len(texts) * 1e3


def main() -> None:
    """Fit on texts of the twin, time both, print the table and the line of JSON."""
    parser = argparse.ArgumentParser(description="CPU per turn of the compiled scorer and of the fitted pipeline.")
    parser.add_argument("--quick", action="store_true", help="fewer training texts and rounds")
    quick = parser.parse_args().quick
    world = make_world(read_scenario("quiet_week"))
    examples = write_examples(world, 1_500 if quick else 6_000, Random(SEED), language="en", channel="chat")
    encoder = load_encoder()
    fitted = fit_intent(
        [example.text for example in examples],
        [example.label for example in examples],
        encoder,
        seed=SEED,
        target_precision=0.95,
        progress=lambda *_: None,
    )
    scorer = compile_scorer(fitted)
    unseen = write_examples(world, _TEXTS, Random(SEED + 1), language="en", channel="chat")
    texts = [example.text for example in unseen]
    measured: dict[str, list[float]] = {"embedding": [], "compiled, with embedding": [], "fitted pipeline": []}
    with threadpool_limits(1):
        for _ in range(3 if quick else 10):
            measured["embedding"].append(cost_ms(encoder.encode, texts))
            measured["compiled, with embedding"].append(
                cost_ms(lambda batch: scorer.score(batch, encoder.encode(batch)), texts)
            )
            measured["fitted pipeline"].append(cost_ms(fitted.pipeline.predict_proba, texts))
    compiled, pipeline = measured["compiled, with embedding"], measured["fitted pipeline"]
    ratio = statistics.median(slow / fast for slow, fast in zip(pipeline, compiled, strict=True))
    table = Table("what", "ms of CPU per text", title=f"{len(scorer.labels)} intents, {len(examples)} texts learned")
    for what, times in measured.items():
        table.add_row(what, f"{statistics.median(times):.3f}")
    table.add_row("ratio", f"{ratio:.1f}")
    Console().print(table)
    figures = {
        "name": "model_cost",
        "figure": round(ratio, 1),
        "unit": "times less CPU per turn than the fitted pipeline",
        "target": TARGET,
        "holds": ratio >= TARGET,
        "baseline": f"scikit-learn pipeline, {statistics.median(pipeline):.2f} ms per text",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "seed": SEED,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
