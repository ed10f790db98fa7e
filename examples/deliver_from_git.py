"""From a commit to a candidate in shadow: a new project's whole pipeline, run here, step by step, with its times.

``python examples/deliver_from_git.py [FOLDER]`` makes a project and a platform in FOLDER (a temporary one when left
out), serves the first commit's model, changes the recipe, commits, and lets the pipeline of the second commit run:
lint, unit tests, data checks, training and gates on the sample, the image where a container engine runs (on an image of
Headset that was built or assembled before), then delivery to the platform. It ends when the running server has answered
customers with the champion and, in shadow, with the candidate, whose commit is the one just made.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 900
_PORT = 8641
_PATIENCE_S = 60.0
_PLATFORM = """[gates.limits]
margin = 0.03        # 2,300 texts cannot tell a smaller difference from chance
transfer_rate = 0.05
aht_ratio = 0.1
"""
_TEXTS = ("where is my parcel", "I was charged twice", "cancel my contract please", "my internet is so slow")


class Pipeline:
    """Runs commands in the project, with the time each took."""

    def __init__(self, project: Path, platform: Path) -> None:
        self._project = project
        self.platform = platform
        self.took: list[tuple[str, str, float]] = []
        bin_folder = str(Path(sys.executable).parent)
        self.environ = os.environ | {"PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}", "GIT_AUTHOR_NAME": "Ana"}
        self.environ |= {"GIT_AUTHOR_EMAIL": "ana@example.org", "GIT_COMMITTER_NAME": "Ana"}
        self.environ |= {"GIT_COMMITTER_EMAIL": "ana@example.org", "COLUMNS": "110"}

    def run(self, stage: str, *command: str, home: Path | None = None, needed: bool = True) -> bool:
        """Run one step and show its output; gives whether it succeeded, or ends the script where that is needed."""
        print(f"\n== {stage}: {' '.join(command)}", flush=True)
        began = time.monotonic()
        environ = self.environ if home is None else self.environ | {"HEADSET_HOME": str(home)}
        done = subprocess.run(
            command,
            cwd=self._project,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.took.append((stage, " ".join(command), time.monotonic() - began))
        print(done.stdout, flush=True)
        if done.returncode and needed:
            sys.exit(f"{stage} failed with code {done.returncode}")
        return done.returncode == 0

    def commit(self, message: str) -> str:
        """Commit everything; gives the commit."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD")

    def begin(self) -> None:
        """Make the project a Git."""
        self._git("init", "--quiet")

    def _git(self, *arguments: str) -> str:
        command = ["git", *arguments]
        return subprocess.check_output(command, cwd=self._project, env=self.environ, text=True).strip()


@contextmanager
def served(pipeline: Pipeline) -> Iterator[httpx.Client]:
    """A server on the platform's home, and a client of it."""
    environ = pipeline.environ | {"HEADSET_HOME": str(pipeline.platform)}
    command = [sys.executable, "-m", "headset", "serve", "--port", str(_PORT)]
    server = subprocess.Popen(command, env=environ)
    try:
        url = f"http://127.0.0.1:{_PORT}"
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                if httpx.get(f"{url}/readyz", timeout=2).is_success:
                    break
            except httpx.TransportError:
                pass
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit("the server did not become ready")
            time.sleep(0.2)
        key = (pipeline.platform / "keys" / "development.key").read_text("utf-8").strip()
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=20) as client:
            yield client
    finally:
        server.terminate()
        server.wait()


def find_base(pipeline: Pipeline) -> None:
    """Have an image of Headset to build on, of this machine's own files where no registry can be reached."""
    engine = next((name for name in ("podman", "docker") if shutil.which(name)), None)
    if engine is None:
        return
    root, image = Path(__file__).parents[1], "headset:latest"
    if subprocess.run([engine, "image", "inspect", image], capture_output=True, check=False).returncode == 0:
        return
    file = str(root / "deploy" / "Dockerfile")
    if pipeline.run("base", engine, "build", "--file", file, "--tag", image, str(root), needed=False):
        return
    change = "--change 'ENTRYPOINT [\"/usr/bin/headset\"]'"
    script = f"'{root}/tools/assemble_image.sh' --whole | {engine} import {change} - {image}"
    pipeline.run("base, assembled", "sh", "-c", script, needed=False)


def shadowed(client: httpx.Client, version: str) -> int:
    """Talk as customers until the version has answered all of them in shadow; gives how many."""
    deadline = time.monotonic() + _PATIENCE_S
    asked = 0
    while time.monotonic() < deadline:
        for text in _TEXTS:
            asked += 1
            client.post(f"/v1/conversations/shadowed-{asked}/turns", json={"text": text}).raise_for_status()
        time.sleep(0.5)
        rows = client.get("/v1/kpis").raise_for_status().json()["models"]
        count = next((row["decisions"] for row in rows if row["shadow"] and row["model_version"] == version), 0)
        if count:
            return int(count)
    sys.exit(f"version {version} answered nobody in shadow within {_PATIENCE_S:.0f} s")


def main() -> None:
    """Run it all and print the times."""
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given or Path(temporary)).absolute()
        project, platform = folder / "bank-bot", folder / "platform"
        project.mkdir(parents=True)
        pipeline = Pipeline(project, platform)
        pipeline.run("project", "headset", "init", ".", "--name", "bank-bot")
        pipeline.begin()
        pipeline.commit("A project")
        find_base(pipeline)
        platform.mkdir(mode=0o700)
        (platform / "headset.toml").write_text(_PLATFORM, "utf-8")
        pipeline.run("the platform's data", "make", "data", home=platform)
        pipeline.run("the first champion", "make", "train", home=platform)
        with served(pipeline) as client:
            recipe = project / "recipe.toml"
            recipe.write_text(recipe.read_text("utf-8").replace("penalty = 0.3", "penalty = 0.5"), "utf-8")
            commit = pipeline.commit("A firmer penalty")
            began = time.monotonic()
            for step in ("lint", "test", "data", "train", "gates"):
                pipeline.run(step, "make", step)
            built = pipeline.run("image", "make", "image", needed=False)  # here may be no container engine
            pipeline.run("plan", "headset", "plan", ".", home=platform)
            pipeline.run("deliver", "make", "deliver", home=platform)
            version = json.loads((project / "build" / "training.json").read_text("utf-8"))["version"]
            count = shadowed(client, version)
            total_s = time.monotonic() - began
            known = client.get("/v1/models").raise_for_status().json()["models"]
        made = next(each for each in known if (each["model"], each["version"]) == ("intent", version))
        table = Table("step", "command", "seconds")
        for stage, command, seconds in pipeline.took:
            table.add_row(stage, command, f"{seconds:.1f}")
        Console().print(table)
        traced = made["made"]["commit"] == commit
        if not built:
            print("the image was NOT built, see above")
        print(f"version {version}, aliases {', '.join(made['aliases'])}, answered {count} turns in shadow")
        print(f"it was made from commit {made['made']['commit']}, {'the one' if traced else 'NOT the one'} just made")
        print(
            f"from commit to shadow: {total_s:.0f} s, limit {LIMIT_S} s: {'holds' if total_s <= LIMIT_S else 'MISSED'}"
        )
        if given is None:
            shutil.rmtree(folder, ignore_errors=True)
        sys.exit(0 if traced and total_s <= LIMIT_S else 1)


if __name__ == "__main__":
    main()
