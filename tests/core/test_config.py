from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import NODEFAULT
from msgspec.structs import fields

from headset.core.config import (
    Config,
    DecisionConfig,
    FeaturesConfig,
    GatesConfig,
    JobsConfig,
    LogConfig,
    ServerConfig,
    SynthesisConfig,
    TuningConfig,
    load_config,
)
from headset.core.errors import InvalidInput


def test_the_environment_goes_over_the_file_and_arguments_over_both(tmp_path):
    (tmp_path / "headset.toml").write_text('[server]\nport = 1001\nhost = "::1"\nin_progress_limit = 3\n')
    config = load_config(
        tmp_path, {"HEADSET_SERVER_PORT": "1002", "HEADSET_SERVER_HOST": "127.0.0.2"}, {"server.port": 1003}
    )
    assert config == Config(home=tmp_path, server=ServerConfig(host="127.0.0.2", port=1003, in_progress_limit=3))


@pytest.mark.parametrize(
    ("text", "intents"), [("a", ("a",)), ("a, b", ("a", "b")), ("", ()), (" , ", ()), ("a,b,", ("a", "b"))]
)
def test_a_list_in_the_environment_is_written_with_commas(tmp_path, text, intents):
    environ = {"HEADSET_DECISION_HUMAN": text, "HEADSET_DECISION_AUTOMATE": "x"}
    decision = load_config(tmp_path, environ, {"server.port": 9000}).decision
    assert decision == DecisionConfig(human=intents, automate=("x",))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300", "-1"])
@pytest.mark.parametrize("name", ["server.drain_s", "decision.stall_ms", "decision.sla_s", "decision.clock_ahead_s"])
def test_a_number_without_bound_is_refused_by_name_and_value(tmp_path, name, value):
    with pytest.raises(InvalidInput) as caught:
        load_config(tmp_path, {f"HEADSET_{name}".upper().replace(".", "_"): value})
    assert caught.value.field == name
    assert f"'{value}'" in str(caught.value)


@pytest.mark.parametrize("section", [ServerConfig, DecisionConfig, LogConfig, FeaturesConfig, JobsConfig])
def test_every_number_has_a_lower_and_an_upper_bound(tmp_path, section):
    for field in fields(section):
        if type(field.default) in {int, float}:
            name = f"{section.__name__.removesuffix('Config').lower()}.{field.name}"
            for value in (10**17, -(10**17)):
                with pytest.raises(InvalidInput, match=name):
                    load_config(tmp_path, {}, {name: value})


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("HEADSET_SERVER_PROT", "HEADSET_SERVER_PORT"),
        ("HEADSET_DECISION_SLA", "HEADSET_DECISION_SLA_S"),
        ("HEADSET_LOG_KEEPLIVE", "HEADSET_LOG_KEEP_LIVE"),
        ("HEADSET_TRACKING_URL", "HEADSET_TRACKING_URI"),
    ],
)
def test_a_misspelt_name_in_the_environment_is_refused_with_the_nearest(tmp_path, wrong, nearest):
    with pytest.raises(InvalidInput, match=rf"{wrong}: .*{nearest};"):
        load_config(tmp_path, {wrong: "1"})


@pytest.mark.parametrize("name", ["REQUIRED", "VALID_DAYS", "LIMITS", "X"])
def test_gates_are_not_set_by_the_environment(tmp_path, name):
    with pytest.raises(InvalidInput, match=rf"HEADSET_GATES_{name}: .*set in headset\.toml only"):
        load_config(tmp_path, {f"HEADSET_GATES_{name}": "1"})


def test_other_names_in_the_environment_are_left_alone(tmp_path):
    others = ("HEADSET_HOME", "HEADSET_DATA", "HEADSET_REQUIRE_SERVICES", "HEADSET_REDIS_URL", "HEADSET_SERVICE_HOST")
    assert load_config(tmp_path, dict.fromkeys((*others, "PATH"), "x")) == Config(home=tmp_path)


def test_a_misspelt_name_in_the_file_is_refused(tmp_path):
    (tmp_path / "headset.toml").write_text("[server]\nprot = 1\n")
    with pytest.raises(InvalidInput, match="prot"):
        load_config(tmp_path, {})


@pytest.mark.parametrize("name", ["../intent", "a/b", "", "Intent", "1st", "a" * 65, "a\n", "."])
def test_the_name_of_the_model_must_do_as_the_name_of_a_folder(tmp_path, name):
    with pytest.raises(InvalidInput, match=r"decision\.model"):
        load_config(tmp_path, {}, {"decision.model": name})


def test_limits_of_gates_are_a_table_of_numbers(tmp_path):
    (tmp_path / "headset.toml").write_text("[gates.limits]\nmargin = 0.02\nsuite_cases = 80\n")
    assert load_config(tmp_path, {}).gates.limits == {"margin": 0.02, "suite_cases": 80}
    (tmp_path / "headset.toml").write_text('[gates.limits]\nmargin = "much"\n')
    with pytest.raises(InvalidInput, match=r"gates\.limits"):
        load_config(tmp_path, {})


def test_every_setting_is_documented_with_its_default(root):
    page = (root / "docs" / "configuration.md").read_text("utf-8")
    rows = [line.split("|")[1:3] for line in page.splitlines() if line.startswith("| `")]
    documented = {name.strip(" `"): default.strip(" `") for name, default in rows}
    sections = (
        ServerConfig,
        DecisionConfig,
        LogConfig,
        FeaturesConfig,
        JobsConfig,
        GatesConfig,
        TuningConfig,
        SynthesisConfig,
    )
    settings = [field for section in sections for field in fields(section)]
    shown = {
        field.name: _toml(field.default_factory() if field.default is NODEFAULT else field.default)
        for field in settings
    }
    assert documented == {"tracking_uri": '""', **shown}


def _toml(value):
    return {str: f'"{value}"', tuple: "[]"}.get(type(value), str(value))


@pytest.mark.parametrize("content", ["a = " + "[" * 50_000, "a = ", "\x00", None])
def test_a_settings_file_that_cannot_be_read_is_named(tmp_path, content):
    if content is None:
        (tmp_path / "headset.toml").mkdir()
    else:
        (tmp_path / "headset.toml").write_text(content)
    with pytest.raises(InvalidInput, match=r"headset\.toml"):
        load_config(tmp_path, {})


def test_models_of_queues_can_be_set_from_the_environment():
    config = load_config(Path("/nowhere"), {"HEADSET_DECISION_QUEUE_MODELS": "email=fine, back office = finer"})
    assert config.decision.queue_models == {"email": "fine", "back office": "finer"}
    with pytest.raises(InvalidInput, match="queue_models"):
        load_config(Path("/nowhere"), {"HEADSET_DECISION_QUEUE_MODELS": "email"})
