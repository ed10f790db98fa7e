from __future__ import annotations

import io

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from headset.core.clock import iso
from headset.core.errors import InvalidInput, NotFound
from headset.events.schema import ConversationStarted, FeatureServiceApplied, FeatureViewApplied, HandoffAccepted
from headset.features.aggregation import Count
from headset.features.definition import Feature, FeatureView
from headset.monitoring.lineage import trace as tracing
from headset.monitoring.lineage.graph import Lineage
from headset.monitoring.lineage.tree import render

from .conftest import CODE, DECISION, HABIT, MOOD, NOON, OTHER_CODE, SECOND, SERVICE, SHADOW

OTHER = "00000000-0000-0000-0000-00000000ffff"


def labels(lineage, kind):
    return sorted(node.label for node in lineage.of(kind))


def drawn(lineage):
    console = Console(file=io.StringIO(), width=200)
    console.print(render(lineage))
    return console.file.getvalue()


def test_a_decision_leads_to_models_training_features_events_and_code_in_one_call(world):
    found = world.trace(DECISION)
    assert found.root == f"decision:{DECISION}"
    assert labels(found, "model") == ["intent 1 (champion)", "risk 1"]
    intent, risk = found.of("model")
    assert intent.details["artifact_sha256"] == world.registry.get("intent", "1").made.artifact_sha256
    (run,) = found.targets(risk.id, "run")
    assert (run.details["run_id"], run.details["seed"], run.details["features"]) == ("run-risk", 7, SERVICE.versions)
    (data,) = found.targets(run.id, "dataset")
    assert data.details == {"fingerprint": "cd" * 32, "position": 4}
    assert [node.id for node in found.targets(run.id, "commit")] == [f"commit:{OTHER_CODE}"]
    assert [node.id for node in found.targets(run.id, "service")] == ["service:risk"]
    views = {f"view:mood@{MOOD.version}", f"view:habit@{HABIT.version}", "view:on_demand"}
    assert {node.id for node in found.targets(run.id, "view")} == views
    assert {node.id for node in found.targets(found.root, "view")} == views
    mood = found.node(f"view:mood@{MOOD.version}")
    assert mood.details["owner"] == "care"
    assert [node.id for node in found.targets(mood.id, "commit")] == [f"commit:{CODE}"]
    assert {node.id for node in found.of("feature")} == {
        f"feature:{name}@{of}" for name, of in SERVICE.versions.items()
    }
    assert [node.id for node in found.of("signal")] == ["signal:embedding@minilm-1"]
    assert found.of("turn")[0].details["sentiment_version"] == "vader-1"
    assert found.node(found.root).details["feature_position"] == world.position


def test_source_events_are_those_in_the_windows_that_the_features_had_heard_of(world):
    found = world.trace(DECISION, limit=1)
    mood, habit = (found.targets(f"view:{view.name}@{view.version}", "events")[0].details for view in (MOOD, HABIT))
    assert (mood["count"], mood["key"], mood["first"]) == (1, "c-1", iso(NOON - 60 * SECOND))
    record = next(r for r in world.log.conversation("c-1") if getattr(r.event.payload, "turn_id", "") == "a")
    assert mood["event_ids"] == [str(record.event.event_id)]
    # The customer's turns of one day, the agent's among them (the view has no filter), of both conversations.
    assert (habit["count"], habit["key"], habit["first"]) == (3, "ana", iso(NOON - 50_000 * SECOND))
    assert len(habit["event_ids"]) == 1
    assert habit["as_of"] == iso(NOON - 1)
    assert "problem" not in habit


def test_a_log_too_long_to_look_through_is_said_to_be(world, monkeypatch):
    monkeypatch.setattr(tracing, "REACH", 2)
    found = world.trace(DECISION)
    habit = found.targets(f"view:habit@{HABIT.version}", "events")[0].details
    assert habit["problem"].startswith("only the newest 2 events")
    assert habit["count"] == 1


