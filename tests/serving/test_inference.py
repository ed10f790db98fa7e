"""Any client of the Open Inference Protocol can ask the champion."""

from __future__ import annotations

from .test_refusal import refused

TEXTS = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["where is it", "hello"]}


def test_texts_are_classified_without_a_trace_in_the_log(client, parts):
    before = parts.log.head()
    answer = client.post("/v2/models/intent/infer", json={"id": "7", "inputs": [TEXTS]}).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("intent", "1", "7")
    assert answer["outputs"][0]["data"] == ["refund", "refund"]
    assert parts.log.head() == before


def test_a_wrong_tensor_is_refused_by_name(client):
    infer = "/v2/models/intent/infer"
    refused(client.post(infer, json={"inputs": [TEXTS | {"datatype": "FP32"}]}), 422, "inputs[0].datatype")
    refused(client.post(infer, json={"inputs": [TEXTS | {"shape": [3]}]}), 422, "inputs[0].shape")
    refused(client.post(infer, json={"inputs": [TEXTS | {"data": ["", "x"]}]}), 422, "inputs[0].data[0]")
    refused(client.post("/v2/models/other/infer", json={"inputs": [TEXTS]}), 404, "name")


def test_the_model_describes_itself(client):
    told = client.get("/v2/models/intent").json()
    assert told["inputs"][0]["datatype"] == "BYTES"
    assert client.get("/v2/health/ready").json() == {"ready": True}
