"""The registered risk model as any MLflow user loads it: ``mlflow.pyfunc.load_model("models:/risk@champion")``.

MLflow runs this file ("models from code") wherever the model is loaded, so nothing is pickled. It reads the same
compiled artifact as the server does, with the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlflow.models
import msgspec
import numpy as np
import pandas as pd  # type: ignore[import-untyped]
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from headset.registry.risk import RiskScorer


class PortableRisk(PythonModel):
    """JSON objects of feature values in the column ``features``; out come the risk and whether to hand off."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the artifact.

        Raises:
            ArtifactError: a file is missing or was changed.
        """
        self._scorer = RiskScorer.load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - part of MLflow's interface
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002 - the same
    ) -> pd.DataFrame:
        """One row per object; a list of numbers is a vector."""
        rows = [msgspec.json.decode(text, type=dict[str, Any]) for text in model_input["features"]]
        risks = self._scorer.score(
            [
                {name: np.array(value, np.float32) if isinstance(value, list) else value for name, value in row.items()}
                for row in rows
            ]
        )
        return pd.DataFrame({"risk": risks, "handoff": risks >= self._scorer.threshold})


mlflow.models.set_model(PortableRisk())
