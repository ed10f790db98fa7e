"""The compiled risk model: features of one turn in, the probability that its conversation ends badly out.

A logistic regression as numbers: each feature adds to the margin, and the margin becomes a probability. Its calibration
is part of the coefficients. An artifact is a folder: ``manifest.json`` with the SHA-256 of every other file,
``words.json``, and ``.npy`` arrays.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
import numpy as np
from msgspec import Struct

from headset.core.errors import ArtifactError, ModelFailed
from headset.registry.artifact import AGAIN, digests, read_array, read_manifest, verify, write_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Words = Mapping[str, Mapping[str, float]]

FORMAT = "headset-risk/1"
_ARRAYS = ("numbers", "vectors")
_WORDS = "words.json"
_FILES = (*(f"{name}.npy" for name in _ARRAYS), _WORDS)
_MISSING = ""  # no feature has the empty word

Kind = Literal["number", "flag", "word", "vector"]


class Input(Struct, frozen=True):
    """One feature the model reads.

    Attributes:
        name: ``view.feature``.
        version: Of the feature.
        kind: What its values are.
        size: Numbers in a vector; 0 for other kinds.
    """

    name: str
    version: str
    kind: Kind
    size: int = 0


class _Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    format: str
    service: str
    service_version: str
    threshold: float
    intercept: float
    inputs: tuple[Input, ...]
    sha256: dict[str, str]


class RiskScorer:
    """The compiled model. Threads may share it: scoring changes nothing.

    A number counts as far as training has seen numbers: below ``low`` as ``low``, above ``high`` as ``high``. What is
    missing (absent, None, NaN, infinite, or of another kind) adds ``missing`` instead, a word never learned nothing,
    a missing vector as much as zeros.

    Args:
        inputs: The features, in the order of the service.
        numbers: (k, 4) float64: ``low``, ``high``, ``slope`` and ``missing`` of the k numbers and flags among them.
        words: What each word adds, by feature; the empty word stands for a missing one.
        vectors: (d,) float64 coefficients of all vectors, one behind the other.
        intercept: The margin of nothing.
        threshold: Probability from which a person should take over.
        service: Name of the feature service.
        service_version: Its version.

    Raises:
        ArtifactError: the parts do not fit together.

    >>> wait = Input("response.last", "c2e3754ff883", "number")
    >>> model = RiskScorer((wait,), np.array([[0.0, 60.0, 0.05, 0.0]]), {}, np.zeros(0), -2.0, 0.5, "risk", "1")
    >>> model.score([{"response.last": 40.0}, {"response.last": 600.0}, {}]).round(2).tolist()
    [0.5, 0.73, 0.12]
    """

    def __init__(
        self,
        inputs: tuple[Input, ...],
        numbers: NDArray[np.float64],
        words: Words,
        vectors: NDArray[np.float64],
        intercept: float,
        threshold: float,
        service: str,
        service_version: str,
    ) -> None:
        _check(inputs, numbers, words, vectors, intercept)
        self.inputs = inputs
        self.threshold = threshold
        self.service = service
        self.service_version = service_version
        self._intercept = intercept
        self._numbers = numbers
        self._words = words
        self._vectors = vectors
        self._number_names = [each.name for each in inputs if each.kind in {"number", "flag"}]
        self._slices: dict[str, NDArray[np.float64]] = {}
        start = 0
        for each in inputs:
            if each.kind == "vector":
                self._slices[each.name] = vectors[start : start + each.size]
                start += each.size

    @property
    def features(self) -> dict[str, str]:
        """The version of each feature it reads, by ``view.feature``, in order."""
        return {each.name: each.version for each in self.inputs}

    def check_features(self, recorded: Mapping[str, str]) -> None:
        """Refuse to read other features than are on record; nothing is refused where none are.

        Raises:
            ArtifactError: they differ; both are named.
        """
        if recorded and recorded != self.features:
            differ = sorted(set(recorded.items()) ^ set(self.features.items()))
            raise ArtifactError(
                f"the risk model reads {self.features}, its record says {dict(recorded)}: {differ[0][0]} differs;"
                f" {AGAIN}"
            )

    def score(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """(n,) float64 probabilities of n turns, each given by the values of its features.

        A vector is an array of float32, or its bytes.

        Raises:
            ModelFailed: a vector has another length, so another encoder made it.
        """
        return np.asarray(np.exp(-np.logaddexp(0, -self.margins(rows))))

    def margins(self, rows: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
        """The same before the logistic function: log odds.

        Raises:
            ModelFailed: as :meth:`score`.
        """
        margins = np.full(len(rows), self._intercept)
        if self._number_names:
            known = np.array([_number(row.get(name)) for row in rows for name in self._number_names])
            known = known.reshape(len(rows), len(self._number_names))
            low, high, slope, missing = self._numbers.T
            margins += np.where(np.isnan(known), missing, np.clip(known, low, high) * slope).sum(axis=1)
        for name, added in self._words.items():
            margins += [added.get(_word(row.get(name)), 0.0) for row in rows]
        for name, slope in self._slices.items():
            for place, row in enumerate(rows):
                vector = _vector(name, row.get(name), len(slope))
                if vector is not None:
                    margins[place] += vector @ slope
        return margins

    def save(self, directory: Path) -> str:
        """Write the artifact into ``directory``, which is made when absent, and give the manifest's SHA-256 (hex).

        Equal models give equal bytes.
        """
        directory.mkdir(parents=True, exist_ok=True)
        np.save(directory / "numbers.npy", np.ascontiguousarray(self._numbers), allow_pickle=False)
        np.save(directory / "vectors.npy", np.ascontiguousarray(self._vectors), allow_pickle=False)
        (directory / _WORDS).write_bytes(msgspec.json.encode(self._words))
        return write_manifest(
            directory,
            _Manifest(
                FORMAT,
                self.service,
                self.service_version,
                self.threshold,
                self._intercept,
                self.inputs,
                digests(directory, _FILES),
            ),
        )

    @classmethod
    def load(cls, directory: Path) -> RiskScorer:
        """Read an artifact, every byte of it checked.

        Raises:
            ArtifactError: a file is missing, was changed, or has another format; names it and the next step.
        """
        manifest = read_manifest(directory, FORMAT, _Manifest)
        for name in _FILES:
            verify(directory / name, manifest.sha256.get(name, ""))
        try:
            words = msgspec.json.decode((directory / _WORDS).read_bytes(), type=dict[str, dict[str, float]])
            numbers, vectors = (read_array(directory / f"{name}.npy") for name in _ARRAYS)
        except (OSError, ValueError) as error:
            raise ArtifactError(f"an array of {directory} cannot be read ({error}); {AGAIN}") from error
        return cls(
            manifest.inputs,
            numbers,
            words,
            vectors,
            manifest.intercept,
            manifest.threshold,
            manifest.service,
            manifest.service_version,
        )


def _number(value: object) -> float:
    """A number or a flag; NaN for what is missing."""
    if not isinstance(value, (float, int, np.floating, np.integer, np.bool_)):
        return math.nan
    try:
        number = float(value)
    except OverflowError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _word(value: object) -> str:
    return value if isinstance(value, str) else _MISSING


def _vector(name: str, value: object, size: int) -> NDArray[np.float32] | None:
    """A vector's numbers; None for what is missing."""
    if isinstance(value, bytes):
        value = np.frombuffer(value, "<f4")
    if not isinstance(value, np.ndarray):
        return None
    if value.shape != (size,):
        raise ModelFailed(f"{name} has the shape {value.shape}, this model needs ({size},); train it again")
    return value if np.isfinite(value).all() else None


