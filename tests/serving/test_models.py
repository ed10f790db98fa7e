"""The registry over HTTP: what is there, changes by people with keys, and what was done."""

from __future__ import annotations

import pytest

from headset.events.schema import ModelRegistered


@pytest.fixture
def registry(parts, tmp_path, save_artifact, crown):
    """Version 1 is champion, version 2 is there."""
    for number in "12":
        sha256 = save_artifact(tmp_path / number, weights=number)
        made = ModelRegistered(
            model="intent", version="", artifact_sha256=sha256, run_id="", dataset="bank", data_fingerprint="f",
            commit="c", seed=7, metrics={"accuracy": 0.9}, encoder_version="hash-1",
        )  # fmt: skip
        parts.registry.register(made, tmp_path / number)
    crown(parts.registry, "1")
    return parts.registry


@pytest.fixture
def people(parts):
    """Authorization headers of people, by name."""
    scopes = {"ann": ["admin"], "bob": ["approve", "read"]}
    return {name: {"Authorization": f"Bearer {parts.keys.create(name, given)[0]}"} for name, given in scopes.items()}


@pytest.fixture
def post(anonymous, people):
    def send(path, body=None, who="ann"):
        return anonymous.post(f"/v1/models/intent/{path}", json=body, headers=people[who])

    return send


def test_versions_are_listed_and_shown_with_gates_waivers_and_card(client, registry, validate):
    validate(registry, "2", gates={"fairness": "fail"})
    second, first = client.get("/v1/models").json()["models"]
    assert (first["version"], first["aliases"]) == ("1", ["champion"])
    assert second["results"]["fairness"] == "fail"
    assert "gate fairness failed" in second["obstacles"][0]
    shown = client.get("/v1/models/intent/champion").json()
    assert (shown["version"], shown["waivers"], shown["card"]["approved_by"]["person"]) == ("1", [], "ann")
    assert client.get("/v1/models/intent/9").status_code == 404


def test_a_person_promotes_and_rolls_back(post, registry, validate):
    validate(registry, "2")
    promoted = post("promote", {"version": "2", "reason": "better on refunds"})
    assert (promoted.status_code, promoted.json()["model"]["aliases"]) == (201, ["champion"])
    assert registry.champion("intent").version == "2"
    assert post("rollback", {"reason": "wrong about parcels"}).json()["model"]["version"] == "1"
    assert [(entry.what, entry.person, entry.path) for entry in registry.audit()[-2:]] == [
        ("promote", "ann", "http"),
        ("rollback", "ann", "http"),
    ]


def test_two_people_let_a_gate_be_waived(post, registry, validate):
    validate(registry, "2", gates={"fairness": "inconclusive"})
    assert post("promote", {"version": "2", "reason": "x"}).status_code == 409
    asked = post("waivers", {"version": "2", "gate": "fairness", "reason": "few texts yet", "days": 3}).json()["waiver"]
    assert asked["state"] == "requested"
    place = f"waivers/{asked['waiver_id']}"
    assert post(f"{place}/approve").status_code == 409
    granted = post(f"{place}/approve", who="bob").json()["waiver"]
    assert (granted["state"], granted["granted_by"]) == ("granted", "bob")
    assert post("promote", {"version": "2", "reason": "x"}).status_code == 201
    assert post(f"{place}/withdraw", {"reason": "measured by now"}, "bob").json()["waiver"]["state"] == "withdrawn"


def test_the_audit_tells_what_was_done_and_what_was_refused(post, client, registry):
    assert post("promote", {"version": "2", "reason": "x"}).status_code == 409
    assert post("promote", {"version": "2", "reason": "x"}, "bob").status_code == 403
    told = client.get("/v1/audit", params={"model": "intent"}).json()["audit"]
    assert [(entry["what"], entry["outcome"], entry["person"]) for entry in told] == [
        ("validate", "done", "validate"),
        ("promote", "done", "ann"),
        ("promote", "refused", "ann"),
        ("promote", "refused", "bob"),
    ]
    assert client.get("/v1/audit", params={"model": "risk"}).json() == {"audit": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"version": "2"}, "reason"),
        ({"version": "2", "reason": ""}, "reason"),
        ({"version": "2", "reason": "x", "alias": "king"}, "alias"),
    ],
)
def test_a_change_without_its_reason_or_of_no_alias_is_refused(post, registry, body, field):
    answer = post("promote", body)
    assert (answer.status_code, field in answer.text) == (422, True)


def test_nobody_without_a_key_changes_a_model(anonymous, registry):
    answer = anonymous.post("/v1/models/intent/promote", json={"version": "2", "reason": "x"})
    assert answer.status_code == 401
