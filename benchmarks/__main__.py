"""Run every benchmark of this folder, one after the other, and draw the summary.

``python benchmarks [--quick] [NAME ...]``; exit code 1 when a benchmark failed or missed its target.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FOLDER = Path(__file__).parent


def run(script: Path, *, quick: bool) -> dict[str, Any]:
    """Run one script, passing on what it prints, and give its last line, read as JSON."""
    command = [sys.executable, str(script), *(["--quick"] if quick else [])]
    last = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            last = line.strip() or last
    try:
        figures = json.loads(last)
    except ValueError:
        figures = None
    if process.returncode or not isinstance(figures, dict):
        return {"name": script.stem, "figure": "failed", "holds": False}
    return figures


def summary(results: list[dict[str, Any]]) -> Table:
    """One row per benchmark."""
    table = Table("benchmark", "figure", "unit", "target", "holds", "baseline", "seed", title="Benchmarks")
    for result in results:
        cells = [result.get(key, "") for key in ("name", "figure", "unit", "target")]
        verdict = "[green]yes" if result.get("holds") else "[red]no"
        table.add_row(*map(_cell, cells), verdict, _cell(result.get("baseline", "")), _cell(result.get("seed", "")))
    return table


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def main() -> int:
    """Run what was asked for."""
    scripts = {path.stem: path for path in sorted(FOLDER.glob("[!_]*.py"))}
    parser = argparse.ArgumentParser(prog="benchmarks", description="Run the benchmarks and draw the summary.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which (default: all): {', '.join(scripts)}")
    parser.add_argument("--quick", action="store_true", help="the short form of each, under 50 s")
    options = parser.parse_args()
    if unknown := set(options.names) - set(scripts):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(scripts)}")
    results = []
    for name in options.names or scripts:
        print(f"\n== {name}", flush=True)
        results.append(run(scripts[name], quick=options.quick))
    console = Console()
    console.print(summary(results))
    machines = {str(result["machine"]) for result in results if "machine" in result}
    console.print(*sorted(machines), sep="\n")
    return 0 if all(result.get("holds") for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
