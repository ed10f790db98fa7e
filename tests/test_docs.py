"""The documentation leads somewhere, runs, and leaves no command out."""

from __future__ import annotations

import pytest
from typer.main import get_command

from check_text import dead_links, machine_places, tracked_files


@pytest.fixture
def files(root):
    return tracked_files(root)


@pytest.fixture
def pages(files):
    return [file for file in files if file.suffix == ".md"]


def test_no_link_is_dead(pages):
    assert [problem for page in pages for problem in dead_links(page)] == []


def test_no_file_names_a_place_of_one_machine(files):
    assert [problem for file in files for problem in machine_places(file)] == []


def test_a_dead_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Ask & answer\n[good](#ask--answer) [web](https://example.org/x) `[code](none.md)`\n"
        "[gone](gone.md) [lost](#lost)\n```\n[fenced](none.md)\n```\n"
    )
    assert [problem.partition(": ")[2] for problem in dead_links(page)] == [
        "no such file: gone.md",
        "no such heading: #lost",
    ]


@pytest.mark.parametrize("place", ["/home" + "/ann/.cache", "https://" + "pypi" + ".org/simple"])
def test_a_place_of_one_machine_is_found(tmp_path, place):
    page = tmp_path / "page.txt"
    page.write_text(f"first\nsee {place}\n")
    (problem,) = machine_places(page)
    assert problem.startswith(f"{page}:2: ")


def test_every_example_runs(root, files, pytestconfig):
    """An example (``>>>``) outside the folders that pytest walks would never be run."""
    walked = [root / path for path in pytestconfig.getini("testpaths")]
    forgotten = [
        file.relative_to(root)
        for file in files
        if file.suffix in {".py", ".md"}
        and not any(file.is_relative_to(path) for path in walked)
        and any(line.lstrip().startswith(">>> ") for line in file.read_text("utf-8").splitlines())
    ]
    assert forgotten == []


def test_every_command_is_documented(pages):
    from headset.cli import app  # noqa: PLC0415 - a broken command line must not hide the other tests

    text = "\n".join(page.read_text("utf-8") for page in pages)
    commands = _commands(get_command(app), "headset")
    assert [command for command in commands if command not in text] == []


def _commands(group, name):
    for child in group.commands.values():
        if child.hidden:
            continue
        full = f"{name} {child.name}"
        yield from _commands(child, full) if hasattr(child, "commands") else [full]
