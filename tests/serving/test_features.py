"""Decisions read their features, say which, and an audit computes them again from the log."""

from __future__ import annotations

import random

import numpy as np
import pytest
from msgspec import structs

from headset.core.clock import iso
from headset.core.errors import StorageFailed
from headset.events.schema import DecisionServed, FeaturesVerified, HandoffRequested, ModelRegistered, SubjectErased
from headset.features.aggregation import Count
from headset.features.definition import Feature
from headset.features.memory import MemoryStore
from headset.features.plan import Definitions, Usage, plan
from headset.registry.risk import Input, RiskScorer

from .conftest import HashEncoder, says


class Mood:
    """A stand-in: texts in capitals are angry."""

    version = "capitals-1"

    def score(self, text):
        return round(1 - 2 * sum(map(str.isupper, text)) / max(1, len(text)), 6)


@pytest.fixture
def register_risk(crown):
    def take_in(parts, *, slope=-4.0, threshold=0.9):
        """A risk model that looks at the sentiment of the turn, as champion."""
        service = parts.catalogue.service("risk")
        inputs = tuple(
            Input(name, version, service.kinds[name], 8 if service.kinds[name] == "vector" else 0)
            for name, version in service.versions.items()
        )
        numbers = [each.name for each in inputs if each.kind in {"number", "flag"}]
        table = np.zeros((len(numbers), 4))
        table[:, 0], table[:, 1] = -1e9, 1e9
        table[numbers.index("on_demand.sentiment"), 2] = slope
        vectors = np.zeros(sum(each.size for each in inputs))
        scorer = RiskScorer(inputs, table, {}, vectors, 0.0, threshold, service.name, service.version)
        folder = parts.config.home / "risk"
        made = ModelRegistered(
            model="risk",
            version="",
            artifact_sha256=scorer.save(folder),
            run_id="",
            dataset="made up",
            data_fingerprint="",
            commit="",
            seed=0,
            metrics={},
            encoder_version="hash-1",
            feature_service=service.name,
            features=service.versions,
        )
        version = parts.registry.register(made, folder).version
        crown(parts.registry, version, "risk")

    return take_in


@pytest.fixture
def parts(parts, monkeypatch):
    monkeypatch.setattr(type(parts), "sentiment", Mood())
    return parts


@pytest.fixture
def predictor(predictor):
    """It computes signals as the real one does."""
    encode, score = HashEncoder().encode, Mood().score

    def answer(text):
        values = {"embedding": encode([text])[0], "sentiment": score(text)}
        versions = {"embedding": "hash-1", "sentiment": Mood.version}
        return structs.replace(says(sentiment=values["sentiment"]), feature_versions=versions, feature_values=values)

    predictor.answer = answer
    return predictor


@pytest.fixture
def caught_up(parts, client):
    """Do the upkeep now."""
    parts.apply_shipped_features()

    def work():
        for _, each in client.app.state.service.upkeep:
            each()

    work()
    return work


@pytest.fixture
def at_risk(parts, caught_up, register_risk):
    register_risk(parts)
    caught_up()
    return parts


def decisions(parts):
    return [
        record.event.payload
        for record in parts.log.read(limit=100_000)
        if isinstance(record.event.payload, DecisionServed)
    ]


def test_a_decision_names_its_feature_service_and_the_place_in_the_log_it_saw(say, at_risk, caught_up):
    say("one")
    caught_up()
    head = at_risk.log.head()
    answer = say("two").json()
    served = decisions(at_risk)[-1]
    assert served.feature_versions["service.risk"] == at_risk.catalogue.service("risk").version
    assert served.feature_position == head
    assert answer["risk"] == served.risk == pytest.approx(1 / (1 + np.exp(4)))
    assert served.risk_version == "1"


def test_a_high_risk_raises_the_handoff(say, parts, caught_up, register_risk):
    register_risk(parts, slope=0.0, threshold=0.4)
    caught_up()
    answer = say("where is it").json()
    assert (answer["route"], answer["reason"], answer["risk"]) == ("human", "at_risk", 0.5)
    (handoff,) = [
        one.event.payload for one in parts.log.read(limit=100) if isinstance(one.event.payload, HandoffRequested)
    ]
    assert handoff.reason == "at_risk"


def test_a_newer_champion_of_the_risk_model_takes_over(say, at_risk, caught_up, register_risk):
    register_risk(at_risk, slope=0.0, threshold=0.4)
    caught_up()
    assert say("where is it").json()["reason"] == "at_risk"
    assert decisions(at_risk)[-1].risk_version == "2"


