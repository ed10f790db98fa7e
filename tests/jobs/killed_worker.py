"""A worker of a home folder, for tests that kill it: ``killed_worker.py HOME [--once]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from contracts.launcher import PROGRAM

from headset.app import open_installation
from headset.app.jobs import job_worker
from headset.core.config import load_config
from headset.jobs.process import ProcessLauncher
from headset.supervisor import stop_on_signals


def main(home, *options):
    stop = stop_on_signals()
    with open_installation(load_config(home, {})) as parts:
        parts._launchers["process"] = ProcessLauncher(home / "jobs" / "running", home, os.environ, program=PROGRAM)
        job_worker(parts, stop).work(once="--once" in options)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
