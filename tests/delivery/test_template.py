"""A new project's files."""

from __future__ import annotations

import json
import tomllib

import pytest

from headset.core.errors import Conflict, InvalidInput
from headset.delivery.project import read_project
from headset.delivery.template import start_project, write_rows
from headset.features.definition_file import load_definitions
from headset.training.recipe import SHIPPED, read_recipe
from headset.twin.example import Example

SAMPLES = {"learn.csv": write_rows([Example("where is it", "parcel", "en", "chat")])}


@pytest.fixture
def project(tmp_path):
    start_project(tmp_path / "bank-bot", "bank-bot", SAMPLES)
    return tmp_path / "bank-bot"


def test_a_new_project_is_whole(project):
    names = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert {".github/workflows/delivery.yml", ".gitlab-ci.yml", ".gitignore", "Makefile", "data/learn.csv"} <= names
    assert {"model/learner.py", "features/definitions.py", "tests/behaviour.yaml", "docs/delivery.md"} <= names
    assert not [name for name in names if "tmpl" in name or "dot_" in name]


def test_a_new_project_bears_its_name_and_no_placeholder(project):
    assert read_project(project).name == "bank-bot"
    for path in project.rglob("*"):
        if path.is_file():
            assert "${name}" not in path.read_text("utf-8"), path
    assert "name: reports" in (project / ".github/workflows/delivery.yml").read_text("utf-8")
    assert "${{ github.ref }}" in (project / ".github/workflows/delivery.yml").read_text("utf-8")


def test_what_a_new_project_declares_can_be_read(project):
    assert read_recipe(project / "recipe.toml") == SHIPPED
    assert "impatience" in [view.name for view in load_definitions(project / "features").views]
    assert tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["name"] == "bank-bot"
    tomllib.loads((project / "limits.toml").read_text("utf-8"))


def test_pipelines_run_every_step(project):
    steps = ("lint", "test", "data", "train", "gates", "image")
    workflow = (project / ".github/workflows/delivery.yml").read_text("utf-8")
    gitlab = (project / ".gitlab-ci.yml").read_text("utf-8")
    for step in steps:
        assert f"make {step}" in workflow
        assert f"make {step}" in gitlab
    assert "make deliver" in workflow
    assert "make deliver" in gitlab


def test_a_folder_that_holds_something_is_left_alone(project):
    before = (project / "README.md").read_text("utf-8")
    with pytest.raises(Conflict, match="is not empty"):
        start_project(project, "other", SAMPLES)
    assert (project / "README.md").read_text("utf-8") == before


def test_a_folder_that_is_a_git_already_will_do(tmp_path):
    (tmp_path / ".git").mkdir()
    assert start_project(tmp_path, "bank-bot", SAMPLES)


@pytest.mark.parametrize("name", ["", "Bank Bot", "../up", "-x", "a" * 64])
def test_a_name_that_is_none_is_refused(tmp_path, name):
    with pytest.raises(InvalidInput, match="name"):
        start_project(tmp_path / "new", name, SAMPLES)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "missing required field"),
        ("name = 'x'\n[data]\nlearn = 'a b'\ntest = 't'\nunseen = 'u'\n", "data.learn"),
        ("name = 'x'\nextra = 1\n[data]\nlearn = 'a'\ntest = 't'\nunseen = 'u'\n", "extra"),
        ("name = ", "is no project"),
    ],
)
def test_a_project_file_that_is_wrong_is_refused(tmp_path, text, problem):
    (tmp_path / "project.toml").write_text(text)
    with pytest.raises(InvalidInput, match=problem):
        read_project(tmp_path)


def test_a_missing_project_says_how_to_make_one(tmp_path):
    with pytest.raises(InvalidInput, match="headset init"):
        read_project(tmp_path)


def test_commands_of_the_template_exist(project):
    """A command that is renamed must be renamed in the template, too."""
    from typer.main import get_command  # noqa: PLC0415

    from headset.cli import app  # noqa: PLC0415

    known = json.dumps(_names(get_command(app), "headset"))
    for line in (project / "Makefile").read_text("utf-8").splitlines():
        words = line.strip().split()
        if words[:1] == ["headset"]:
            assert f'"{" ".join(words[:3])}"' in known or f'"{" ".join(words[:2])}"' in known, line


def _names(group, name):
    found = []
    for child in group.commands.values():
        full = f"{name} {child.name}"
        found += _names(child, full) if hasattr(child, "commands") else [full]
    return found