def test_a_shadow_decision_and_one_whose_model_or_definition_is_unknown_are_traced_as_far_as_known(world):
    found = world.trace(SHADOW)
    assert found.of("model")[0].details["problem"].startswith("not registered")
    assert found.node(found.root).details["shadow_of"] == DECISION

    world.tell(FeatureViewApplied(name="old", version="v", definition='{"no":"view"}', commit=OTHER_CODE))
    world.tell(FeatureServiceApplied(name="lost", version="v", definition="{}", commit=OTHER_CODE))
    read = {"old.x": "1", "mood.turns": "2", "service.lost": "v"}
    world.tell(world.served(decision_id=OTHER, feature_versions=read), of="c-1", event_id=OTHER)
    found = world.trace(OTHER)
    assert "problem" in found.node("view:service").details
    old = world.trace("old").node("view:old@v")
    assert old.details["problem"] == "this Headset cannot read its definition"
    assert labels(world.trace(OTHER_CODE), "service") == ["feature service lost"]
    assert found.node("view:old").details["problem"].startswith("no definition on record")
    assert found.node("view:mood").details["problem"].startswith("no definition on record")


def test_features_are_traced_to_the_agent_and_the_queue_that_their_conversation_had(world):
    def counted(entity, event):
        count = Feature(name="count", aggregation=Count(), window="1 d")
        return FeatureView(name=entity, entity=entity, event=event, features=(count,), owner="care", description="")

    views = [counted("agent", "HandoffAccepted"), counted("queue", "TurnReceived"), counted("segment", "TurnReceived")]
    for view in views:
        world.apply(view)
    for agent, of, at in (("kim", "c-9", 1), ("kim", "c-1", 2), ("lee", "c-1", 3)):
        world.tell(HandoffAccepted(agent_id=agent), at=NOON + at * SECOND, of=of)
    world.say("e", 4, queue="billing", segment="region=north")
    world.say("f", 5, queue="sales", segment="region=north")
    read = {f"{view.name}.count": view.versions["count"] for view in views}
    served = world.served(decision_id=OTHER, turn_id="f", feature_versions=read, feature_position=world.log.head() - 1)
    world.tell(served, at=NOON + 6 * SECOND, of="c-1", event_id=OTHER)
    world.tell(ConversationStarted(queue="later"), of="c-1")
    fed = {node.details["entity"]: node.details for node in world.trace(OTHER).of("events")}
    assert {entity: (known["key"], known["count"]) for entity, known in fed.items()} == {
        "agent": ("kim", 2),
        "queue": ("billing", 2),
        "segment": ("region=north", 1),
    }


def test_a_service_stands_for_its_features_in_the_version_that_was_read(world):
    world.apply(replace(SERVICE, only=("mood.turns",), on_demand=()))
    served = world.served(decision_id=OTHER, feature_versions={"service.risk": SERVICE.version})
    world.tell(served, of="c-1", event_id=OTHER)
    found = world.trace(OTHER)
    read = {node.id for node in found.targets(found.root, "view")}
    assert read == {f"view:mood@{MOOD.version}", f"view:habit@{HABIT.version}", "view:on_demand"}
    assert {node.id for node in found.of("feature")} == {
        f"feature:{name}@{of}" for name, of in SERVICE.versions.items()
    }


def test_the_risk_is_of_the_model_that_is_configured_for_it(world):
    world.register("ending", commit=OTHER_CODE)
    found = world.trace(DECISION, risk_model="ending")
    assert [node.label for node in found.targets(found.root, "model")] == ["intent 1 (champion)", "ending 1"]
    (made,) = world.trace("ending@1", risk_model="ending").of("decisions")
    assert (made.details["count"], made.details["queues"]) == (1, ["billing"])
    assert not world.trace("model:risk@1", risk_model="ending").of("decisions")


@pytest.mark.parametrize("ask", ["mood", "view:mood", f"mood@{MOOD.version}", "mood.sentiment", "satisfaction"])
def test_backwards_who_breaks_if_this_changes(world, ask):
    found = world.trace(ask)
    assert labels(found, "model") == ["risk 1"]
    if ask != "satisfaction":
        assert labels(found, "service") == ["feature service risk"]
        assert [node.id for node in found.targets("service:risk", "model")] == ["model:risk@1"]


