"""Decisions per second of the whole product against a plain service that only calls predict_proba.

    python benchmarks/decision_throughput.py [--quick]

Both serve the same fitted model to 32 keep-alive connections, one process each, in turns, on one machine
with the load generator beside them:

* Headset (`headset serve`): key check, redaction, encryption, embedding, compiled inference, sentiment,
  policy, and a durable log (one sync per group) before each answer.
* The baseline: FastAPI on uvicorn; one handler that calls scikit-learn's ``predict_proba`` on the fitted
  pipeline and returns the best intent. Nothing is checked, kept or encrypted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel

from headset.app import open_installation
from headset.core.config import load_config
from headset.events.schema import ModelRegistered
from headset.training.compiler import compile_scorer
from headset.training.first_champion import tell_baseline
from headset.training.intent import fit_intent
from headset.twin.example import write_examples
from headset.twin.scenario import read_scenario
from headset.twin.world import make_world

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sklearn.pipeline import Pipeline

    from headset.twin.example import Example

SEED = 11
CONNECTIONS = 32
TARGET = 3.0
TURNS_PER_CONVERSATION = 4
PORTS = {"headset": 8931, "baseline": 8932}
BASELINE = "FastAPI + uvicorn, scikit-learn predict_proba, 32 connections, one process"


class Turn(BaseModel):
    """The baseline's request."""

    text: str


class Round(NamedTuple):
    """One measurement: requests per second and latency quantiles in milliseconds."""

    per_second: float
    p50: float
    p99: float


def main() -> None:
    """Measure both in turns and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller training set")
    quick = parser.parse_args().quick
    rounds, seconds, count = (2, 3.0, 1_500) if quick else (5, 8.0, 4_000)
    world = make_world(read_scenario("quiet_week"))
    unseen = write_examples(world, 2_000, random.Random(SEED + 1), language="en", channel="chat")
    texts = [example.text for example in unseen]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        pipeline, key = prepare(home, write_examples(world, count, random.Random(SEED), language="en", channel="chat"))
        measured: dict[str, list[Round]] = {"headset": [], "baseline": []}
        with baseline_server(pipeline), headset_server(home):
            for name in (*PORTS, *(name for _ in range(rounds) for name in PORTS)):
                measured[name].append(uvloop.run(load(name, key, texts, seconds)))
    for kept in measured.values():
        del kept[0]  # the first of each is the warm-up
    report(measured)


def prepare(home: Path, examples: Sequence[Example]) -> tuple[Pipeline, str]:
    """Fit one model on texts of the twin: the pipeline for the baseline, compiled and registered for Headset."""
    with open_installation(load_config(home, {})) as parts:
        fitted = fit_intent(
            [example.text for example in examples],
            [example.label for example in examples],
            parts.encoder,
            seed=SEED,
            target_precision=0.95,
            progress=lambda _phase, _fraction: None,
        )
        sha256 = compile_scorer(fitted).save(home / "compiled")
        made = ModelRegistered(
            model="intent",
            version="",
            artifact_sha256=sha256,
            run_id="",
            dataset="starter",
            data_fingerprint="",
            commit="",
            seed=SEED,
            metrics={},
            encoder_version=parts.encoder.version,
        )
        known = parts.registry.register(made, home / "compiled")
        tell_baseline(parts.registry, known, beaten=True, reason="the benchmark's only model", evidence={})
        return fitted.pipeline, str(parts.development_key())


@contextmanager
def headset_server(home: Path) -> Iterator[None]:
    """`headset serve`, until the block ends."""
    port = PORTS["headset"]
    command = [sys.executable, "-m", "headset", "serve", "--home", str(home), "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        await_answer(port)
        yield
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


@contextmanager
def baseline_server(pipeline: Pipeline) -> Iterator[None]:
    """The plain service in a process of its own, until the block ends."""
    server = multiprocessing.get_context("fork").Process(target=serve_baseline, args=(pipeline, PORTS["baseline"]))
    server.start()
    try:
        await_answer(PORTS["baseline"])
        yield
    finally:
        server.terminate()
        server.join(30)


def await_answer(port: int) -> None:
    """Return once the server on ``port`` is ready."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=1).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    sys.exit(f"nothing is ready on port {port}")


def serve_baseline(pipeline: Pipeline, port: int) -> None:
    """The plain service; every request waits for one predict_proba."""
    app, labels = FastAPI(), [str(label) for label in pipeline.classes_]

    @app.post("/v1/conversations/{conversation_id}/turns", status_code=201)
    async def decide(conversation_id: str, turn: Turn) -> dict[str, object]:
        probabilities = pipeline.predict_proba([turn.text])[0]
        best = int(probabilities.argmax())
        return {"conversation": conversation_id, "intent": labels[best], "confidence": float(probabilities[best])}

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {}

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


async def load(name: str, key: str, texts: Sequence[str], seconds: float) -> Round:
    """Keep 32 connections busy for so long."""
    latencies: list[float] = []
    run, until = f"{name}-{time.time_ns()}", time.perf_counter() + seconds
    started = time.perf_counter()
    await asyncio.gather(
        *(
            _connection(PORTS[name], f"{run}-{number}", key, texts, number, until, latencies)
            for number in range(CONNECTIONS)
        )
    )
    elapsed = time.perf_counter() - started
    latencies.sort()
    return Round(
        len(latencies) / elapsed,
        latencies[len(latencies) // 2] * 1000,
        latencies[int(len(latencies) * 0.99)] * 1000,
    )


async def _connection(
    port: int, run: str, key: str, texts: Sequence[str], number: int, until: float, latencies: list[float]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = 0
    while time.perf_counter() < until:
        body = json.dumps({"text": texts[(number * 61 + sent) % len(texts)]}).encode()
        head = (
            f"POST /v1/conversations/{run}-{sent // TURNS_PER_CONVERSATION}/turns HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        content = await reader.readexactly(int(length.split(b":")[1]))
        latencies.append(time.perf_counter() - began)
        if not answer.startswith(b"HTTP/1.1 201"):
            raise RuntimeError(f"{answer!r} {content!r}")
        sent += 1
    writer.close()


def report(measured: dict[str, list[Round]]) -> None:
    """Print every round, then the figure: the median of the ratios round by round."""
    print(f"{'':10}{'requests/s':>12}{'p50 ms':>10}{'p99 ms':>10}")
    for name, kept in measured.items():
        for each in kept:
            print(f"{name:10}{each.per_second:12.0f}{each.p50:10.1f}{each.p99:10.1f}")
    pairs = list(zip(measured["headset"], measured["baseline"], strict=True))
    ratio = statistics.median(ours.per_second / plain.per_second for ours, plain in pairs)
    tail = statistics.median(ours.p99 / plain.p99 for ours, plain in pairs)
    print(f"\nheadset serves {ratio:.1f} times the requests per second, at {tail:.2f} times the p99 latency")
    print(
        json.dumps(
            {
                "name": "decision_throughput",
                "figure": round(ratio, 2),
                "unit": "times the baseline's requests per second",
                "target": TARGET,
                "holds": ratio >= TARGET and tail < 1.0,
                "baseline": BASELINE,
                "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
                "seed": SEED,
                "p99_ratio": round(tail, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