def change_view(parts, name, **change):
    """Apply all live definitions with one view changed."""
    newest = {view.name: view for view in reversed(parts.catalogue.views())}
    newest[name] = structs.replace(newest[name], **change)
    services = tuple(
        structs.replace(service, views=tuple(newest[view.name] for view in service.views))
        for service in parts.catalogue.services()
    )
    wanted = Definitions(views=tuple(newest.values()), services=services)
    users = [
        Usage(
            model=known.model,
            version=known.version,
            aliases=tuple(known.aliases),
            service=known.made.feature_service,
            features=known.made.features,
        )
        for known in parts.registry.versions()
    ]
    parts.catalogue.apply(plan(parts.catalogue, wanted, users), commit="test")
    return newest[name]


def test_a_model_in_use_goes_on_while_a_view_it_reads_gains_a_feature(say, at_risk, caught_up):
    say("one")
    before = at_risk.catalogue.view("turns")
    more = Feature(name="all", aggregation=Count(), window="conversation")
    after = change_view(at_risk, "turns", features=(*before.features, more))
    assert after.version != before.version
    caught_up()
    assert say("two").json()["degraded"] is False
    for _ in range(3):
        caught_up()
    assert say("three").json()["degraded"] is False
    assert [view.version for view in at_risk.catalogue.views("turns")] == [after.version]
    found = at_risk.audit().catch_up()
    assert (found.checked, found.mismatched, found.passed_over) == (3, 0, {})


def test_an_audit_moves_on_where_nothing_stored_is_read(say, parts, caught_up):
    for number in range(5):
        say("one", conversation=f"c-{number}")
    audit = parts.audit(snapshot="audit")
    audit.catch_up(hold_us=10**12)
    assert audit._follower.position == 0
    found = audit.catch_up()
    assert found.checked == 5
    assert audit._follower.position == parts.log.head()
    audit.save()
    again = parts.audit(snapshot="audit")
    assert again._follower.position == parts.log.head()
    assert again.catch_up().checked == 0


def talk(parts, say, client, caught_up, seed):
    """Some conversations of some customers at once, with late and repeated turns, agents and outcomes."""
    draw = random.Random(seed)
    words = ["where", "IS", "my", "REFUND", "please", "HELP", "me", "now", "thanks"]
    names = [f"c-{number}" for number in range(6)]
    for number in range(60):
        name = draw.choice(names)
        text = " ".join(draw.choices(words, k=draw.randint(1, 8)))
        fields = {"customer_id": f"customer-{names.index(name) % 2}", "attributes": {"region": "north"}}
        if draw.random() < 0.2:
            fields["event_time"] = iso(parts.clock.now() - draw.randrange(80_000_000_000))
        if draw.random() < 0.2:
            fields |= {"speaker": "agent", "speaker_id": "kim"}
        answer = say(text, conversation=name, turn_id=str(number), **fields)
        if draw.random() < 0.1:
            say(text, conversation=name, turn_id=str(number), **fields)
        if answer.status_code == 201 and answer.json().get("handoff"):
            client.post(f"/v1/conversations/{name}/handoff/accept", json={"agent_id": "kim"})
        if draw.random() < 0.15:
            client.post(f"/v1/conversations/{name}/outcome", json={"csat": draw.randint(1, 5)})
        if draw.random() < 0.7:
            caught_up()
        assert answer.status_code == 201, answer.text


def test_an_audit_computes_every_decision_again_and_finds_it_the_same(say, client, at_risk, caught_up, seed):
    talk(at_risk, say, client, caught_up, seed)
    served = decisions(at_risk)
    positions = {each.feature_position for each in served}
    assert len(served) > 30
    assert len(positions) > 20
    found = at_risk.audit().catch_up()
    assert (found.checked, found.mismatched, found.passed_over) == (len(served), 0, {})


def test_an_audit_finds_what_was_served_otherwise(say, client, at_risk, caught_up, seed, monkeypatch):
    true_read = MemoryStore.read

    def read_wrong(self, service, requests):
        rows = true_read(self, service, requests)
        return [structs.replace(row, values=row.values | {"turns.total": 99.0}) for row in rows]

    monkeypatch.setattr(MemoryStore, "read", read_wrong)
    say("one")
    monkeypatch.setattr(MemoryStore, "read", true_read)
    say("two")
    found = at_risk.audit().catch_up()
    assert (found.checked, found.mismatched) == (2, 1)
    (wrong,) = found.mismatches
    assert wrong.decision_id == decisions(at_risk)[0].decision_id
    assert wrong.values["turns.total"] == 0


def test_an_audit_passes_over_what_was_erased_and_goes_on(say, at_risk, caught_up):
    say("one", conversation="c-1", customer_id="ana")
    caught_up()
    say("two", conversation="c-1")
    say("three", conversation="c-2", customer_id="bob")
    at_risk.vault.destroy("customer:ana")
    event = at_risk.log.conversation("c-1")[0].event
    erased = SubjectErased(requested_by="ana", reason="asked")
    at_risk.log.append([structs.replace(event, event_id=at_risk.ids.new(), payload=erased, conversation_id=None)])
    caught_up()
    found = at_risk.audit().catch_up()
    assert (found.checked, found.mismatched, found.passed_over) == (1, 0, {"text erased": 2})


