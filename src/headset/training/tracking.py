"""Training runs in MLflow: what went in, how good it was, and the model itself, loadable by any MLflow user.

MLflow is configured by environment variables it reads when it is imported, here and nowhere else: no
telemetry, no chatter, short patience with a server that does not answer. What the user has set holds.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from msgspec import Struct

_SETTINGS = {
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)  # noqa: TID251 - the only way MLflow takes them

import mlflow  # noqa: E402 - reads the settings above
import mlflow.pyfunc  # noqa: E402
import pandas as pd  # type: ignore[import-untyped]  # noqa: E402
from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric, Param, RunStatus, RunTag  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.models import Model, ModelSignature  # noqa: E402
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository  # noqa: E402
from mlflow.store.artifact.models_artifact_repo import ModelsArtifactRepository  # noqa: E402
from mlflow.store.artifact.utils.models import get_model_name_and_version  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

from headset.core.errors import InvalidInput, StorageFailed  # noqa: E402
from headset.training.plugin.foreign_folder import BYTES_LIMIT  # noqa: E402
from headset.training.recording import with_driver, without_password  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlflow.pyfunc import PyFuncModel
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

_KEY, _NAME, _PARENT = "headset.key", "mlflow.runName", "mlflow.parentRunId"


class Run(Struct, frozen=True):
    """What is kept of one training.

    Attributes:
        model: Name of the experiment and of the registered model.
        started: Microseconds since the epoch.
        ended: The same, when the model was fitted and evaluated.
        params: What was chosen before fitting.
        metrics: What was measured; finite numbers.
        tags: Where it came from: data, commit, versions.
        report: Folder of tables and pictures.
    """

    model: str
    started: int
    ended: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    report: Path


class Portable(Struct, frozen=True):
    """The model as MLflow keeps it.

    Attributes:
        code: File that MLflow runs to load the model.
        artifact: Folder that the code reads.
        signature: JSON of inputs and outputs, in MLflow's form.
        config: What else the code needs to know.
        requirements: What to install where the model is loaded.
        alias: Points at the new version; None for no alias.
        example: Columns of input, as they would be given.
        encoder: File of the encoder that the code needs beside what is installed; None for none.
    """

    code: Path
    artifact: Path
    signature: str
    config: Mapping[str, str]
    requirements: tuple[str, ...]
    alias: str | None
    example: Mapping[str, list[str]]
    encoder: Path | None = None


class Begun(Struct, frozen=True):
    """What is known when a run of a search begins.

    Attributes:
        name: As people read it.
        started: Microseconds since the epoch.
        params: What was chosen.
        tags: Where it came from.
        parent: Id of the run it is nested in; empty for none.
    """

    name: str
    started: int
    params: Mapping[str, str]
    tags: Mapping[str, str]
    parent: str = ""


class Tracker:
    """One MLflow store: a database with a folder of artifacts, or a tracking server.

    Args:
        uri: ``sqlite:///PATH``, ``postgresql://…`` or ``http(s)://…``.
        artifacts: Where artifacts go; None leaves that to the server.

    Raises:
        StorageFailed: the store does not answer; the message names it, without any password.
    """

    def __init__(self, uri: str, artifacts: Path | None = None) -> None:
        uri = with_driver(uri)
        self.uri = without_password(uri)
        self._full_uri = uri
        self._artifacts = artifacts
        with self._translated("reached"):
            self._client = MlflowClient(uri, uri)
            self._client.search_experiments(max_results=1)

    @contextmanager
    def record(self, run: Run, portable: Portable) -> Iterator[str]:
        """Keep a run with its model, then enter the block with the run's id.

        When the block raises, the run is marked as failed and the model version is taken back.

        Raises:
            StorageFailed: something could not be kept; the block was not entered.
        """
        with self._translated("written"):
            experiment = self._experiment(run.model)
            run_id = str(self._client.create_run(experiment, start_time=run.started // 1_000).info.run_id)
        version = None
        try:
            with self._translated("written"):
                self._keep(run_id, run)
                version = self._register(experiment, run_id, run.model, portable)
                self._client.set_terminated(run_id, end_time=run.ended // 1_000)
            yield run_id
        except BaseException:
            with suppress(Exception):
                self._client.set_terminated(run_id, RunStatus.to_string(RunStatus.FAILED))
                if version is not None:
                    self._client.delete_model_version(run.model, version)
            raise

    def open_run(self, experiment: str, key: str, begun: Begun) -> str:
        """The run of an experiment that has this key, begun now where there is none; gives its id.

        Raises:
            StorageFailed: it cannot be kept.
        """
        with self._translated("written"):
            place = self._experiment(experiment)
            found = self._client.search_runs([place], f"tags.{_KEY} = '{key}'", max_results=1)
            if found:
                run = found[0]
            else:
                tags = {**begun.tags, _KEY: key, _NAME: begun.name} | ({_PARENT: begun.parent} if begun.parent else {})
                run = self._client.create_run(place, start_time=begun.started // 1_000, tags=tags, run_name=begun.name)
            absent = [Param(name, value) for name, value in begun.params.items() if name not in run.data.params]
            if absent:  # of a run that is new, or whose maker was killed here
                self._client.log_batch(run.info.run_id, params=absent)
            return str(run.info.run_id)

    def close_run(
        self, run_id: str, *, ended: int, metrics: Mapping[str, Sequence[float]], state: str, report: Path | None = None
    ) -> None:
        """Keep what a run gave, each metric step by step, and end it as ``FINISHED``, ``KILLED`` or ``FAILED``.

        Raises:
            StorageFailed: it cannot be kept.
        """
        with self._translated("written"):
            values = [
                Metric(name, value, ended // 1_000, step)
                for name, steps in metrics.items()
                for step, value in enumerate(steps)
            ]
            self._client.log_batch(run_id, metrics=values)
            if report is not None:
                self._client.log_artifacts(run_id, str(report))
            self._client.set_terminated(run_id, state, end_time=ended // 1_000)

    def fetch(self, uri: str, to: Path) -> Path:
        """Copy the files behind ``models:/…`` or ``runs:/…`` into the folder ``to``.

        Raises:
            InvalidInput: they are more than a model may have.
            StorageFailed: the store does not have or give them.
        """
        store = self._full_uri
        with self._translated("read"):
            place = self._place(uri)
            size = _remote_size(get_artifact_repository(place, tracking_uri=store))
        if size > BYTES_LIMIT:
            raise InvalidInput("path", f"{uri} has {size} bytes, at most {BYTES_LIMIT} may be imported")
        with self._translated("read"):
            return Path(mlflow.artifacts.download_artifacts(place, dst_path=str(to), tracking_uri=store))

    def _place(self, uri: str) -> str:
        """Where the files of ``models:/…`` are, by this store: MLflow itself asks the one its process is set to."""
        inside = ""
        while uri.startswith("models:"):
            model, path = ModelsArtifactRepository.split_models_uri(uri)  # type: ignore[no-untyped-call]
            inside = "/".join(filter(None, (path, inside)))
            found = get_model_name_and_version(self._client, model)  # type: ignore[no-untyped-call]
            if len(found) == 1:
                uri = str(self._client.get_logged_model(found[0]).artifact_location)
            else:
                uri = str(self._client.get_model_version_download_uri(*found))
        return f"{uri.rstrip('/')}/{inside}" if inside else uri

    def _experiment(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        if known is not None:
            return str(known.experiment_id)
        place = None if self._artifacts is None else self._artifacts.absolute().as_uri()
        return str(self._client.create_experiment(name, artifact_location=place))

    def _keep(self, run_id: str, run: Run) -> None:
        self._client.log_batch(
            run_id,
            metrics=[Metric(name, value, run.ended // 1_000, 0) for name, value in run.metrics.items()],
            params=[Param(name, value) for name, value in run.params.items()],
            tags=[RunTag(name, value) for name, value in run.tags.items()],
        )
        self._client.log_artifacts(run_id, str(run.report))

    def _register(self, experiment: str, run_id: str, name: str, portable: Portable) -> str:
        logged = self._client.create_logged_model(experiment, name, source_run_id=run_id)
        self._client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step=0)])
        with TemporaryDirectory() as folder:
            save_model(portable, Path(folder) / "model", Model(run_id=run_id, model_id=logged.model_id))
            self._client.log_model_artifacts(logged.model_id, str(Path(folder) / "model"))
        self._client.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
        with suppress(MlflowException):  # it exists from the second run on
            self._client.create_registered_model(name)
        made = self._client.create_model_version(name, logged.artifact_location, run_id, model_id=logged.model_id)
        if portable.alias is not None:
            self._client.set_registered_model_alias(name, portable.alias, made.version)
        return str(made.version)

    @contextmanager
    def _translated(self, deed: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever MLflow's drivers raise
            problem = " ".join(str(error).replace(self._full_uri, self.uri).split())[:200]
            if deed == "read":
                raise StorageFailed(f"the MLflow store {self.uri} does not give it ({problem})") from None
            raise StorageFailed(
                f"the MLflow store {self.uri} cannot be {deed}, so nothing was registered;"
                f" start it, or set tracking_uri to another ({problem})"
            ) from None


def open_tracker(home: Path, tracking_uri: str) -> Tracker:
    """The store that ``tracking_uri`` names, or the one in ``home``.

    Raises:
        StorageFailed: it does not answer.
    """
    uri = tracking_uri or f"sqlite:///{home.absolute() / 'mlflow.db'}"
    served = uri.startswith(("http://", "https://"))  # a server knows where it keeps artifacts
    return Tracker(uri, None if served else home / "mlruns")


def _remote_size(place: ArtifactRepository, path: str | None = None) -> int:
    """Bytes of all files in a place, as the store says."""
    size = 0
    for item in place.list_artifacts(path):
        size += _remote_size(place, item.path) if item.is_dir else item.file_size or 0
    return size


def open_model(folder: Path) -> PyFuncModel:
    """A saved MLflow model of any flavour; this runs code of whoever made it."""
    model: PyFuncModel = mlflow.pyfunc.load_model(str(folder))
    return model


def read_mlmodel(folder: Path) -> tuple[dict[str, Any], str | None]:
    """The flavours an MLflow model has, and its signature in MLflow's form, if any; nothing of it is run.

    Raises:
        InvalidInput: the folder holds no MLflow model.
    """
    try:
        model = Model.load(str(folder))
        signature = None if model.signature is None else json.dumps(model.signature.to_dict())
    except Exception as error:  # noqa: BLE001 - whatever MLflow raises of a file that is none of its own
        problem = " ".join(str(error).split())[:200]
        raise InvalidInput("path", f"holds no MLflow model that can be read ({problem}); name its folder") from None
    return dict(model.flavors), signature


def save_model(portable: Portable, folder: Path, model: Model | None = None) -> None:
    """Write the MLflow model into ``folder``, which is not there yet."""
    files = {"model": portable.artifact} | ({} if portable.encoder is None else {"encoder": portable.encoder})
    with warnings.catch_warnings():  # of MLflow's own deprecated calls
        warnings.simplefilter("ignore", DeprecationWarning)
        mlflow.pyfunc.save_model(
            folder,
            mlflow_model=model,
            python_model=str(portable.code),
            artifacts={name: str(path) for name, path in files.items()},
            model_config=dict(portable.config),
            signature=ModelSignature.from_dict(json.loads(portable.signature)),
            input_example=pd.DataFrame(dict(portable.example)),
            pip_requirements=list(portable.requirements),
        )
