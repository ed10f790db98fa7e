"""What a decision is made from, and the hash of it that is kept with the decision.

The versions say which definitions, the hash which values: computed again from the log, they must be the same.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from headset.features.definition import FeatureService

SERVICE = "service."
"""What the version of a feature service is kept under in ``feature_versions``, before its name."""


def service_key(service: FeatureService) -> str:
    """The name under which a decision keeps the version of a service it read.

    >>> SERVICE + "risk"
    'service.risk'
    """
    return f"{SERVICE}{service.name}"


def feature_hash(versions: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """First 16 hexadecimal digits of the SHA-256 over versions and values, vectors by their bytes.

    Args:
        versions: By name of what was read.
        values: By name; numbers, flags, words, None, or arrays of numbers. Order makes no difference.

    >>> one = feature_hash({"mood": "3f"}, {"mood.mean": 0.5, "mood.last": None})
    >>> one == feature_hash({"mood": "3f"}, {"mood.last": None, "mood.mean": 0.5})
    True
    >>> one == feature_hash({"mood": "3f"}, {"mood.last": None, "mood.mean": 0.25})
    False
    """
    told = [(name, _plain(values[name])) for name in sorted(values)]
    return hashlib.sha256(msgspec.msgpack.encode((sorted(versions.items()), told))).hexdigest()[:16]


def _plain(value: Any) -> Any:  # noqa: ANN401 - the value of any feature
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, "<f4").tobytes()
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value