def test_what_audits_find_is_a_metric(say, client, parts, caught_up):
    parts.tell_verified(FeaturesVerified(position=1, checked=10, mismatched=2))
    caught_up()
    text = client.get("/metrics").text
    assert "headset_features_verified_total 10.0" in text
    assert "headset_feature_mismatches_total 2.0" in text
    assert "headset_feature_lag_events" in text


def test_decisions_go_on_with_defaults_while_the_store_is_away(say, at_risk, caught_up, monkeypatch):
    say("one")
    caught_up()
    true_read = MemoryStore.read

    def away(self, service, requests):
        defaults = [structs.replace(request, keys={}) for request in requests]
        return [structs.replace(row, problem="redis is away") for row in true_read(self, service, defaults)]

    monkeypatch.setattr(MemoryStore, "read", away)
    answer = say("two").json()
    assert (answer["degraded"], answer["route"], answer["error"]) == (True, "bot", "features: redis is away")
    monkeypatch.setattr(MemoryStore, "read", true_read)
    assert say("three").json()["degraded"] is False
    found = at_risk.audit().catch_up()
    assert (found.checked, found.mismatched, found.passed_over) == (2, 0, {"decided on defaults": 1})


def test_a_risk_model_that_fails_costs_its_risk_and_nothing_else(say, at_risk, monkeypatch):
    def fail(self, rows):
        raise StorageFailed("broken")

    monkeypatch.setattr(RiskScorer, "score", fail)
    answer = say("two").json()
    assert (answer["risk"], answer["degraded"], answer["route"]) == (None, True, "bot")
    assert "the risk model failed" in answer["error"]


class TestOverHttp:
    def test_all_views_and_services_are_listed(self, client, caught_up):
        told = client.get("/v1/features").json()
        assert {"session", "sentiment", "visits"} <= {view["name"] for view in told["views"]}
        assert [service["name"] for service in told["services"]] == ["risk"]

    def test_a_view_is_shown_with_its_definition(self, client, caught_up):
        told = client.get("/v1/features/sentiment").json()
        assert told["entity"] == "conversation"
        assert told["definition"]["event"] == "TurnReceived"

    def test_the_values_of_an_entity_are_told(self, say, client, caught_up):
        say("one")
        say("two")
        caught_up()
        told = client.get("/v1/features/conversation/c-1").json()
        assert told["values"]["turns.total"] == 2
        assert "turns" not in told["unknown"]
        assert told["values"]["history.embedding"] == {"numbers": 8}
        whole = client.get("/v1/features/conversation/c-1?vectors=true").json()
        assert len(whole["values"]["history.embedding"]) == 8
        assert set(told["versions"]) == set(told["values"])

    def test_an_unknown_entity_has_defaults_that_are_flagged(self, client, caught_up):
        told = client.get("/v1/features/customer/nobody").json()
        assert told["values"]["visits.count_7d"] == 0
        assert "visits" in told["unknown"]

    @pytest.mark.parametrize(
        ("path", "word"),
        [("/planet/mars", "none of"), ("/nothing", "not live"), ("/customer", "not live"), ("/a%20b/c", "characters")],
    )
    def test_what_is_not_there_is_refused_by_name(self, client, caught_up, path, word):
        answer = client.get(f"/v1/features{path}")
        assert answer.status_code in {404, 422}
        assert word in answer.text

    def test_a_key_is_needed(self, anonymous):
        assert anonymous.get("/v1/features").status_code == 401
        assert anonymous.get("/v1/lineage/x").status_code == 401

    def test_the_lineage_of_a_decision_leads_to_model_features_and_events(self, say, client, at_risk, caught_up):
        say("one")
        caught_up()
        decision = say("two").json()
        told = client.get(f"/v1/lineage/{decision['decision_id']}").json()
        kinds = {node["kind"] for node in told["nodes"]}
        assert {"decision", "turn", "model", "view", "feature", "events", "dataset", "signal"} <= kinds
        assert client.get("/v1/lineage/sentiment").json()["root"]
        assert client.get("/v1/lineage/nothing").status_code == 404


def test_what_a_decision_changed_is_read_ahead_of_the_next_turn(say, at_risk, caught_up, predictor, monkeypatch):
    say("one", conversation="c-1")
    say("one", conversation="c-2")
    asked = []
    true_read = MemoryStore.read

    def read(self, service, requests):
        asked.append([request.keys["conversation"] for request in requests])
        return true_read(self, service, requests)

    monkeypatch.setattr(MemoryStore, "read", read)
    predictor.risk.read_ahead(at_risk.clock.now())
    predictor.risk.read_ahead(at_risk.clock.now())
    assert asked == [["c-1", "c-2"]]
