"""All BANKING77 test questions as conversations over HTTP, corrected by an agent, scored from the log.

    python examples/replay_banking77.py PATH_TO_BANKING77 [--home DIR] [--limit N] [--json]

PATH_TO_BANKING77 holds ``train.csv`` and ``test.csv`` as published by PolyAI (CC BY 4.0). The script imports
both, trains the intent model, starts the server, asks every test question as a conversation of its own,
answers as an agent who knows the true label, and prints the accuracy read from the log over HTTP beside the
accuracy measured offline. The two are equal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from rich.progress import track

from headset.app import Installation, open_installation
from headset.core.config import load_config
from headset.data.dataset import read_dataset
from headset.registry.scorer import Scorer

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONNECTIONS = 16


def main() -> None:
    """Run the whole story and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="folder with train.csv and test.csv")
    parser.add_argument("--home", type=Path, help="home folder (a temporary one when left out)")
    parser.add_argument("--limit", type=int, help="replay only so many questions, drawn at random with seed 0")
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        told = replay(given.path, given.home or Path(temporary), given.limit)
    if given.json:
        print(json.dumps(told))
        return
    low, high = told["interval"]
    print(f"questions replayed       {told['questions']}")
    print(f"accuracy from the log    {told['accuracy_from_log']:.4%}  (95 % interval {low:.2%} to {high:.2%})")
    print(f"accuracy offline         {told['accuracy_offline']:.4%}")
    print(f"calibration error        {told['calibration_error']:.4f}  (model version {told['model_version']})")
    print(f"trained in               {told['training_s']:.0f} s, replayed in {told['replay_s']:.0f} s")


def replay(data: Path, home: Path, limit: int | None) -> dict[str, Any]:
    """Import, train, serve, replay, and compare."""
    headset(home, "import", "banking77", str(data / "train.csv"), "--as", "banking77")
    headset(home, "import", "banking77", str(data / "test.csv"), "--as", "banking77-test")
    started = time.monotonic()
    trained = headset(home, "train", "intent", "--data", "banking77", "--test", "banking77-test", "--json")
    training_s = time.monotonic() - started
    with open_installation(load_config(home, {})) as parts:
        questions = read_dataset(parts.log, parts.vault, "banking77-test")
        rows = list(zip(questions.texts, questions.labels, strict=True))
        if limit is not None:
            rows = random.Random(0).sample(rows, min(limit, len(rows)))
        offline = offline_accuracy(parts, rows)
        key = parts.development_key()
    started = time.monotonic()
    with (
        serving(home) as url,
        httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            limits=httpx.Limits(max_connections=_CONNECTIONS),
        ) as client,
    ):
        run = f"replay-{time.time_ns()}"
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            asked = [pool.submit(ask, client, f"{run}-{number}", *row) for number, row in enumerate(rows)]
            for each in track(asked, "replaying", disable=not sys.stderr.isatty()):
                each.result()
        replay_s = time.monotonic() - started
        (model,) = client.get("/v1/kpis").raise_for_status().json()["models"]
    return {
        "questions": len(rows),
        "accuracy_from_log": model["accuracy"]["value"],
        "interval": [model["accuracy"]["low"], model["accuracy"]["high"]],
        "accuracy_offline": offline,
        "calibration_error": model["calibration_error"],
        "model_version": model["model_version"],
        "training_s": training_s,
        "replay_s": replay_s,
        "trained": json.loads(trained),
    }


def ask(client: httpx.Client, conversation: str, text: str, label: str) -> None:
    """One conversation: the customer asks, the model decides, the agent says what was right."""
    turns = client.post(f"/v1/conversations/{conversation}/turns", json={"text": text, "channel": "chat"})
    decision = turns.raise_for_status().json()
    action = "accepted" if decision["intent"] == label else "overridden"
    feedback = {"action": action, "agent_id": "replay", "intent": label}
    client.post(f"/v1/decisions/{decision['decision_id']}/feedback", json=feedback).raise_for_status()


def offline_accuracy(parts: Installation, rows: list[tuple[str, str]]) -> float:
    """Share of rows the champion's compiled scorer gets right, with no server in between."""
    champion = parts.registry.get("intent", "champion")
    scorer = Scorer.load(parts.registry.artifact(champion.model, champion.version))
    texts = [text for text, _ in rows]
    best = scorer.score(texts, parts.encoder.encode(texts)).probabilities.argmax(axis=1)
    right = sum(scorer.labels[index] == label for index, (_, label) in zip(best, rows, strict=True))
    return right / len(rows)


@contextmanager
def serving(home: Path) -> Iterator[str]:
    """A server of this home folder on a free port, stopped at the end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "headset", "serve", "--home", str(home), "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ)
    url = f"http://127.0.0.1:{port}"
    try:
        while True:
            if server.poll() is not None:
                sys.exit(f"the server ended with code {server.returncode}")
            try:
                if httpx.get(f"{url}/readyz", timeout=2).is_success:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def headset(home: Path, *arguments: str) -> str:
    """Run a headset command and return what it printed."""
    command = [sys.executable, "-m", "headset", *arguments, "--home", str(home)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
