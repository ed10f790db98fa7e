"""Lineage for other tools: the training runs of a lineage as OpenLineage events, in a file or sent to a server.

The format: https://openlineage.io/docs/spec/object-model, as the installed client library has it.
"""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    dataset_version_dataset,
    documentation_dataset,
    documentation_job,
    job_type_job,
    ownership_dataset,
    parent_run,
    schema_dataset,
    source_code_location_job,
    tags_dataset,
    tags_run,
)
from openlineage.client.serde import Serde
from openlineage.client.transport.http import HttpConfig, HttpTransport

from headset import __version__
from headset.core.errors import InvalidInput, StorageFailed
from headset.core.ids import stable_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Any

    from headset.monitoring.lineage.graph import Lineage, Node

PRODUCER = f"urn:headset:{__version__}"
_SOURCE = "INTEGRATION"
_TIMEOUT_S = 5.0
_RETRY = {"total": 2, "backoff_factor": 0.3, "status_forcelist": [502, 503, 504], "allowed_methods": ["POST"]}


class ParentRun(NamedTuple):
    """The run that started a training, such as a task of a workflow; ``run_id`` is a UUID."""

    namespace: str
    job: str
    run_id: str


def run_events(
    lineage: Lineage, *, namespace: str = "headset", repository: str = "", parent: ParentRun | None = None
) -> list[RunEvent]:
    """A START and a COMPLETE event for each training run in ``lineage``.

    Inputs are the data set and the versions of the feature views that the run read, output is the model version. When a
    run began is not on record: both events bear the time it was registered. A run's id is MLflow's where that is a
    UUID, else derived from it.

    Args:
        lineage: Of a decision or a model version; other lineages hold no training runs.
        namespace: Of jobs and data sets, one per installation.
        repository: HTTP URL of the code's repository.
        parent: What started the runs.

    Raises:
        InvalidInput: there is no training run in ``lineage``, or ``parent.run_id`` is no UUID.
    """
    trained = [(model, run) for model in lineage.of("model") for run in lineage.targets(model.id, "run")]
    if not trained:
        raise InvalidInput("id", f"{lineage.root} holds no training run; ask for a decision or a version, intent@3")
    return [event for model, run in trained for event in _events(lineage, model, run, namespace, repository, parent)]


def write_events(events: Sequence[RunEvent], path: Path) -> None:
    """Write one event of JSON a line.

    Raises:
        StorageFailed: the file cannot be written.
    """
    try:
        path.write_text("".join(f"{to_json(event)}\n" for event in events), "utf-8")
    except OSError as error:
        raise StorageFailed(
            f"{path} cannot be written ({error.strerror}); name a file in a folder that takes one"
        ) from error


def send_events(events: Sequence[RunEvent], url: str, *, api_key: str = "") -> None:
    """Send events, in order, to a server such as Marquez; the same event again changes nothing there.

    Args:
        events: What to send.
        url: Of the server, ``http://localhost:5000``.
        api_key: Sent as a bearer token, if any.

    Raises:
        InvalidInput: ``url`` is no HTTP URL.
        StorageFailed: the server cannot be reached, or refused an event.
    """
    shown = without_userinfo(url)
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    config = HttpConfig(url=url, timeout=_TIMEOUT_S, retry=_RETRY, custom_headers=headers)
    try:
        parts = urlsplit(url)
        transport = HttpTransport(config) if parts.scheme in {"http", "https"} and parts.hostname else None
    except ValueError:
        transport = None
    if transport is None:
        raise InvalidInput("url", f"{shown[:80]!r} is no HTTP URL; give e.g. http://localhost:5000")
    with closing(transport):
        for place, event in enumerate(events):
            try:
                transport.emit(event)
            except (OSError, ValueError) as error:  # a ValueError where the host can be no name
                raise StorageFailed(
                    f"{shown} took {place} of {len(events)} events ({without_userinfo(str(error))});"
                    " send them again, or write them to a file"
                ) from None  # what it says would show the password


def without_userinfo(text: str) -> str:
    """``text`` without the user and password of URLs in it.

    >>> without_userinfo("http://ana:secret@localhost:5000 is away")
    'http://localhost:5000 is away'
    """
    return re.sub(r"://.*@", "://", text)


def to_json(event: RunEvent) -> str:
    """An event as one line of JSON."""
    return json.dumps(Serde.to_dict(event), sort_keys=True)


