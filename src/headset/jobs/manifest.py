"""A job as a Kubernetes Job (``batch/v1``): data, made without the cluster's client."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from headset.core.config import HOME_VARIABLE
from headset.jobs.launcher import ENVIRONMENT

if TYPE_CHECKING:
    from headset.core.config import JobsConfig
    from headset.jobs.launcher import Attempt
    from headset.jobs.spec import JobSpec

HOME = "/var/lib/headset"
CONTAINER = "job"
_USER = 10_001  # as in deploy/Dockerfile
_GRACE_S = 20
_KEPT_S = 86_400


def job_manifest(attempt: Attempt, settings: JobsConfig) -> dict[str, Any]:
    """The Job that runs one attempt.

    It runs once (retries are the platform's), as nobody, without privileges, a service account's token or a writable
    system; the home folder is a volume, secrets come from a Secret by reference.
    """
    spec = attempt.spec
    labels = {
        "app.kubernetes.io/name": "headset",
        "app.kubernetes.io/component": "job",
        "app.kubernetes.io/managed-by": "headset",
        "headset/job": attempt.job_id,
    }
    container = {
        "name": CONTAINER,
        "image": spec.environment.image or settings.image,
        "args": spec.arguments,
        "env": _variables(spec, settings.kubernetes_secret),
        "resources": _resources(spec),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "home", "mountPath": HOME}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    pod = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # their variables would be taken for settings
        "terminationGracePeriodSeconds": _GRACE_S,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "home", "persistentVolumeClaim": {"claimName": settings.kubernetes_claim}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    limit = spec.resources.time_limit_s
    deadline = {} if limit is None else {"activeDeadlineSeconds": math.ceil(limit)}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": attempt.handle,
            "namespace": settings.kubernetes_namespace,
            "labels": labels,
            "annotations": {"headset/spec-sha256": spec.hash},
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "ttlSecondsAfterFinished": _KEPT_S,
            **deadline,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _variables(spec: JobSpec, secret: str) -> list[dict[str, Any]]:
    plain = ENVIRONMENT | spec.environment.variables | {HOME_VARIABLE: HOME}
    return [{"name": name, "value": value} for name, value in sorted(plain.items())] + [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": name}}}
        for name in spec.environment.secrets
    ]


def _resources(spec: JobSpec) -> dict[str, dict[str, str]]:
    asked = spec.resources
    limits: dict[str, str] = {}
    if asked.cpus is not None:
        limits["cpu"] = f"{round(asked.cpus * 1_000)}m"
    if asked.memory_mb is not None:
        limits["memory"] = f"{asked.memory_mb}Mi"
    if asked.gpus:
        limits["nvidia.com/gpu"] = str(asked.gpus)
    return {"requests": limits, "limits": limits} if limits else {}
