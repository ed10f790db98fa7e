"""Versions: hashes of what definitions mean."""

from __future__ import annotations

import hashlib

import msgspec

SEMANTICS = 1
"""Raised when an aggregation or operator comes to mean something else."""


def version_of(meaning: object) -> str:
    """Twelve hexadecimal digits for ``meaning``, by its JSON.

    >>> version_of({"window_us": 1})
    'c2e3754ff883'
    """
    return hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:12]
