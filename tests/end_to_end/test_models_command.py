"""The registry on the command line: who may, what is shown, and what goes wrong in plain words."""

from __future__ import annotations

import json

import pytest

from headset.app import open_installation
from headset.core.config import load_config
from headset.events.schema import ModelRegistered


@pytest.fixture
def home(tmp_path, save_artifact, crown):
    """Version 1 is champion, version 2 is there."""
    folder = tmp_path / "home"
    with open_installation(load_config(folder, {})) as parts:
        for number in "12":
            sha256 = save_artifact(tmp_path / number, weights=number)
            made = ModelRegistered(
                model="intent", version="", artifact_sha256=sha256, run_id="", dataset="bank", data_fingerprint="f",
                commit="c", seed=7, metrics={"accuracy": 0.9 + int(number) / 100}, encoder_version="hash-1",
            )  # fmt: skip
            parts.registry.register(made, tmp_path / number)
        crown(parts.registry, "1")
    return folder


@pytest.fixture
def told(main):
    """The JSON of a command that succeeds."""

    def run(*arguments):
        code, out, err = main(*arguments, "--json")
        assert code == 0, out + err
        return json.loads(out)

    return run


@pytest.fixture
def validated(home, validate):
    """``validated(version)`` tells a validation of it."""

    def tell(version, **changes):
        with open_installation(load_config(home, {})) as parts:
            return validate(parts.registry, version, **changes)

    return tell


def test_the_owner_promotes_and_rolls_back_where_nobody_has_a_key(told, main, validated):
    validated("2")
    assert "may become champion" in main("models", "list")[1]
    assert told("models", "promote", "2", "--reason", "better")["aliases"] == ["champion"]
    assert told("models", "rollback", "--reason", "worse after all")["version"] == "1"
    done = [(entry["what"], entry["person"], entry["reason"]) for entry in told("audit")][-2:]
    assert done == [("promote", "owner", "better"), ("rollback", "owner", "worse after all")]


def test_a_waiver_takes_two_people_with_keys(told, main, validated):
    ann = told("keys", "create", "ann", "--scope", "admin")["key"]
    bob = told("keys", "create", "bob-phone", "--scope", "approve", "--person", "bob")["key"]
    validated("2", gates={"fairness": "fail"})
    asked = told("models", "waive", "2", "--gate", "fairness", "--reason", "few texts", "--days", "3", "--key", ann)
    assert main("models", "approve", asked["waiver_id"], "--key", ann)[0] == 2
    assert told("models", "approve", asked["waiver_id"], "--key", bob)["granted_by"] == "bob"
    shown = main("models", "show", "2")[1]
    assert "granted" in shown
    assert "it may become champion" in shown
    told("models", "promote", "2", "--reason", "x", "--key", ann)
    assert told("models", "card")["waivers"][0]["granted_by"] == "bob"
    assert told("models", "withdraw", asked["waiver_id"], "--reason", "measured", "--key", bob)["state"] == "withdrawn"


def test_versions_are_shown_compared_and_told_in_a_card(told, main, validated, tmp_path):
    validated("2", gates={"suite": "fail"})
    shown = main("models", "show", "2")[1]
    assert "gate suite failed" in shown
    assert "suite in a sentence" in shown
    compared = told("models", "compare", "champion", "2")
    assert compared["metrics"][0]["difference"] == pytest.approx(0.01)
    assert "+0.01" in main("models", "compare", "1", "2")[1]
    assert main("models", "card", "--html", tmp_path / "card.html")[0] == 0
    assert "Model card: intent version 1" in (tmp_path / "card.html").read_text("utf-8")
    assert "a draft" in main("models", "card", "2")[1]


def test_the_audit_is_a_table_of_who_what_and_why(main):
    main("models", "promote", "2", "--reason", "an idea")
    printed = main("audit", "--model", "intent")[1]
    assert "refused" in printed
    assert "owner (cli)" in printed
    assert "an idea" in printed


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("promote", "9", "--reason", "x"), "no version '9'"),
        (("promote", "2", "--reason", ""), "no reason"),
        (("promote", "2", "--as", "king", "--reason", "x"), "king"),
        (("rollback", "--reason", "x"), "no earlier champion"),
        (("compare", "1", "9"), "no version '9'"),
        (("card", "1", "--html", "/nowhere/card.html"), "cannot be written"),
        (("approve", "none"), "no waiver 'none'"),
        (("waive", "2", "--gate", "beauty", "--reason", "x"), "not required"),
        (("promote", "2", "--reason", "x", "--key", "hs_unknown"), "unknown"),
    ],
)
def test_what_goes_wrong_is_said_in_a_sentence(main, arguments, problem):
    code, out, err = main("models", *arguments)
    assert (code, out) == (2, "")
    assert problem in err
    assert "Traceback" not in err
