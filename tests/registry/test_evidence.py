"""The champion moves when all evidence is on record, goes back at once, and its card stays as it was."""

from __future__ import annotations

from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from headset.core.clock import ManualClock
from headset.core.errors import Conflict, InvalidInput, NotFound
from headset.core.ids import Ids, stable_id
from headset.events.memory import MemoryLog
from headset.events.schema import Actor, GateEvaluated, ModelRegistered, Promoted, ValidationEnded
from headset.page.document import render
from headset.registry.card import card_page, card_sha256, encode_card
from headset.registry.comparison import compare
from headset.registry.evidence import FLOOR, INTENT_GATES, Moment, Policy, elapsed
from headset.registry.ledger import Ledger
from headset.registry.seal import Seal
from headset.registry.store import Registry

DAY_S = 86_400
ANN, BOB = Actor("ann", "cli", "k1", 1), Actor("bob", "http", "k2", 1)


MADE = ModelRegistered(
    model="intent",
    version="",
    artifact_sha256="",
    run_id="",
    dataset="bank",
    data_fingerprint="f",
    commit="c",
    seed=7,
    metrics={},
    encoder_version="e",
)


def seal():
    return Seal(lambda *parts: stable_id(*parts).hex)


@pytest.fixture
def clock():
    return ManualClock(1_700_000_000_000_000)


@pytest.fixture
def log(clock):
    return MemoryLog(clock)


@pytest.fixture
def registry(log, clock, tmp_path, save_artifact):
    """Three versions of the intent model."""
    made = Registry(log, tmp_path / "models", clock, Ids(clock, Random(7)), seal())
    for number in "123":
        sha256 = save_artifact(tmp_path / number, weights=number)
        metrics = {"accuracy": 0.9 + int(number) / 100, "automatic_ratio": 0.8}
        made.register(replace(MADE, artifact_sha256=sha256, metrics=metrics), tmp_path / number)
        clock.advance(60)
    return made


def champion(registry):
    known = registry.champion("intent")
    return known and known.version


def test_a_version_that_holds_every_gate_becomes_champion(registry, validate):
    validate(registry, "1")
    assert registry.get("intent", "1").obstacles == []
    known = registry.promote("intent", "1", by=ANN, reason="it is good")
    assert (known.aliases, champion(registry)) == (["champion"], "1")
    entry = registry.audit()[-1]
    assert (entry.what, entry.outcome, entry.person, entry.reason) == ("promote", "done", "ann", "it is good")
    assert "passed suite, champion, out_of_scope" in entry.why


def test_a_first_champion_needs_its_baseline_only(registry, validate):
    only = dict.fromkeys(INTENT_GATES)
    validate(registry, "1", gates=only | {"baseline": "fail"})
    with pytest.raises(Conflict, match="gate baseline failed"):
        registry.promote("intent", "1", by=ANN, reason="x")
    validate(registry, "1", gates=only | {"baseline": "pass"})
    assert registry.promote("intent", "1", by=ANN, reason="x").aliases == ["champion"]


def test_a_first_champion_without_a_baseline_needs_the_comparison_too(registry, validate):
    validate(registry, "1", gates={"champion": "fail"})
    with pytest.raises(Conflict, match="gate champion failed"):
        registry.promote("intent", "1", by=ANN, reason="x")


def test_the_next_step_names_a_model_that_is_not_the_usual_one(registry, validate, save_artifact, tmp_path):
    sha256 = save_artifact(tmp_path / "fine", weights="fine")
    registry.register(replace(MADE, model="fine", artifact_sha256=sha256), tmp_path / "fine")
    with pytest.raises(Conflict, match="'headset validate 1 --model fine'"):
        registry.promote("fine", "1", by=ANN, reason="x")
    with pytest.raises(Conflict, match="'headset validate 1 --model fine'"):
        registry.waivers.request("fine", "1", "suite", days=1, by=ANN, reason="x")
    validate(registry, "1", "fine", gates={"suite": "fail"})
    with pytest.raises(Conflict, match="'headset models waive 1 --model fine --gate suite'"):
        registry.promote("fine", "1", by=ANN, reason="x")


def test_the_next_step_of_a_model_of_features_is_its_training(registry, save_artifact, tmp_path):
    sha256 = save_artifact(tmp_path / "risk", weights="risk")
    made = replace(MADE, model="risk", artifact_sha256=sha256, features={"session.turns": "1"})
    registry.register(made, tmp_path / "risk")
    with pytest.raises(Conflict, match=r"train a new version with 'headset train risk'$"):
        registry.promote("risk", "1", by=ANN, reason="x")


