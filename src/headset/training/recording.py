"""What every training does around the fitting: MLflow opened beside it, files in the making, where a run came from."""

from __future__ import annotations

import platform
import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version as installed_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import headset
from headset.core.errors import InvalidInput, StorageFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from headset.events.schema import ModelRegistered
    from headset.training.tracking import Tracker

    Progress = Callable[[str, float], None]

_LIBRARIES = ("mlflow", "numpy", "scikit-learn", "scipy")
_SEED_LIMIT = 2**32


def check_seed(seed: int) -> None:
    """Refuse a seed that not all libraries take.

    Raises:
        InvalidInput: it is negative or needs over 32 bits.
    """
    if not 0 <= seed < _SEED_LIMIT:
        raise InvalidInput("seed", f"is {seed}; it goes from 0 to {_SEED_LIMIT - 1}")


@contextmanager
def tracker_opening(home: Path, tracking_uri: str) -> Iterator[Future[Tracker]]:
    """MLflow takes seconds to make its store: a thread does it while the model is fitted.

    Its import takes seconds, too, but scikit-learn must not meet it halfway: it looks into half-imported modules.
    """
    from headset.training.tracking import open_tracker  # noqa: PLC0415

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="headset-tracking") as pool:
        yield pool.submit(open_tracker, home, tracking_uri)


def failing_early(progress: Progress, opening: Future[Tracker]) -> Progress:
    """``progress`` that raises when the tracker cannot be opened: no use in fitting for a store that is not there."""

    def tell(phase: str, fraction: float) -> None:
        if opening.done():
            opening.result()
        progress(phase, fraction)

    return tell


@contextmanager
def scratch(home: Path) -> Iterator[Path]:
    """A folder for files in the making.

    Raises:
        StorageFailed: it cannot be made in ``home``.
    """
    try:
        with TemporaryDirectory(prefix=".training-", dir=home) as name:
            yield Path(name)
    except OSError as error:
        raise StorageFailed(f"{home} cannot be written ({error.strerror}); nothing was registered") from error


def provenance(made: ModelRegistered) -> dict[str, str]:
    """Where a version came from, as tags of its run: data, code, seed, and what was installed."""
    return {f"version.{name}": installed_version(name) for name in _LIBRARIES} | {
        "mlflow.source.git.commit": made.commit,
        "artifact_sha256": made.artifact_sha256,
        "data_fingerprint": made.data_fingerprint,
        "seed": str(made.seed),
        "version.headset": headset.__version__,
        "version.python": platform.python_version(),
    }


def with_driver(uri: str) -> str:
    """``uri`` of a database, with the driver that comes with Headset where it names none.

    >>> with_driver("postgresql://db.example/mlflow")
    'postgresql+psycopg://db.example/mlflow'
    """
    return re.sub(r"^postgresql://", "postgresql+psycopg://", uri)


def without_password(uri: str) -> str:
    """``uri`` as it may be shown and kept.

    >>> without_password("https://ann:secret@tracking.example:5000/x")
    'https://tracking.example:5000/x'
    """
    return re.sub(r"//[^/]*@", "//", uri)