def _events(
    lineage: Lineage, model: Node, run: Node, namespace: str, repository: str, parent: ParentRun | None
) -> Iterator[RunEvent]:
    commit = next((node.details["commit"] for node in lineage.targets(run.id, "commit")), "")
    job = Job(namespace, f"train.{model.details['model']}", _job_facets(model, commit, repository))
    inputs = [
        *(_dataset(node, namespace) for node in lineage.targets(run.id, "dataset")),
        *(_view(run, node, namespace) for node in lineage.targets(run.id, "view")),
    ]
    outputs = [_model(model, namespace)]
    for state in (RunState.START, RunState.COMPLETE):
        yield RunEvent(
            eventType=state,
            eventTime=run.details["ended"],
            producer=PRODUCER,
            run=Run(_run_id(run), _run_facets(run, parent)),
            job=job,
            inputs=inputs,
            outputs=outputs,
        )


def _run_id(run: Node) -> str:
    try:
        return str(UUID(run.details.get("run_id", "")))  # MLflow's are UUIDs without hyphens
    except ValueError:
        return str(stable_id("run", run.id))


def _run_facets(run: Node, parent: ParentRun | None) -> dict[str, Any]:
    seed = tags_run.TagsRunFacetFields("seed", str(run.details.get("seed", "")), _SOURCE)
    facets: dict[str, Any] = {"tags": tags_run.TagsRunFacet([seed], producer=PRODUCER)}
    if parent is not None:
        try:
            started_by = parent_run.Run(str(UUID(parent.run_id)))
        except ValueError:
            raise InvalidInput("parent", f"{parent.run_id[:60]!r} is no UUID; give the id of the run") from None
        job = parent_run.Job(parent.namespace, parent.job)
        facets["parent"] = parent_run.ParentRunFacet(run=started_by, job=job, producer=PRODUCER)
    return facets


def _job_facets(model: Node, commit: str, repository: str) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "jobType": job_type_job.JobTypeJobFacet("BATCH", "HEADSET", "TRAINING", producer=PRODUCER),
        "documentation": documentation_job.DocumentationJobFacet(
            f"Trains the model {model.details['model']}.", producer=PRODUCER
        ),
    }
    if commit:
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            "git",
            f"{repository.removesuffix('/')}/tree/{commit}" if repository else f"git:{commit}",
            repoUrl=repository or None,
            version=commit,
            producer=PRODUCER,
        )
    return facets


def _dataset(node: Node, namespace: str) -> InputDataset:
    name, position = node.id.removeprefix("dataset:"), node.details.get("position")
    read = f", read up to offset {position} of the log" if position else ""
    return InputDataset(
        namespace,
        f"dataset/{name}",
        facets={
            "version": _version(node.details["fingerprint"]),
            "documentation": _documentation(f"Data set {name}{read}."),
        },
    )


def _view(run: Node, node: Node, namespace: str) -> InputDataset:
    told, kinds = node.details, node.details.get("kinds", {})
    read = {
        name: version
        for name, version in run.details.get("features", {}).items()
        if name.rpartition(".")[0] == told["name"]
    }
    fields = [
        schema_dataset.SchemaDatasetFacetFields(name, kinds.get(name.rpartition(".")[2]), f"version {version}")
        for name, version in read.items()
    ]
    facets: dict[str, Any] = {"schema": schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER)}
    if version := told.get("version"):
        facets["version"] = _version(version)
    if description := told.get("description") or told.get("problem"):
        facets["documentation"] = _documentation(description)
    if owner := told.get("owner"):
        owners = [ownership_dataset.Owner(f"team:{owner}", "MAINTAINER")]
        facets["ownership"] = ownership_dataset.OwnershipDatasetFacet(owners, producer=PRODUCER)
    return InputDataset(namespace, f"feature_view/{told['name']}", facets=facets)


def _model(model: Node, namespace: str) -> OutputDataset:
    told = model.details
    known = {name: told[name] for name in ("artifact_sha256", "encoder_version") if name in told}
    tags = [tags_dataset.TagsDatasetFacetFields(name, value, _SOURCE) for name, value in known.items()]
    return OutputDataset(
        namespace,
        f"model/{told['model']}",
        facets={
            "version": _version(told["version"]),
            "documentation": _documentation(f"Model {told['model']}, version {told['version']}."),
            "tags": tags_dataset.TagsDatasetFacet(tags, producer=PRODUCER),
        },
    )


def _version(version: str) -> dataset_version_dataset.DatasetVersionDatasetFacet:
    return dataset_version_dataset.DatasetVersionDatasetFacet(version, producer=PRODUCER)


def _documentation(description: str) -> documentation_dataset.DocumentationDatasetFacet:
    return documentation_dataset.DocumentationDatasetFacet(description, producer=PRODUCER)