def test_only_a_validation_under_the_limits_of_the_installation_counts(registry, validate, log, clock, tmp_path):
    policy = Policy(limits={"margin": 0.02})
    held = Registry(log, tmp_path / "models", clock, Ids(clock, Random(8)), seal(), policy)
    validate(held, "1")
    with pytest.raises(Conflict, match=r"other limits .*: margin as shipped \(here 0\.02\); run"):
        held.promote("intent", "1", by=ANN, reason="x")
    validate(held, "1", limits={"margin": 0.02})
    with pytest.raises(Conflict, match=r"margin 0\.02 \(here as shipped\)"):
        registry.promote("intent", "1", by=ANN, reason="x")
    held.promote("intent", "1", by=ANN, reason="x")
    assert champion(registry) == "1"  # the promotion says what it was held to, so settings of today do not undo it
    assert log.read(types=["Promoted"])[-1].event.payload.limits == {"margin": 0.02}


def test_no_limit_bears_on_the_baseline_of_a_first_champion(log, validate, clock, tmp_path, registry):
    policy = Policy(limits={"margin": 0.02})
    held = Registry(log, tmp_path / "models", clock, Ids(clock, Random(8)), seal(), policy)
    validate(held, "1", gates=dict.fromkeys(INTENT_GATES) | {"baseline": "pass"})
    assert held.promote("intent", "1", by=ANN, reason="x").aliases == ["champion"]


def test_candidate_and_shadow_move_freely_and_are_audited(registry):
    registry.promote("intent", "2", "shadow", by=ANN, reason="to look at it")
    registry.promote("intent", "3", "candidate", by=ANN, reason="next")
    assert [registry.get("intent", version).aliases for version in "123"] == [[], ["shadow"], ["candidate"]]
    assert [entry.detail for entry in registry.audit()] == ["shadow", "candidate"]


def test_a_waiver_of_two_people_stands_for_one_gate(registry, validate, clock, crown):
    crown(registry, "1")
    validate(registry, "2", gates={"fairness": "inconclusive"})
    asked = registry.waivers.request("intent", "2", "fairness", days=7, by=ANN, reason="few texts")
    assert asked.state == "requested"
    clock.advance(3_600)
    granted = registry.waivers.approve("intent", asked.waiver_id, by=BOB)
    assert (granted.state, granted.asked_by, granted.granted_by) == ("granted", "ann", "bob")
    registry.promote("intent", "2", by=ANN, reason="x")
    assert champion(registry) == "2"
    (waiver,) = registry.card("intent", "2").waivers
    assert (waiver.gate, waiver.asked_by, waiver.granted_by) == ("fairness", "ann", "bob")
    assert "waived: fairness" in registry.card("intent", "2").evidence


def test_a_waiver_that_waives_nothing_is_refused(registry, validate, crown):
    crown(registry, "1")
    validate(registry, "2")
    with pytest.raises(Conflict, match="passed; there is nothing to waive"):
        registry.waivers.request("intent", "2", "fairness", days=7, by=ANN, reason="x")
    with pytest.raises(InvalidInput, match="required are suite"):
        registry.waivers.request("intent", "2", "beauty", days=7, by=ANN, reason="x")
    with pytest.raises(Conflict, match="newest validation"):
        registry.waivers.request("intent", "3", "fairness", days=7, by=ANN, reason="x")


def test_a_rollback_needs_no_evidence_and_goes_further_back_each_time(registry, crown, clock):
    for version in "123":
        crown(registry, version)
    clock.advance(300 * DAY_S)
    assert registry.rollback("intent", by=BOB, reason="wrong about parcels").version == "2"
    assert registry.rollback("intent", by=BOB, reason="still wrong").version == "1"
    with pytest.raises(NotFound, match="no earlier champion"):
        registry.rollback("intent", by=BOB, reason="still wrong")
    assert [entry.what for entry in registry.audit() if entry.outcome == "done"][-2:] == ["rollback", "rollback"]


def test_what_was_rolled_back_returns_with_a_new_validation(registry, crown):
    for version in "12":
        crown(registry, version)
    registry.rollback("intent", by=BOB, reason="wrong about parcels")
    crown(registry, "2")
    crown(registry, "3")
    assert registry.rollback("intent", "2", by=BOB, reason="3 is slow").aliases == ["champion"]


def test_a_change_is_one_of_two_that_were_asked_for_at_once(registry, validate, crown, log):
    """Both were judged before either was told: the fold lets the first pass."""
    crown(registry, "1")
    validate(registry, "2")
    validate(registry, "3")
    asked = [registry._crowning(
        Promoted(model="intent", version=version, alias="champion", evidence="", by=ANN, reason="x",
                 artifact_sha256=registry.get("intent", version).made.artifact_sha256),
        registry.get("intent", version)) for version in "23"]  # fmt: skip
    registry.journal.tell(asked, source="registry")
    assert champion(registry) == "2"
    assert "it was to replace 1, but 2 is champion now" in registry.audit()[-1].why


