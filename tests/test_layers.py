"""The architecture is what the import graph says it is."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

import pytest

HEAVY = {"mlflow", "sklearn", "scipy", "pandas", "matplotlib"}


@pytest.fixture
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))


def test_every_import_contract_is_kept(root):
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command; lint_imports_command()",
    ]
    done = subprocess.run([*command, "--no-logo", "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_third_party_import_is_declared(root, project):
    always = {_distribution(line) for line in project["project"]["dependencies"]}
    extras = {_distribution(line) for extra in project["project"]["optional-dependencies"].values() for line in extra}
    distributions = packages_distributions()
    undeclared = {
        f"{path.relative_to(root)}: {name}"
        for path in (root / "src").rglob("*.py")
        for name in set(_imported(path)) - sys.stdlib_module_names - {"headset"}
        if (always | (extras if path.parent.name == "backends" else set())).isdisjoint(
            _distribution(owner) for owner in distributions.get(name, [])
        )
    }
    assert undeclared == set(), "declare it in pyproject.toml, then `make lock`"


def test_every_dependency_is_locked(root, project):
    locked = set(re.findall(r"^([\w.-]+)==", (root / "requirements.lock").read_text("utf-8"), re.MULTILINE))
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    assert {_distribution(line) for group in groups for line in group} - locked == set(), "run `make lock`"


SERVING = (
    "headset.app.installation",
    "headset.app.serving",
    "headset.process",
    "headset.features.memory",
    "headset.features.on_demand",
    "headset.features.sentiment",
    "headset.features.static_encoder",
    "headset.registry.scorer",
    "headset.serving.api",
    "headset.serving.prediction",
    "headset.serving.replies",
    "headset.serving.service",
)


def test_the_serving_process_starts_without_training_libraries():
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {', '.join(SERVING)}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(loaded.stdout.split()) & HEAVY == set()


def _imported(path):
    """Top-level names of all modules that a file imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]


def _distribution(requirement):
    """The normalised name (PEP 503) that a requirement starts with."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()
