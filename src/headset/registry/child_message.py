"""What a process that serves a model and the process that hosts it say to each other: MessagePack in frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from headset.core.errors import ModelFailed
from headset.registry.output import Gives

if TYPE_CHECKING:
    from numpy.typing import NDArray

LENGTH_BYTES = 4
FRAME_LIMIT = 1 << 30


class Load(Struct, frozen=True, tag=True):
    """Load the artifact in ``directory``, whose manifest has the SHA-256 ``recorded`` (hex)."""

    directory: str
    recorded: str
    memory_bytes: int


class Score(Struct, frozen=True, tag=True):
    """Score texts with what was loaded."""

    texts: tuple[str, ...]


class Fit(Struct, frozen=True, tag=True):
    """Fit what a factory makes, and keep it.

    Attributes:
        learner: ``MODULE:FACTORY``.
        code: Folder that the module is found in.
        texts: (n,).
        labels: (n,).
        names: (k,) the labels, sorted.
        folds: (n,) the fold of each text; each is predicted by what was fitted without its fold.
        seed: Of numpy's and Python's generators before each fit.
        to: Folder for the files.
    """

    learner: str
    code: str
    texts: tuple[str, ...]
    labels: tuple[str, ...]
    names: tuple[str, ...]
    folds: tuple[int, ...]
    seed: int
    to: str


class Loaded(Struct, frozen=True, tag=True):
    """The model is ready. ``signature`` is what it takes and gives, in MLflow's form."""

    signature: str


class Scored(Struct, frozen=True, tag=True):
    """An (n, k) array of float64."""

    shape: tuple[int, int]
    values: bytes

    def array(self) -> NDArray[np.float64]:
        """The numbers.

        Raises:
            ValueError: they are not as many as the shape says.
        """
        return np.frombuffer(self.values, np.float64).reshape(self.shape)


class Fitted(Struct, frozen=True, tag=True):
    """The files are kept. ``unseen`` is what each text got from the fit without it."""

    gives: Gives
    unseen: Scored
    trusted_types: tuple[str, ...]


class Progress(Struct, frozen=True, tag=True):
    """A share of a phase is done."""

    phase: str
    fraction: float


class Failed(Struct, frozen=True, tag=True):
    """It did not work, and why; the process goes on."""

    problem: str


Request = Load | Score | Fit
Answer = Loaded | Scored | Fitted | Progress | Failed
REQUESTS = msgspec.msgpack.Decoder(Request)
ANSWERS = msgspec.msgpack.Decoder(Answer)
ENCODER = msgspec.msgpack.Encoder()


def framed(message: Request | Answer) -> bytes:
    r"""A message with its length before it.

    Raises:
        ModelFailed: it is over :data:`FRAME_LIMIT`.

    >>> framed(Failed("no"))[:4]
    b'\x00\x00\x00\x18'
    """
    content = ENCODER.encode(message)
    if len(content) > FRAME_LIMIT:
        raise ModelFailed(f"was to get or give {len(content)} bytes at once, the limit is {FRAME_LIMIT}")
    return len(content).to_bytes(LENGTH_BYTES, "big") + content


def packed(values: NDArray[np.float64]) -> Scored:
    """An (n, k) array as it travels."""
    rows, columns = values.shape
    return Scored((rows, columns), np.ascontiguousarray(values, np.float64).tobytes())