def _check(
    inputs: tuple[Input, ...],
    numbers: NDArray[np.float64],
    words: Words,
    vectors: NDArray[np.float64],
    intercept: float,
) -> None:
    """Refuse what does not fit together, with the reason."""
    names = [each.name for each in inputs]
    if not names or len(set(names)) < len(names):
        raise ArtifactError(f"the model reads no feature, or one twice; {AGAIN}")
    if unknown := {each.kind for each in inputs} - set(get_args(Kind)):
        raise ArtifactError(f"features of the kinds {sorted(unknown)} are unknown; {AGAIN}")
    expected = {
        "numbers": (numbers, (sum(each.kind in {"number", "flag"} for each in inputs), 4)),
        "vectors": (vectors, (sum(each.size for each in inputs if each.kind == "vector"),)),
    }
    for name, (array, shape) in expected.items():
        if array.dtype != np.float64 or array.shape != shape:
            raise ArtifactError(f"{name} is {array.dtype} {array.shape}, the features need float64 {shape}; {AGAIN}")
        if not np.isfinite(array).all():
            raise ArtifactError(f"{name} holds a number that is not finite; {AGAIN}")
    if foreign := set(words) - {each.name for each in inputs if each.kind == "word"}:
        raise ArtifactError(f"words of {', '.join(sorted(foreign))} are known, which is no such feature; {AGAIN}")
    if not math.isfinite(intercept):
        raise ArtifactError(f"the intercept is {intercept}; {AGAIN}")
