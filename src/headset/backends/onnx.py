"""ONNX classifiers on ONNX Runtime, in this process: from texts, or from the embeddings of the installed encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from headset.core.errors import ArtifactError, InvalidInput, ModelFailed
from headset.registry.artifact import AGAIN, digests, read_manifest, verify, verify_folder, write_manifest
from headset.registry.onnx_artifact import FILE, FORMAT, OnnxManifest
from headset.registry.signature import Column, Tensor, check_signature, read_signature, write_signature

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from headset.registry.output import Gives, Output
    from headset.registry.scorer import Scores

_TYPES = {
    "tensor(string)": "str",
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
}


class OnnxModel:
    """An ONNX classifier. Threads may share it.

    Args:
        directory: The artifact.

    Raises:
        ArtifactError: a file is missing, was changed or added, or the graph takes or gives other columns than recorded.
    """

    def __init__(self, directory: Path) -> None:
        manifest = read_manifest(directory, FORMAT, OnnxManifest)
        verify_folder(directory, manifest.sha256)
        self._session = _session(verify(directory / FILE, manifest.sha256.get(FILE, "")), str(directory / FILE))
        found = signature_of(self._session)
        check_signature(manifest.signature, found, f"the graph {directory / FILE}")
        if len(manifest.labels) < 2 or len(set(manifest.labels)) != len(manifest.labels):
            raise ArtifactError(f"{directory} has {len(manifest.labels)} labels, at least 2 distinct ones are needed")
        signature = read_signature(found)
        self._input = signature.inputs[0]
        if manifest.answer not in {column.name for column in signature.outputs}:
            raise ArtifactError(f"the graph {directory / FILE} has no output {manifest.answer!r}; {AGAIN}")
        self._answer = manifest.answer
        self._output = manifest.output
        self.labels = manifest.labels
        self.threshold = manifest.threshold
        self._place = {label: column for column, label in enumerate(manifest.labels)}

    def score(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> Scores:
        """See :meth:`TextModel.score`.

        Raises:
            ModelFailed: the embeddings have another shape than the graph takes, or it gave no usable answer.
        """
        if len(embeddings) != len(texts):
            raise ModelFailed(f"{len(embeddings)} embeddings came with {len(texts)} texts; send one for each")
        if not all(isinstance(text, str) for text in texts):
            raise ModelFailed("a row has no text; the signature asks for a string")
        values = self._values(texts, embeddings) if texts else np.zeros((0, len(self.labels)))
        return self._output.scores(values, rows=len(texts), labels=len(self.labels))

    def _values(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> NDArray[np.float64]:
        tensor = self._input.tensor
        shape = () if tensor is None else tensor.shape
        rows: NDArray[Any]
        if tensor is not None and tensor.dtype == "str":
            rows = np.array(texts, object).reshape((len(texts), 1)[: len(shape)])
        elif shape[-1] not in {-1, embeddings.shape[1]}:
            raise ModelFailed(
                f"embeddings have {embeddings.shape[1]} numbers, the graph takes {shape[-1]};"
                " use the encoder it was trained with"
            )
        else:
            rows = embeddings.astype("float32" if tensor is None else tensor.dtype, copy=False)
        try:
            (answer,) = self._session.run([self._answer], {str(self._input.name): rows})
        except Exception as error:  # noqa: BLE001 - the runtime's own errors, whose text may hold the rows
            raise ModelFailed(f"the graph failed with {type(error).__name__}") from None
        return self._of_labels(answer) if self._output.gives == "label" else np.asarray(answer, np.float64)

    def _of_labels(self, answer: NDArray[Any]) -> NDArray[np.float64]:
        values = np.zeros((len(answer), len(self.labels)))
        for row, label in enumerate(answer.ravel().tolist()):
            column = label if isinstance(label, int) else self._place.get(str(label), -1)
            if not 0 <= column < len(self.labels):
                raise ModelFailed("the graph answered with a label that is none of its own")
            values[row, column] = 1.0
        return values


class OnnxDraft:
    """An ONNX file that is about to become an artifact.

    Attributes:
        folder: Where the artifact is made.
        gives: What its answer is, as far as the graph says; ``margins`` may turn out to be probabilities.
    """

    def __init__(self, content: bytes, folder: Path, name: str) -> None:
        """Look at the graph and keep it in ``folder``.

        Raises:
            InvalidInput: it is no ONNX file or not all in one file, or takes or gives what no classifier of texts does.
        """
        self.folder = folder
        self.labels: tuple[str, ...] = ()
        _check_whole(content, name)
        try:
            session = _session(content, name)
            self._signature = signature_of(session)
        except ArtifactError as error:
            raise InvalidInput("model", str(error)) from None
        self._answer, self.gives = _answer_of(session, name)
        (folder / FILE).write_bytes(content)

    def write(self, labels: tuple[str, ...], threshold: float, output: Output) -> str:
        """Write the manifest, and give its SHA-256 (hex)."""
        files = sorted(path.name for path in self.folder.iterdir() if path.name != "manifest.json")
        return write_manifest(
            self.folder,
            OnnxManifest(FORMAT, labels, threshold, output, self._answer, self._signature, digests(self.folder, files)),
        )


def signature_of(session: onnxruntime.InferenceSession) -> str:
    """What a graph takes and gives, in MLflow's form.

    Raises:
        ArtifactError: it takes anything but one tensor of texts or of embeddings.
    """
    inputs, outputs = (tuple(map(_column, some)) for some in (session.get_inputs(), session.get_outputs()))
    fits = len(inputs) == 1 and (tensor := inputs[0].tensor) is not None and _takes(tensor)
    if not fits:
        raise ArtifactError(
            f"the graph takes ({', '.join(map(str, inputs))}); it may take one tensor: texts, str[-1] or str[-1, 1],"
            " or embeddings, float32[-1, dimensions], with any number of rows"
        )
    return write_signature(inputs, outputs)


def _takes(tensor: Tensor) -> bool:
    if tensor.dtype == "str":
        return tensor.shape in {(-1,), (-1, 1)}
    return tensor.dtype in {"float32", "float64"} and len(tensor.shape) == 2 and tensor.shape[0] == -1


def _column(node: onnxruntime.NodeArg) -> Column:
    shape = tuple(size if isinstance(size, int) else -1 for size in node.shape or ())
    return Column("tensor", node.name, tensor=Tensor(_TYPES.get(node.type, node.type), shape))


def _answer_of(session: onnxruntime.InferenceSession, name: str) -> tuple[str, Gives]:
    outputs = [_column(node) for node in session.get_outputs()]
    for column in outputs:
        if column.tensor is not None and column.tensor.dtype.startswith("float") and len(column.tensor.shape) == 2:
            return str(column.name), "margins"
    for column in outputs:
        if column.tensor is not None and column.tensor.dtype in {"str", "int64"} and len(column.tensor.shape) == 1:
            return str(column.name), "label"
    raise InvalidInput(
        "model",
        f"{name} gives ({', '.join(map(str, outputs))}); it may give a float tensor with a column for each label"
        " (converted from scikit-learn: options={'zipmap': False}), or a tensor of labels",
    )


def _check_whole(content: bytes, name: str) -> None:
    """Refuse what is no ONNX model, and one whose numbers lie in other files: those are named by paths."""
    import onnx  # noqa: PLC0415 - needed to take a model in, not to serve it
    from onnx.external_data_helper import uses_external_data  # noqa: PLC0415

    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # noqa: BLE001 - protobuf's own errors
        raise InvalidInput("model", f"{name} is no ONNX file ({type(error).__name__}); name a .onnx file") from None
    if any(uses_external_data(tensor) for tensor in model.graph.initializer):
        raise InvalidInput("model", f"{name} keeps its numbers in other files; save it as one file")


def _session(content: bytes, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # one text at a time gains nothing by more
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 - the runtime's own errors
        problem = " ".join(str(error).split())[:200]
        raise ArtifactError(f"{name} cannot be run by ONNX Runtime ({problem}); export it again") from None
