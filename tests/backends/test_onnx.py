"""ONNX classifiers: from embeddings and from texts, what they give, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from contracts.text_model import TextModelContract
from onnx import TensorProto, helper

from headset.backends.onnx import OnnxDraft, OnnxModel
from headset.core.errors import ArtifactError, InvalidInput, ModelFailed
from headset.registry.output import Output

LABELS = ("battery", "parcel", "refund")
DIM = 4


def model_of(nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializer=list(constants))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def linear(*, softmax, dim=DIM, rows="rows"):
    """A matrix of made-up weights, and perhaps a softmax after it."""
    weights = np.random.default_rng(7).normal(size=(dim, 3)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["embedding", "w"], ["margins"])]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["margins"], ["answer"], axis=1))
    answer = "answer" if softmax else "margins"
    return model_of(
        nodes,
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [rows, dim])],
        [helper.make_tensor_value_info(answer, TensorProto.FLOAT, [rows, 3])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )


def from_text():
    """The label of a known text, or the first."""
    node = helper.make_node(
        "LabelEncoder", ["text"], ["label"], domain="ai.onnx.ml", keys_strings=["my parcel", "where is my card"],
        values_int64s=[1, 2], default_int64=0,
    )  # fmt: skip
    return model_of(
        [node],
        [helper.make_tensor_value_info("text", TensorProto.STRING, ["rows"])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"])],
    )


def kept(model, folder, output, labels=LABELS):
    folder.mkdir()
    OnnxDraft(model.SerializeToString(), folder, "m.onnx").write(labels, 0.8, output)
    return OnnxModel(folder)


class Contract(TextModelContract):
    @pytest.fixture
    def dim(self):
        return DIM


class TestProbabilities(Contract):
    @pytest.fixture
    def model(self, tmp_path):
        return kept(linear(softmax=True), tmp_path / "m", Output("probabilities", 1.5))


class TestMargins(Contract):
    @pytest.fixture
    def model(self, tmp_path):
        return kept(linear(softmax=False), tmp_path / "m", Output("margins"))


class TestLabelsFromText(Contract):
    @pytest.fixture
    def model(self, tmp_path):
        output = Output("label", precision=(0.5, 0.9, 0.8))
        return kept(from_text(), tmp_path / "m", output)


def test_probabilities_are_those_of_the_graph(tmp_path):
    embeddings = np.random.default_rng(8).normal(size=(5, DIM)).astype(np.float32)
    weights = np.random.default_rng(7).normal(size=(DIM, 3)).astype(np.float32)
    expected = np.exp(embeddings @ weights)
    expected /= expected.sum(axis=1, keepdims=True)
    for softmax, gives in ((True, "probabilities"), (False, "margins")):
        model = kept(linear(softmax=softmax), tmp_path / gives, Output(gives))
        assert model.score(["x"] * 5, embeddings).probabilities == pytest.approx(expected, abs=1e-6)


def test_embeddings_of_another_encoder_are_refused(tmp_path):
    model = kept(linear(softmax=True), tmp_path / "m", Output("probabilities"))
    with pytest.raises(ModelFailed, match="have 7 numbers, the graph takes 4"):
        model.score(["a"], np.zeros((1, 7), np.float32))


def test_numbers_that_are_no_probabilities_are_refused(tmp_path):
    model = kept(linear(softmax=False), tmp_path / "m", Output("probabilities"))
    with pytest.raises(ModelFailed, match="probabilities"):
        model.score(["a"], np.ones((1, DIM), np.float32))


def test_labels_that_are_fewer_than_columns_are_refused(tmp_path):
    model = kept(linear(softmax=True), tmp_path / "m", Output("probabilities"), LABELS[:2])
    with pytest.raises(ModelFailed, match=r"array \(1, 3\) for 1 texts and 2 labels"):
        model.score(["a"], np.ones((1, DIM), np.float32))


def test_a_row_without_text_is_refused(tmp_path):
    model = kept(from_text(), tmp_path / "m", Output("label", precision=(0.5, 0.5, 0.5)))
    with pytest.raises(ModelFailed, match="a row has no text"):
        model.score([None], np.ones((1, DIM), np.float32))


def test_a_graph_that_takes_something_else_than_its_signature_is_refused_with_both(tmp_path):
    kept(linear(softmax=True), tmp_path / "m", Output("probabilities"))
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_bytes())
    manifest["signature"] = manifest["signature"].replace("-1, 4", "-1, 5")
    (tmp_path / "m" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=r"float32\[-1, 4\].* on record is .*float32\[-1, 5\]"):
        OnnxModel(tmp_path / "m")


def test_a_changed_graph_is_refused(tmp_path):
    kept(linear(softmax=True), tmp_path / "m", Output("probabilities"))
    (tmp_path / "m" / "model.onnx").write_bytes(linear(softmax=False).SerializeToString())
    with pytest.raises(ArtifactError, match="changed after it was saved"):
        OnnxModel(tmp_path / "m")


def two_inputs():
    model = linear(softmax=True)
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.FLOAT, ["rows", 2]))
    return model


def outside():
    model = linear(softmax=True)
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../keys/master.key")
    return model


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (b"not a graph", "is no ONNX file"),
        (two_inputs(), "it may take one tensor"),
        (linear(softmax=True, rows=1), "with any number of rows"),
        (outside(), "keeps its numbers in other files"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path, model, problem):
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(InvalidInput, match=problem):
        OnnxDraft(content, tmp_path, "m.onnx")
