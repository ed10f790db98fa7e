from __future__ import annotations

import inspect
import os
import typing
from pathlib import Path

import msgspec
import pytest
from typer.main import get_command

from headset.cli.command import app
from headset.core.config import JobsConfig
from headset.core.errors import InvalidInput
from headset.jobs.desk import JobDesk
from headset.jobs.policy import LOCAL_OPTIONS, check_allowed, check_remote
from headset.jobs.spec import COMMANDS, job_spec

SETTINGS = JobsConfig(images=("trusted:1",), secrets=("LLM_KEY",), variables=("TZ",))


@pytest.fixture
def home(tmp_path):
    for name in ("keys", "log", "models"):
        (tmp_path / "home" / name).mkdir(parents=True)
    return tmp_path / "home"


@pytest.mark.parametrize(
    "environment",
    [
        {"image": "headset:latest"}, {"image": "trusted:1"}, {"secrets": ["LLM_KEY"]},
        {"variables": {"TZ": "UTC", "OMP_NUM_THREADS": "1"}},
    ],
)  # fmt: skip
def test_what_the_settings_name_is_allowed(home, environment):
    check_allowed(job_spec(["train", "intent"], environment=environment), SETTINGS, home)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "evil:1"), ("image", "trusted:2"), ("secrets", ["HEADSET_SYNTHESIS_KEY"]), ("secrets", ["PATH"]),
        *(("variables", {name: "x"}) for name in (
            "PATH", "LD_PRELOAD", "PYTHONPATH", "HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "MPLBACKEND",
            "BASH_ENV", "HEADSET_HOME", "HEADSET_GATES_REQUIRED", "HEADSET_TRACKING_URI", "HEADSET_DECISION_MODEL",
        )),
    ],
)  # fmt: skip
def test_what_the_settings_do_not_name_is_refused(home, field, value):
    with pytest.raises(InvalidInput, match=r"add it to jobs\.") as caught:
        check_allowed(job_spec(["train", "intent"], environment={field: value}), SETTINGS, home)
    assert caught.value.field == f"environment.{field}"


@pytest.mark.parametrize(
    "value",
    [
        "{home}/keys/master.key", "{home}/log/events.db", "{home}/models/x", "{home}/jobs/../keys/k", "{home}/keys",
        "link/master.key", "keys/master.key", "/var/lib/headset/keys/master.key", "{relative}/keys/master.key",
    ],
)  # fmt: skip
@pytest.mark.parametrize("form", [["--html", "{}"], ["--html={}"]])
def test_no_job_names_a_path_that_headset_alone_keeps(home, tmp_path, monkeypatch, value, form):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(home / "keys")
    path = value.format(home=home, relative=os.path.relpath(home, tmp_path))
    with pytest.raises(InvalidInput, match="which no job may name"):
        check_allowed(job_spec(["validate", "3", *(part.format(path) for part in form)]), SETTINGS, home)


def test_other_paths_and_names_stay_allowed(home):
    for words in (["--html", f"{home}/report.html"], ["--model", "models"], ["--html=../keys.html"]):
        check_allowed(job_spec(["validate", "3", *words]), SETTINGS, home)


@pytest.mark.parametrize("option", LOCAL_OPTIONS)
@pytest.mark.parametrize("form", ["{} x", "{}=x"])
def test_over_http_no_job_reaches_for_files_code_or_addresses(jobs, option, form):
    command = ["validate", "3", *form.format(option).split()]
    with pytest.raises(InvalidInput, match=f"{option} cannot be given over HTTP"):
        JobDesk(jobs, launcher="process").submit(msgspec.json.encode({"command": command}))
    assert jobs.list() == []


def leaves(command, words=()):
    if not hasattr(command, "commands"):
        return [(words, command)]
    return [leaf for name, each in command.commands.items() for leaf in leaves(each, (*words, name))]


def test_no_command_of_a_job_takes_a_path_unlooked_at():
    """A positional path counts as looked at where the command cannot do without a refused option."""
    for words, command in leaves(get_command(app)):
        if not any(words[: len(begin)] == begin for begin in COMMANDS):
            continue
        hints = typing.get_type_hints(inspect.unwrap(command.callback))
        options = {each.name: each for each in command.params}
        refused = {opt for each in options.values() if each.required for opt in each.opts} & set(LOCAL_OPTIONS)
        for name, kind in hints.items():
            if "Path" in str(kind) and name != "home" and not refused:
                assert set(options[name].opts) <= set(LOCAL_OPTIONS), (words, name)
    with pytest.raises(InvalidInput):
        check_remote(job_spec(["features", "backfill", str(Path("x.csv")), "--out", "y"]))
