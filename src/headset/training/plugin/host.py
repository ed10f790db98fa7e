"""``python -m headset.training.plugin.host``: the process that runs models of other libraries, and fits them.

It talks with :class:`headset.registry.child.Child`. What models print goes nowhere. It ends when the process that
started it closes the pipe, whatever the model is doing then.
"""

from __future__ import annotations

import os
import queue
import resource
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from headset.core.errors import ArtifactError, HeadsetError, InvalidInput, ModelFailed
from headset.registry.artifact import check_recorded, read_manifest, verify_folder
from headset.registry.child_message import (
    LENGTH_BYTES,
    REQUESTS,
    Answer,
    Failed,
    Fit,
    Fitted,
    Load,
    Loaded,
    Progress,
    Request,
    Score,
    framed,
    packed,
)
from headset.registry.hosted import FORMAT, HostedManifest
from headset.registry.output import check_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray


_FIRST = "Where is my card?"


class Model(Protocol):
    """What was loaded."""

    @property
    def signature(self) -> str:
        """What it takes and gives, in MLflow's form."""
        ...

    def values(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """(n, k) numbers; what they are stands in the manifest."""
        ...


class Host:
    """Answers requests, one after the other."""

    def __init__(self) -> None:
        self._manifest: HostedManifest | None = None
        self._model: Model | None = None

    def answer(self, request: Request, progress: Callable[[str, float], None]) -> Answer:
        """The answer to one request.

        Raises:
            HeadsetError: it cannot be done.
        """
        match request:
            case Load():
                return self._load(request)
            case Score():
                return self._score(request)
            case Fit():
                return _fit(request, progress)

    def _load(self, request: Load) -> Loaded:
        if request.memory_bytes:
            resource.setrlimit(resource.RLIMIT_AS, (request.memory_bytes, request.memory_bytes))
        directory = Path(request.directory)
        check_recorded(directory, request.recorded)
        manifest = read_manifest(directory, FORMAT, HostedManifest)
        verify_folder(directory, manifest.sha256)
        if not manifest.trusted_pickle:
            refuse_pickles()
        self._manifest, self._model = manifest, _open(directory, manifest)
        self._score(Score((_FIRST,)))  # what a library does at its first call is done before the first turn comes
        return Loaded(self._model.signature)

    def _score(self, request: Score) -> Answer:
        if self._manifest is None or self._model is None:
            raise ModelFailed("has no model loaded")
        labels = self._manifest.labels
        values = self._model.values(request.texts)
        check_values(values, self._manifest.output.gives, rows=len(request.texts), labels=len(labels))
        return packed(values)


def _open(directory: Path, manifest: HostedManifest) -> Model:
    if manifest.kind == "sklearn":
        from headset.training.plugin.estimator import SavedEstimator  # noqa: PLC0415 - takes seconds

        sys.dont_write_bytecode = True  # from here on: an artifact's folder holds what its manifest says
        return SavedEstimator(directory, manifest)
    from headset.training.plugin.pyfunc import SavedPyfunc  # noqa: PLC0415 - the same

    sys.dont_write_bytecode = True
    return SavedPyfunc(directory, manifest)


def _fit(request: Fit, progress: Callable[[str, float], None]) -> Fitted:
    from headset.training.plugin.estimator import fit  # noqa: PLC0415 - takes seconds

    sys.dont_write_bytecode = True
    return fit(request, progress)


def refuse_pickles() -> None:
    """From now on no pickle that names a class or function is loaded in this process, whatever its disguise.

    Python audits each name that a pickle asks for (``pickle.find_class``).
    """

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if event == "pickle.find_class":
            raise ArtifactError(
                f"a pickle that names {'.'.join(map(str, arguments))} was about to be loaded; import the model with"
                " --trust-pickle REASON if you trust whoever made it"
            )

    sys.addaudithook(audit)


def main() -> None:
    """Answer requests from standard input until it ends."""
    requests, answers = _own_pipes()
    waiting: queue.SimpleQueue[Request] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(requests, waiting), name="requests", daemon=True).start()
    host = Host()

    def tell(message: Answer) -> None:
        answers.write(framed(message))
        answers.flush()

    while True:
        request = waiting.get()
        try:
            tell(host.answer(request, lambda phase, fraction: tell(Progress(phase, fraction))))
        except HeadsetError as error:
            tell(Failed(error.problem if isinstance(error, InvalidInput) else str(error)))
        except MemoryError:
            tell(Failed("ran out of memory"))
        except Exception as error:  # noqa: BLE001 - models may raise anything
            tell(Failed(_raised(error, told=isinstance(request, Load))))


def _raised(error: Exception, *, told: bool) -> str:
    """What a model raised, and where; its message may hold what customers wrote, so it is told only of loading."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f"{Path(trace.tb_frame.f_code.co_filename).name} line {trace.tb_lineno}"
        trace = trace.tb_next
    message = f": {' '.join(str(error).split())[:300]}" if told else ""
    return f"raised {type(error).__name__} in {place}{message}"


def _own_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the parent under numbers of their own: what models read and print goes elsewhere."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, answers


def _read(requests: BinaryIO, waiting: queue.SimpleQueue[Request]) -> None:
    try:
        while len(length := requests.read(LENGTH_BYTES)) == LENGTH_BYTES:
            waiting.put(REQUESTS.decode(requests.read(int.from_bytes(length, "big"))))
    finally:
        os._exit(0)  # the parent is gone, perhaps in the middle of a message, or done with this process


if __name__ == "__main__":
    main()
