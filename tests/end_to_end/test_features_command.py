"""``headset features``: what a person does with definitions, and what they may get wrong."""

from __future__ import annotations

import json
import subprocess

import pytest

from headset.app import open_installation
from headset.core.config import load_config
from headset.events.schema import ConversationStarted, DecisionServed, Event, ModelRegistered

MOOD = """
from headset.features.aggregation import Count, Mean
from headset.features.definition import Feature, FeatureService, FeatureView
from headset.features.expression import column
from headset.features.on_demand import OnDemandFeature

MOOD = FeatureView(
    name="mood", entity="customer", event="TurnReceived", owner="care", description="How customers sound.",
    features=(
        Feature(name="sentiment", expression=column("sentiment"), aggregation=Mean(), window="1 h", default=0),
        Feature(name="turns", aggregation=Count(), window="1 d"),
    ),
)
FELL = OnDemandFeature(name="fell", expression=column("sentiment") < column("mood.sentiment"), default=False)
RISK = FeatureService(name="risk", views=(MOOD,), owner="care", description="", on_demand=(FELL,))
"""


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def told(main):
    """The JSON that a command prints."""

    def run(*arguments):
        code, printed, _ = main(*arguments, "--json")
        assert code == 0
        return json.loads(printed)

    return run


@pytest.fixture
def file(tmp_path):
    folder = tmp_path / "definitions"
    folder.mkdir()
    place = folder / "mood.py"
    place.write_text(MOOD)
    return place


def change(file, *pairs):
    text = file.read_text()
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    file.write_text(text)


@pytest.fixture
def register(home, tmp_path, save_artifact, crown):
    def take_in(name="risk"):
        """A champion that reads the service ``name`` and has decided for the queue billing."""
        with open_installation(load_config(home, {})) as parts:
            service = parts.catalogue.service(name)
            made = ModelRegistered(
                model="risk",
                version="",
                artifact_sha256=save_artifact(tmp_path / "artifact"),
                run_id="",
                dataset="",
                data_fingerprint="",
                commit="",
                seed=0,
                metrics={},
                encoder_version="",
                feature_service=name,
                features=service.versions,
            )
            parts.registry.register(made, tmp_path / "artifact")
            crown(parts.registry, "1", "risk")
            decision = DecisionServed(
                decision_id="d",
                turn_id="t",
                position=0,
                model="intent",
                model_version="1",
                arm="champion",
                intent=None,
                confidence=0.5,
                route="human",
                reason="at_risk",
                latency_ms=1.0,
                feature_versions=service.versions,
            )
            parts.log.append(
                [
                    Event(
                        event_id=parts.ids.new(),
                        event_time=parts.clock.now(),
                        subject="customer:ana",
                        conversation_id="c",
                        source="test",
                        payload=payload,
                    )
                    for payload in (ConversationStarted(queue="billing"), decision)
                ]
            )

    return take_in


def test_definitions_are_planned_applied_listed_and_shown(main, told, file):
    code, printed, _ = main("features", "list")
    assert (code, "headset features apply" in printed) == (0, True)
    code, printed, _ = main("features", "plan", file)
    assert code == 0
    assert "+ view mood added" in printed
    assert told("features", "list") == {"views": [], "services": []}
    code, printed, _ = main("features", "apply", file)
    assert (code, "2 added" in printed) == (0, True)
    listed = told("features", "list")
    (view,), (service,) = listed["views"], listed["services"]
    assert view["features"].keys() == {"sentiment", "turns"}
    assert (view["owner"], view["services"]) == ("care", ["risk"])
    assert service["features"].keys() == {"mood.sentiment", "mood.turns", "on_demand.fell"}
    assert told("features", "show", "mood")["views"][0]["signals"].keys() == {"sentiment"}
    assert [entry["live"] for entry in told("features", "show", "risk")["history"]] == [True]
    for name, expected in (("mood", "Mean() of sentiment"), ("risk", "(sentiment < mood.sentiment)")):
        code, printed, _ = main("features", "show", name)
        assert (code, expected in printed) == (0, True)
    code, printed, _ = main("features", "plan", file.parent)
    assert (code, "nothing to do: 2 unchanged" in printed) == (0, True)


