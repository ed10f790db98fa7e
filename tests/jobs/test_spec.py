from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headset.core.errors import InvalidInput
from headset.jobs.spec import JobSpec, decode_spec, job_spec, read_spec


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "intent", "--data", "bank", "--seed", "3"],
        ["train", "intent", "--seed=3", "--data=bank"],
        ["train", "--seed", "3", "intent", "--data", "bank"],
    ],
)
def test_the_order_in_which_a_job_is_said_makes_no_difference(arguments):
    assert job_spec(arguments).hash == job_spec(["train", "intent"], data="bank", seed=3).hash


@given(st.integers(0, 2**32 - 1), st.integers(0, 20), st.lists(st.sampled_from(["--a", "b", "--c=d e", "ü"])))
def test_a_spec_is_what_its_json_says(seed, retries, words):
    spec = job_spec(["tune", *words], seed=seed, retries=retries)
    again = decode_spec(msgspec.json.encode(spec))
    assert (again, again.hash) == (spec, spec.hash)
    assert job_spec(spec.arguments, retries=retries) == spec


def test_any_change_is_another_job():
    specs = [
        job_spec(["train", "intent"], **rest)
        for rest in ({}, {"seed": 1}, {"data": "x"}, {"retries": 1}, {"launcher": "ray"}, {"resources": {"cpus": 1}})
    ]
    assert len({spec.hash for spec in specs}) == len(specs)


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"], ["up"], ["keys", "create", "x"], ["models", "promote", "1"], ["erase", "x"],
        ["jobs", "submit"], ["work"],
        ["sh", "-c", "id"], ["; train"], ["train;id"], ["data"], ["data", "import"], ["--home", "/", "train"], [""],
    ],
)  # fmt: skip
def test_what_is_not_on_the_list_is_refused(arguments):
    with pytest.raises(InvalidInput, match=r"command: .* cannot be a job; jobs begin with"):
        job_spec(arguments)


@pytest.mark.parametrize("argument", ["--home", "--home=/tmp", "a\0b", "a\nb", "a\x1b[2J", "x" * 5_000, "--help"])
def test_an_argument_that_would_lead_elsewhere_is_refused(argument):
    with pytest.raises(InvalidInput, match="command: "):
        job_spec(["train", "intent", argument])


@pytest.mark.parametrize(
    ("rest", "field"),
    [
        ({"seed": -1}, "seed"), ({"seed": 2**40}, "seed"), ({"retries": 21}, "retries"),
        ({"launcher": "mesos"}, "launcher"),
        ({"resources": {"cpus": 0}}, "resources.cpus"), ({"resources": {"memory_mb": 1}}, "resources.memory_mb"),
        ({"resources": {"disk": 1}}, "resources"), ({"environment": {"image": "; rm"}}, "environment.image"),
        ({"environment": {"variables": {"OPENAI_API_KEY": "x"}}}, "environment.variables"),
        ({"environment": {"variables": {"A B": "x"}}}, "environment.variables"),
        ({"environment": {"secrets": ["A B"]}}, "environment.secrets"), ({"owner": "x"}, "job"), ({"data": 3}, "data"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name(rest, field):
    with pytest.raises(InvalidInput) as caught:
        job_spec(["train", "intent"], **rest)
    assert caught.value.field == field


@pytest.mark.parametrize("arguments", [["--data"], ["--data", "a", "--data", "b"], ["--seed", "x"], ["--seed", "-1"]])
def test_data_and_seed_are_given_once_and_whole(arguments):
    with pytest.raises(InvalidInput, match=r"data|seed"):
        job_spec(["train", "intent", *arguments])


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{", b"\xff", b'{"command": []}', b"[" * 100_000, b"{}"])
def test_what_is_no_spec_is_refused(content):
    with pytest.raises(InvalidInput):
        decode_spec(content)


def test_a_file_says_all_and_the_configured_launcher_fills_in(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('command = ["train", "intent"]\ndata = "bank"\n[resources]\ncpus = 2\n')
    spec = read_spec(file, launcher="ray")
    assert spec == job_spec(["train", "intent", "--data", "bank"], launcher="ray", resources={"cpus": 2})
    assert isinstance(spec, JobSpec)


@pytest.mark.parametrize("text", ["command = ", "command = 3", 'comand = ["train"]', ""])
def test_a_file_that_is_no_spec_is_named(tmp_path, text):
    file = tmp_path / "job.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"job\.toml"):
        read_spec(file)
    with pytest.raises(InvalidInput, match="gone"):
        read_spec(tmp_path / "gone")