def test_a_promotion_rests_on_the_newest_validation(registry, validate):
    """One was told between the card and the promotion: the card would describe another."""
    first = validate(registry, "1")
    asked = registry._crowning(
        Promoted(model="intent", version="1", alias="champion", evidence="", by=ANN, reason="x",
                 artifact_sha256=registry.get("intent", "1").made.artifact_sha256),
        registry.get("intent", "1"))  # fmt: skip
    newest = validate(registry, "1")
    with pytest.raises(Conflict, match=f"rests on validation {first}, the newest is {newest}"):
        registry.journal.judge(asked)
    assert champion(registry) is None


def test_a_card_is_frozen_with_the_promotion(registry, crown, log):
    crown(registry, "1")
    card = registry.card("intent", "1")
    crown(registry, "2")
    assert registry.card("intent", "1") == card
    promoted = log.read(types=["Promoted"])[0].event.payload
    assert (promoted.card, card.approved_by.person, card.reason) == (encode_card(card), "ann", "a test")
    assert [gate.gate for gate in card.gates] == list(INTENT_GATES)
    assert "right about 91.0% of texts" in card.limits[0]


def test_a_card_is_shown_as_a_page(registry, validate, crown):
    crown(registry, "1")
    shown = render(card_page(registry.card("intent", "1")))
    assert "Model card: intent version 1" in shown
    assert "fairness in a sentence" in shown
    assert card_sha256(registry.card("intent", "1")) in shown
    draft = render(card_page(registry.card("intent", "2")))
    assert "A draft" in draft


def test_versions_are_compared_figure_by_figure(registry, validate):
    validate(registry, "2", gates={"fairness": "fail"})
    compared = compare(registry.card_now("intent", "1"), registry.card_now("intent", "2"))
    accuracy = compared.metrics[0]
    assert (accuracy.name, round(accuracy.difference, 6)) == ("accuracy", 0.01)
    assert {gate.gate: (gate.first, gate.second) for gate in compared.gates}["fairness"] == (None, "fail")


def test_evidence_that_is_no_number_or_of_something_else_is_refused(registry, log, validate):
    known = registry.get("intent", "1").made.artifact_sha256
    gate = GateEvaluated(
        model="intent", version="1", gate="suite", result="pass", validation_id="v", artifact_sha256=known
    )
    ended = ValidationEnded(
        model="intent", version="1", validation_id="v", artifact_sha256=known, champion="", results={"suite": "pass"}
    )
    head = log.head()
    with pytest.raises(InvalidInput, match=r"evidence\.p: is nan"):
        registry.tell_validation([replace(gate, evidence={"p": float("nan")})], ended)
    with pytest.raises(InvalidInput, match="another validation"):
        registry.tell_validation([replace(gate, version="2")], ended)
    with pytest.raises(NotFound):
        registry.tell_validation([], replace(ended, version="9"))
    assert log.head() == head


def test_a_seal_survives_the_way_through_the_log(registry, log, validate):
    """Whole numbers given for evidence are floats when read back."""
    validate(registry, "1")
    for record in log.read(types=["GateEvaluated", "ValidationEnded"]):
        again = msgspec.json.decode(msgspec.json.encode(record.event), type=type(record.event))
        assert seal().holds(again)
        assert not seal().holds(replace(again, event_time=again.event_time + 1))
        assert not seal().holds(replace(again, payload=replace(again.payload, model="risk")))


def test_the_fold_gives_the_same_in_any_batches(registry, crown, log):
    for version in "123":
        crown(registry, version)
    registry.rollback("intent", by=BOB, reason="x")
    once = Ledger(seal())
    for record in log.read():
        once.apply(record)
    assert (once.aliases, once.audit) == ({("intent", "champion"): "2"}, registry.audit())


@given(
    required=st.lists(st.sampled_from(INTENT_GATES), unique=True),
    model=st.sampled_from(["intent", "other"]),
    service=st.sampled_from(["", "risk"]),
)
def test_no_setting_takes_the_floor_away(required, model, service):
    made = replace(MADE, model=model, feature_service=service)
    asked = set(Policy(required=tuple(required)).required_of(made))
    assert asked == set(FLOOR) | (set(required) if model == "intent" or not service else set())


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_setting_the_clock_back_makes_nothing_younger(since, passed, back):
    told = Moment(since, since)
    seen = since + passed
    assert elapsed(told, Moment(seen - back, seen)) >= passed