def test_an_event_type_a_commit_and_a_model_lead_to_what_they_touch(world):
    by_event = world.trace("TurnReceived")
    assert {node.details["name"] for node in by_event.of("view")} == {"mood", "habit"}
    assert {node.details["name"] for node in world.trace("HandoffRequested").of("view")} == {"habit"}
    by_commit = world.trace(CODE[:8])
    assert labels(by_commit, "model") == ["intent 1 (champion)", "risk 1"]  # risk reads views of this commit
    assert labels(world.trace(OTHER_CODE), "model") == ["risk 1"]
    assert labels(world.trace("bank"), "model") == ["intent 1 (champion)"]
    assert world.trace("model:intent").root == "model:intent"


def test_a_model_version_shows_what_it_was_made_of_and_what_it_made(world):
    found = world.trace("intent@champion")
    assert found.root == "model:intent@1"
    assert [node.id for node in found.of("dataset")] == ["dataset:bank"]
    (made,) = found.of("decisions")
    assert made.details["count"] == 1
    assert made.details["queues"] == ["billing"]
    assert [node.id for node in found.targets(made.id, "queue")] == ["queue:billing"]
    assert {node.details["name"] for node in world.trace("model:risk@1").of("view")} == {"mood", "habit", "on_demand"}


def test_versions_of_a_view_are_told_apart(world, removed):
    newer = replace(MOOD, features=(*MOOD.features, Feature(name="more", aggregation=Count(), window="1 h")))
    older = replace(MOOD, features=(replace(MOOD.features[0], window="2 h"), MOOD.features[1]))
    world.apply(newer)
    world.apply(older)
    world.tell(removed(MOOD))
    found = world.trace("mood")
    assert len(found.of("view")) == 4
    assert not found.node(f"view:mood@{MOOD.version}").details["live"]
    assert labels(world.trace(f"mood@{older.version}"), "view") == ["view mood", f"view mood, version {older.version}"]
    # Both give mood.turns in the version that the decision read, the one that is live counts.
    assert f"view:mood@{newer.version}" in {node.id for node in world.trace(DECISION).of("view")}
    versions = {edge.target for edge in world.trace("mood.sentiment").edges if edge.relation == "version"}
    assert versions == {f"feature:mood.sentiment@{view.versions['sentiment']}" for view in (MOOD, older)}


def test_a_feature_that_only_an_on_demand_feature_reads_leads_to_it(world):
    found = world.trace("mood.sentiment")
    assert [node.id for node in found.targets("service:risk", "feature")] == ["feature:on_demand.fell"]
    assert not world.trace("mood.turns").targets("service:risk", "feature")


def test_what_is_not_there_is_named_with_the_next_step(world):
    with pytest.raises(NotFound, match=r"'nobody' is no decision id .* on record; views: habit, mood; data sets: bank"):
        world.trace("nobody")
    with pytest.raises(NotFound, match="is not in the log; take the decision_id"):
        world.trace("00000000-0000-0000-0000-00000000dead")
    with pytest.raises(NotFound, match="is not in the log"):
        world.trace("decision:7")
    with pytest.raises(NotFound, match="is a FeatureViewApplied; take the decision_id"):
        world.trace("00000000-0000-0000-0000-000000000001")
    for name in ("view:bank", "mood@ffff", "risk@7", "c0d", "mood.nothing"):
        with pytest.raises(NotFound):
            world.trace(name)
    world.register("other", dataset="risk")
    with pytest.raises(InvalidInput, match="'risk' is several things; say dataset:risk or model:risk"):
        world.trace("risk")


def test_it_is_json_and_a_tree(world):
    found = world.trace(DECISION)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Lineage) == found
    ids = {node.id for node in found.nodes}
    assert {end for edge in found.edges for end in (edge.source, edge.target)} <= ids
    text = drawn(found)
    assert text.startswith(f"decision {DECISION}: refund (0.90), to the human")
    assert "fed by 1 TurnReceived of conversation c-1" in text
    assert "in queue billing" in drawn(world.trace("intent@1"))
    for node in found.nodes:
        assert node.label in text