def test_a_plan_names_what_changes_and_which_models_and_queues_it_touches(main, told, file, home, tmp_path, register):
    told("features", "apply", file)
    register()
    change(file, ("1 h", "2 h"), ('"care", description="How', '"quality", description="How'))
    planned = told("features", "plan", file)
    view, service = planned["changes"]
    assert view["differences"] == [
        {"field": "owner", "before": "care", "after": "quality"},
        {"field": "sentiment.window", "before": "1 h", "after": "2 h"},
    ]
    assert (view["models"], view["queues"], view["services"]) == (["risk 1 (champion)"], ["billing"], ["risk"])
    assert service["models"] == ["risk 1 (champion)"]
    code, printed, _ = main("features", "apply", file)
    assert code == 0
    for expected in ("sentiment.window: 1 h → 2 h", "touches queues: billing", "stays live for risk 1 (champion)"):
        assert expected in printed
    assert len(told("features", "list")["views"]) == 2
    code, printed, _ = main("features", "list")
    assert (code, "risk 1 (champion)" in printed) == (0, True)


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ([('name="mood"', 'name="temper"'), ('"mood.sentiment"', '"temper.sentiment"')], "mood: is read by risk 1"),
        ([('name="turns"', 'name="number"')], "mood.turns: is read by risk 1"),
        ([('name="risk"', 'name="danger"')], "risk: is read by risk 1"),
    ],
)
def test_what_a_champion_reads_is_not_removed(main, told, file, home, tmp_path, pairs, named, register):
    told("features", "apply", file)
    register()
    change(file, *pairs)
    code, _, said = main("features", "apply", file)
    assert code == 2
    assert named in said


@pytest.mark.parametrize(
    ("pairs", "named"),
    [
        ([("1 h", "1 hour")], "mood.sentiment.window: '1 hour' is no duration"),
        ([('column("sentiment"), agg', 'column("speaker"), agg')], "mood.sentiment.expression: is a word"),
        ([("FELL = ", "FELL = (")], "mood.py:14: is no Python"),
        ([("FELL = ", "FELL = 1 / 0, ")], "mood.py:14: raised ZeroDivisionError"),
        ([("views=(MOOD,)", "views=()")], "risk.views: is empty"),
        (
            [("MOOD = FeatureView(", "def make(): return FeatureView("), ("views=(MOOD,)", "views=(make(),)")],
            "is not defined",
        ),
        (
            [("RISK =", 'MORE = FeatureService(name="risk", views=(MOOD,), owner="", description="")\nRISK =')],
            "two different",
        ),
        (
            [
                ('column("sentiment"), aggregation=Mean()', 'column("speaker"), aggregation=Last()'),
                ("Count, Mean", "Count, Last"),
                (", default=0)", ")"),
                ('< column("mood.sentiment")', "< 0"),
            ],
            "give the new feature another name",
        ),
    ],
)
def test_a_mistake_is_named_without_a_traceback(main, told, file, pairs, named):
    told("features", "apply", file)
    change(file, *pairs)
    for command in ("plan", "apply"):
        code, printed, said = main("features", command, file)
        assert (code, printed) == (2, "")
        assert named in said
        assert "Traceback" not in said
    code, printed, _ = main("features", "apply", file, "--json")
    assert code == 2
    assert named in json.loads(printed)["error"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("plan", "nowhere.py"), "nowhere.py does not exist"),
        (("apply", "{empty}"), "holds no Python file"),
        (("apply", "{text}"), "is no Python file"),
        (("show", "mood"), "apply definitions with 'headset features apply'"),
        (("show", "[red]"), "[red]"),
    ],
)
def test_misuse_exits_2_and_names_the_value(main, tmp_path, arguments, named):
    (tmp_path / "empty").mkdir()
    (tmp_path / "views.toml").write_text("")
    places = {"empty": tmp_path / "empty", "text": tmp_path / "views.toml"}
    code, _, said = main("features", *(argument.format(**places) for argument in arguments))
    assert code == 2
    assert named in said


def test_the_commit_of_the_definitions_is_kept(told, file):
    git = ["git", "-C", str(file.parent), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "definitions"]):
        subprocess.run([*git, *command], check=True)
    commit = told("features", "apply", file)["commit"]
    assert len(commit) == 40
    assert told("features", "show", "mood")["history"][0]["commit"] == commit
    change(file, ("1 h", "2 h"))
    assert told("features", "apply", file.parent)["commit"] == f"{commit}-dirty"


def test_the_shipped_definitions_are_applied_when_none_are_named(told):
    applied = told("features", "apply")
    assert {change["action"] for change in applied["changes"]} == {"added"}
    assert applied["commit"].startswith("headset ")
    listed = told("features", "list")
    assert "risk" in [service["name"] for service in listed["services"]]
    assert told("features", "plan")["nothing_to_do"]
