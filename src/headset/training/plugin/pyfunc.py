"""An MLflow model of any flavour, read from the registry's own files.

Runs in a process of its own (:mod:`headset.training.plugin.host`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]

from headset.core.errors import ArtifactError, ModelFailed
from headset.registry.hosted import MLFLOW
from headset.registry.signature import read_signature
from headset.training.plugin.pyfunc_columns import Columns, columns_of
from headset.training.tracking import open_model

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from headset.registry.hosted import HostedManifest


class SavedPyfunc:
    """A loaded MLflow model."""

    def __init__(self, directory: Path, manifest: HostedManifest) -> None:
        self._model = open_model(directory / MLFLOW)
        signature = self._model.metadata.signature
        if signature is None:
            raise ArtifactError(f"the MLflow model in {directory} has no signature; log it with one")
        self.signature = json.dumps(signature.to_dict())
        self._columns = columns_of(read_signature(self.signature))
        self._labels = manifest.labels
        self._place = {label: column for column, label in enumerate(manifest.labels)}

    def values(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """See :class:`headset.training.plugin.host.Model`."""
        given = self._model.predict(_rows(self._columns, texts))
        if self._columns.gives == "probabilities":
            return _numbers(given, self._columns, self._labels)
        answers = _column(given, self._columns.label, len(texts))
        confidence: Any = np.ones(len(texts))
        if self._columns.gives == "confidence":
            confidence = np.maximum(_float(_column(given, self._columns.confidence, len(texts))), np.finfo(float).tiny)
        values = np.zeros((len(texts), len(self._labels)))
        for row, answer in enumerate(answers):
            column = self._place.get(str(answer))
            if column is None:
                raise ModelFailed("answered with a label that is none of its own; see --labels")
            values[row, column] = confidence[row]
        return values


def _rows(columns: Columns, texts: Sequence[str]) -> Any:
    if columns.is_array:
        return np.array(texts, str)
    return pd.Series(list(texts)) if columns.text == "" else pd.DataFrame({columns.text: list(texts)})


def _column(given: Any, name: str | int, rows: int) -> NDArray[Any]:
    found = np.asarray(given[name] if name != "" else given)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.shape != (rows,):
        raise ModelFailed(f"gave an array {found.shape} for {rows} texts")
    return found


def _numbers(given: Any, columns: Columns, labels: Sequence[str]) -> NDArray[np.float64]:
    return _float(given[list(labels)] if columns.labels else given)


def _float(given: Any) -> NDArray[np.float64]:
    try:
        return np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ModelFailed("gave something that is no number") from None
