"""The one tree of errors.

    HeadsetError
    ├── InvalidInput          what the caller sent is wrong        HTTP 422, exit 2
    │   ├── NotFound          it names something that is not there HTTP 404, exit 2
    │   └── Conflict          it contradicts what is recorded      HTTP 409, exit 2
    ├── AccessDenied          no key, a wrong one, or too few scopes HTTP 401/403, exit 2
    ├── Overloaded            try again later                      HTTP 503, exit 1
    ├── StorageFailed         the log or a store could not keep or give back data
    │   └── StorageFull       the disk or a size limit is reached
    ├── TextErased            the key that sealed a text was destroyed
    ├── ArtifactError         a model's files are missing, changed or of another format
    └── ModelFailed           a model raised, stalled, or gave no usable answer

Status and exit codes are given by the shells (``serving/problem.py``, ``cli``), not here.
"""

from __future__ import annotations


class HeadsetError(Exception):
    """Root of every error Headset raises on purpose; its text is fit to show to the caller."""


class InvalidInput(HeadsetError):
    """A value the caller sent breaks a rule.

    Args:
        field: Dotted name of the offending field, as the caller wrote it (``turn.text``).
        problem: The value (shortened), the limit and the next step, in one sentence.

    >>> raise InvalidInput("text", "is empty; send 1 to 16000 characters")
    Traceback (most recent call last):
    headset.core.errors.InvalidInput: text: is empty; send 1 to 16000 characters
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)  # so that copies, in another process as well, can be made from `args`
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


class NotFound(InvalidInput):
    """The named thing does not exist."""


class Conflict(InvalidInput):
    """The request contradicts what is already on record."""


class AccessDenied(HeadsetError):
    """The key is missing, unknown, expired or lacks a scope.

    Args:
        problem: What is wrong and where to get a key that works.
        known: True when the key is valid but lacks the scope (HTTP 403 rather than 401).
    """

    def __init__(self, problem: str, *, known: bool = False) -> None:
        super().__init__(problem)
        self.known = known


class Overloaded(HeadsetError):
    """More work is waiting than the configured limit; the caller should retry.

    Args:
        problem: Which limit was reached, with its value.
        retry_after_s: Seconds after which a retry is sensible.
    """

    def __init__(self, problem: str, *, retry_after_s: int = 1) -> None:
        super().__init__(problem)
        self.retry_after_s = retry_after_s


class StorageFailed(HeadsetError):
    """A store could not keep or return data; nothing was acknowledged."""


class StorageFull(StorageFailed):
    """No room is left for the write; nothing was acknowledged."""


class TextErased(HeadsetError):
    """The text exists only as ciphertext, and its key has been destroyed."""


class ArtifactError(HeadsetError):
    """A model artifact is missing a file, was changed after it was saved, or has another format."""


class ModelFailed(HeadsetError):
    """A model raised, stalled past its deadline, or returned something unusable."""
