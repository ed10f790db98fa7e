"""A registered model as any MLflow user loads it: ``mlflow.pyfunc.load_model("models:/intent@champion")``.

MLflow runs this file ("models from code") wherever the model is loaded, so nothing is pickled. It reads
the same artifact as the server does, with the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow.models
import pandas as pd  # type: ignore[import-untyped]
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from headset.backends.loaders import text_loaders
from headset.core.clock import SystemClock
from headset.core.errors import ModelFailed
from headset.features.static_encoder import load_encoder
from headset.registry.hosted import Limits
from headset.registry.text_model import load_text_model

if TYPE_CHECKING:
    from headset.features.encoder import Encoder


class PortableModel(PythonModel):
    """Texts in the column ``text``; out come the intent, its calibrated confidence, and the scope score."""

    def load_context(self, context: PythonModelContext) -> None:
        """Read the artifact and the encoder it was trained with.

        Raises:
            ArtifactError: a file is missing or was changed, or the whole artifact is not the one that was exported.
            ModelFailed: the encoder is another: of the installed Headset, or in the file that came with the model.
        """
        config = context.model_config
        self._model = load_text_model(
            Path(context.artifacts["model"]),
            text_loaders(Limits(), SystemClock()),
            recorded=config.get("artifact_sha256", ""),
        )
        self._encoder = _encoder(context.artifacts.get("encoder"))
        needed = config["encoder_version"]
        if self._encoder.version != needed:
            raise ModelFailed(
                f"the model needs the encoder {needed}, here is {self._encoder.version};"
                " install the version named in the model's requirements.txt"
            )

    def predict(
        self,
        context: PythonModelContext,  # noqa: ARG002 - part of MLflow's interface
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002 - the same
    ) -> pd.DataFrame:
        """One row per text; ``automatic`` is true from the threshold on that was chosen for the stated precision."""
        texts = [str(text) for text in model_input["text"]]
        scores = self._model.score(texts, self._encoder.encode(texts))
        confidence = scores.probabilities.max(axis=1)
        return pd.DataFrame(
            {
                "intent": [self._model.labels[column] for column in scores.probabilities.argmax(axis=1)],
                "confidence": confidence,
                "in_scope": scores.in_scope,
                "automatic": confidence >= self._model.threshold,
            }
        )


def _encoder(file: str | None) -> Encoder:
    """The encoder in the file that came with the model; without one, that of the installed Headset."""
    if file is None:
        return load_encoder()
    from headset.backends.minilm import MiniLmEncoder  # noqa: PLC0415 - an extra

    return MiniLmEncoder(Path(file).read_bytes())


mlflow.models.set_model(PortableModel())
