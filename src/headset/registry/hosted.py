"""Models of other libraries: each runs in a process of its own, so that the serving process loads none of them.

An artifact is a folder: ``manifest.json`` with the SHA-256 of every other file, and either ``estimator.skops`` with
``code/``, the sources of the module that made it, or ``mlflow/``, an MLflow model.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from msgspec import Meta, Struct

from headset.core.errors import ArtifactError, HeadsetError, ModelFailed
from headset.registry.artifact import AGAIN, MANIFEST, read_manifest, verify_folder
from headset.registry.child import Child
from headset.registry.child_message import Load, Loaded, Score, Scored
from headset.registry.output import Output
from headset.registry.signature import check_signature

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from headset.core.clock import Clock
    from headset.registry.scorer import Scores

FORMAT = "headset-hosted/1"
ESTIMATOR = "estimator.skops"
CODE = "code"
MLFLOW = "mlflow"
_logger = logging.getLogger("headset")
_START_S = 180.0
_AT_ONCE = 32
_PATIENCE_S = 5.0
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 30.0


class HostedManifest(Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept of a hosted model.

    Attributes:
        format: :data:`FORMAT`.
        kind: ``sklearn`` or ``mlflow``.
        labels: The k intents, in the order of the columns.
        threshold: Confidence from which it answers alone; above 1 where it never does.
        output: How its numbers are read.
        signature: What the model itself takes and gives, in MLflow's form.
        trusted_types: The types ``estimator.skops`` may be made of, beside those that skops knows.
        trusted_pickle: Why pickles in it may be loaded; empty where none may.
        sha256: Of every file.
    """

    format: str
    kind: Literal["sklearn", "mlflow"]
    labels: tuple[str, ...]
    threshold: Annotated[float, Meta(ge=0, lt=2)]
    output: Output
    signature: str
    sha256: dict[str, str]
    trusted_types: tuple[str, ...] = ()
    trusted_pickle: str = ""


class Limits(Struct, frozen=True):
    """What a hosted model may take.

    Attributes:
        answer_s: Seconds for 32 texts; after 5 s without an answer its process is ended and another started.
        memory_bytes: Address space of its process; 0 sets no limit.
    """

    answer_s: float = 30.0
    memory_bytes: int = 0


class HostedModel:
    """A model behind a process boundary. Threads may share it; its process lives as long as this object is in use.

    Args:
        directory: The artifact.
        limits: What it may take.
        clock: For deadlines.

    Raises:
        ArtifactError: a file is missing, was changed or added, or the model takes or gives other columns than recorded.
        ModelFailed: it cannot be loaded.
    """

    def __init__(self, directory: Path, limits: Limits, clock: Clock) -> None:
        manifest = read_manifest(directory, FORMAT, HostedManifest)
        verify_folder(directory, manifest.sha256)
        _check(directory, manifest)
        self.labels = manifest.labels
        self.threshold = manifest.threshold
        self._output = manifest.output
        recorded = hashlib.sha256((directory / MANIFEST).read_bytes()).hexdigest()
        self._host = _Host(Load(str(directory.absolute()), recorded, limits.memory_bytes), limits.answer_s, clock)
        self._end = weakref.finalize(self, self._host.close)
        check_signature(manifest.signature, self._host.signature, f"the model in {directory}")

    @property
    def pid(self) -> int | None:
        """The process that runs it now; None while that is being started again."""
        return self._host.pid

    def score(self, texts: Sequence[str], embeddings: NDArray[np.float32]) -> Scores:
        """See :meth:`TextModel.score`; it reads the texts alone.

        Raises:
            ModelFailed: it raised, gave no usable answer or none in time, or its process is being started again.
        """
        if len(embeddings) != len(texts):
            raise ModelFailed(f"{len(embeddings)} embeddings came with {len(texts)} texts; send one for each")
        if not all(isinstance(text, str) for text in texts):
            raise ModelFailed("a row has no text; the signature asks for a string")
        parts = [self._host.score(tuple(texts[first : first + _AT_ONCE])) for first in range(0, len(texts), _AT_ONCE)]
        values = np.concatenate(parts) if parts else np.zeros((0, len(self.labels)))
        return self._output.scores(values, rows=len(texts), labels=len(self.labels))

    def close(self) -> None:
        """End its process now."""
        self._end()


class _Host:
    """Keeps one process with the model loaded; starts another where it ends."""

    def __init__(self, load: Load, answer_s: float, clock: Clock) -> None:
        self._load = load
        self._answer_s = answer_s
        self._clock = clock
        self._asking = threading.Lock()
        self._closed = threading.Event()
        self._served = False
        self._child: Child | None
        self._child, self.signature = self._start()
        threading.Thread(target=self._keep, args=(self._child,), name="headset-hosted", daemon=True).start()

    @property
    def pid(self) -> int | None:
        child = self._child
        return None if child is None else child.pid

    def score(self, texts: tuple[str, ...]) -> NDArray[np.float64]:
        if not self._asking.acquire(timeout=self._answer_s):
            raise ModelFailed(f"the model was busy for {self._answer_s:g} s")
        try:
            child = self._child
            if child is None:
                raise ModelFailed("the model's process ended and is being started again")
            try:
                answer = child.ask(Score(texts), self._answer_s, patience_s=max(_PATIENCE_S, self._answer_s))
            except ModelFailed as error:
                raise ModelFailed(f"the model {error}") from None
            if not isinstance(answer, Scored):
                raise ModelFailed("the model answered another question")
            self._served = True
            try:
                return answer.array()
            except ValueError:
                raise ModelFailed("the model gave another number of numbers than it says") from None
        finally:
            self._asking.release()

    def close(self) -> None:
        self._closed.set()
        child = self._child
        if child is not None:
            child.kill()

    def _start(self) -> tuple[Child, str]:
        child = Child(self._clock)
        try:
            answer = child.ask(self._load, _START_S)
        except BaseException as error:
            child.close()
            if isinstance(error, ModelFailed):
                raise ModelFailed(f"the model in {self._load.directory} cannot be loaded: {error}") from None
            raise
        return child, answer.signature if isinstance(answer, Loaded) else ""

    def _keep(self, child: Child) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            child.wait()
            self._child = None
            with self._asking:  # whoever asked has its answer
                child.close()
            if self._closed.is_set():
                return
            pause = _FIRST_PAUSE_S if self._served else min(2 * pause, _LONGEST_PAUSE_S)
            self._served = False
            _logger.warning("the process of the model in %s ended, another is started", self._load.directory)
            fresh = self._restart(pause)
            if fresh is None:
                return
            child = self._child = fresh
            if self._closed.is_set():
                child.kill()

    def _restart(self, pause: float) -> Child | None:
        """A process that is ready, however often it takes; None when nobody needs it any more."""
        while not self._closed.wait(pause):
            try:
                return self._start()[0]
            except HeadsetError as error:
                pause = min(2 * pause, _LONGEST_PAUSE_S)
                _logger.warning("%s; it is tried again in %g s", error, pause)
        return None


def _check(directory: Path, manifest: HostedManifest) -> None:
    count = len(manifest.labels)
    if count < 2 or len(set(manifest.labels)) != count:
        raise ArtifactError(f"{directory} has {count} labels, {len(set(manifest.labels))} of them distinct; {AGAIN}")
    if manifest.output.gives == "label" and len(manifest.output.precision) != count:
        raise ArtifactError(f"{directory} has {len(manifest.output.precision)} precisions for {count} labels; {AGAIN}")
