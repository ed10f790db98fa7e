"""A queue may have a model of its own; where that cannot answer, the usual one does."""

from __future__ import annotations

import pytest
from msgspec import structs

from headset import process
from headset.core.errors import ArtifactError
from headset.events.schema import DecisionServed

from .conftest import ScriptedPredictor, says


@pytest.fixture
def finer():
    return ScriptedPredictor(answer=lambda _: says("bill_dispute", version="7"), model_version="7")


@pytest.fixture
def config(config):
    return structs.replace(config, decision=structs.replace(config.decision, queue_models={"email": "fine"}))


@pytest.fixture
def parts(parts, predictor, finer, monkeypatch):
    predictors = {"intent": predictor, "fine": finer}
    monkeypatch.setattr(
        process,
        "predictor",
        lambda parts, model, serving: None if serving else predictors.get(model),
    )
    parts.predictors = predictors
    return parts


def test_a_queue_is_decided_by_its_own_model(say, parts):
    other, own = say(conversation="c-1").json(), say(conversation="c-2", queue="email").json()
    assert (other["intent"], other["model_version"]) == ("refund", "1")
    assert (own["intent"], own["model_version"]) == ("bill_dispute", "7")
    records = parts.log.read(limit=1_000)
    served = [each.event.payload for each in records if isinstance(each.event.payload, DecisionServed)]
    assert [(each.model, each.model_version) for each in served] == [("intent", "1"), ("fine", "7")]


def test_a_later_turn_stays_with_the_model_of_its_queue(say):
    say(conversation="c-2", queue="email")
    assert say(conversation="c-2").json()["model_version"] == "7"


def test_a_queue_whose_model_has_no_champion_is_decided_by_the_usual_one(parts, request):
    del parts.predictors["fine"]
    answer = request.getfixturevalue("say")(queue="email").json()
    assert (answer["intent"], answer["model_version"], answer["degraded"]) == ("refund", "1", False)


def test_a_model_that_cannot_be_used_is_replaced_told_once_and_taken_up_when_it_can(
    parts, request, monkeypatch, caplog
):
    def refuse(parts, model, serving):
        if model == "fine":
            raise ArtifactError("the encoder 'minilm' is not there")
        return None if serving else parts.predictors[model]

    usable = process.predictor
    monkeypatch.setattr(process, "predictor", refuse)
    say, client = request.getfixturevalue("say"), request.getfixturevalue("client")
    service = client.app.state.service
    assert say(queue="email").json()["model_version"] == "1"
    service.models.refresh()
    (queue, reason), *others = client.get("/readyz").json()["replaced"].items()
    assert (queue, others) == ("email", [])
    assert "the encoder 'minilm' is not there" in reason
    assert caplog.text.count("cannot be used") == 1
    monkeypatch.setattr(process, "predictor", usable)
    service.models.refresh()
    assert client.get("/readyz").json()["replaced"] == {}
    assert say(conversation="c-9", queue="email").json()["model_version"] == "7"


def test_inference_answers_for_each_model(client):
    asked = {"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["where is it"]}]}
    for name, version in (("intent", "1"), ("fine", "7")):
        assert client.post(f"/v2/models/{name}/infer", json=asked).json()["model_version"] == version
    refused = client.get("/v2/models/other")
    assert refused.status_code == 404
    assert "fine" in refused.json()["detail"]
