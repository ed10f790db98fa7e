"""Training a user's own estimator: fitted in a process of its own, calibrated and kept like the built-in model.

``MODULE:FACTORY`` names a function without arguments that gives an unfitted estimator: ``fit(texts, labels)``, and
``predict_proba``, ``decision_function`` or ``predict``, the first of these that it has.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from headset.core.errors import InvalidInput, ModelFailed
from headset.registry.artifact import MANIFEST, digests, write_manifest
from headset.registry.child import Child
from headset.registry.child_message import FRAME_LIMIT, Fit, Fitted
from headset.registry.hosted import FORMAT, HostedManifest, HostedModel, Limits
from headset.registry.output import Output
from headset.registry.signature import TEXT_SIGNATURE
from headset.training.calibration import assign_folds, choose_threshold, fit_temperature, precision_by_label
from headset.training.intent import FOLDS, Metrics, measure_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from headset.core.clock import Clock
    from headset.data.synthetic.row import SyntheticRow
    from headset.registry.text_model import TextModel
    from headset.training.recording import Progress

LIMIT_S = 3_600.0
_LEAST = 1e-9
_BYTES_OF_NUMBER = 8


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training made.

    Attributes:
        model: Answers like the one that will serve.
        temperature: What its margins are divided by.
        metrics: Of predictions for rows the model had not seen (out of fold).
        save: Writes it into a folder, with files beside it, and gives the manifest's SHA-256 (hex).
    """

    model: TextModel
    temperature: float
    metrics: Metrics
    save: Callable[[Path, Mapping[str, bytes]], str]


class Learning(Struct, frozen=True):
    """How a user's estimator is fitted.

    Attributes:
        learner: ``MODULE:FACTORY``.
        code: Folder that the module is found in.
        limit_s: Seconds that one fit may take.
        scratch: Folder for files in the making.
    """

    learner: str
    code: Path
    limit_s: float
    scratch: Path


def fit_learner(
    texts: Sequence[str],
    labels: Sequence[str],
    learning: Learning,
    *,
    seed: int,
    target_precision: float,
    clock: Clock,
    progress: Progress,
    synthetic: Sequence[SyntheticRow] = (),
) -> Trained:
    """Fit a user's estimator; equal arguments and code give an equal model, if the estimator keeps to its seeds.

    Args:
        texts: (n,) what customers wrote.
        labels: (n,) the intent of each.
        learning: How.
        seed: Of the folds, and of numpy's and Python's generators before each fit.
        target_precision: Precision the threshold is chosen for, in (0, 1).
        clock: For the time limit.
        progress: Called with the name of the step and the share of it that is done.
        synthetic: Must be empty: which fold may learn from a made-up row is not told to a user's estimator.

    Raises:
        InvalidInput: there are synthetic rows, or more rows than one answer may hold, or no such factory, or what it
            makes fails, stalls or gives no usable answer.
    """
    if synthetic:
        raise InvalidInput(
            "synthetic", f"{len(synthetic)} rows cannot be learned from by a learner of your own; leave one of both out"
        )
    names = tuple(sorted(set(labels)))
    most = FRAME_LIMIT // (_BYTES_OF_NUMBER * len(names))
    if len(texts) > most:
        raise InvalidInput(
            "data",
            f"has {len(texts)} rows; with {len(names)} intents a learner of your own takes {most} at most;"
            " import fewer, or leave the learner out",
        )
    truth = np.searchsorted(np.array(names), np.array(labels))
    folds = assign_folds(texts, labels, FOLDS, np.random.Generator(np.random.PCG64(seed)))
    folder = Path(mkdtemp(prefix="learner-", dir=learning.scratch))
    request = Fit(
        learning.learner,
        str(learning.code.absolute()),
        tuple(texts),
        tuple(labels),
        names,
        tuple(folds.tolist()),
        seed,
        str(folder.absolute()),
    )
    try:
        fitted = _ask(request, learning.limit_s, clock, progress)
        output, confidence, predicted = _calibrate(fitted, truth, folds)
        threshold = choose_threshold(confidence, predicted == truth, target_precision)
        write_manifest(folder, _manifest(folder, names, threshold, output, fitted.trusted_types))
        model = HostedModel(folder, Limits(), clock)
    except ModelFailed as error:
        raise InvalidInput("learner", f"{learning.learner}: {error}") from None
    metrics = measure_answers(predicted, confidence, truth, threshold, labels=len(names))

    def save(directory: Path, beside: Mapping[str, bytes]) -> str:
        shutil.copytree(folder, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        for name, content in beside.items():
            (directory / name).write_bytes(content)
        return write_manifest(directory, _manifest(directory, names, threshold, output, fitted.trusted_types))

    return Trained(model, output.temperature, metrics, save)


def _ask(request: Fit, limit_s: float, clock: Clock, progress: Progress) -> Fitted:
    child = Child(clock)
    try:
        answer = child.ask(request, limit_s, progress)
    finally:
        child.close()
    if not isinstance(answer, Fitted):
        raise ModelFailed("answered another question")
    return answer


def _calibrate(
    fitted: Fitted, truth: NDArray[np.int_], folds: NDArray[np.int_]
) -> tuple[Output, NDArray[np.float64], NDArray[np.int_]]:
    """How its numbers are read, and the confidence and the answer for each row it had not seen."""
    values = fitted.unseen.array()
    predicted = values.argmax(axis=1)
    if fitted.gives == "label":
        labels = values.shape[1]
        confidence = np.empty(len(truth))
        for fold in np.unique(folds):  # a row's own fold does not say how sure its answer is
            others = folds != fold
            confidence[~others] = np.array(precision_by_label(predicted[others], truth[others], labels))[
                predicted[~others]
            ]
        return Output("label", precision=precision_by_label(predicted, truth, labels)), confidence, predicted
    margins = values if fitted.gives == "margins" else np.log(np.maximum(values, _LEAST))
    output = Output(fitted.gives, fit_temperature(margins, truth))
    probabilities = output.scores(values, rows=len(truth), labels=values.shape[1]).probabilities
    return output, probabilities.max(axis=1), probabilities.argmax(axis=1)


def _manifest(
    folder: Path, labels: tuple[str, ...], threshold: float, output: Output, trusted_types: tuple[str, ...]
) -> HostedManifest:
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return HostedManifest(
        format=FORMAT,
        kind="sklearn",
        labels=labels,
        threshold=threshold,
        output=output,
        signature=TEXT_SIGNATURE,
        sha256=digests(folder, [name for name in files if name != MANIFEST]),
        trusted_types=trusted_types,
    )
