"""Jobs as Jobs of a Kubernetes cluster, by its own client."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from headset.core.errors import InvalidInput, StorageFailed
from headset.jobs.launcher import Status
from headset.jobs.manifest import job_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from headset.core.config import JobsConfig
    from headset.jobs.launcher import Attempt
    from headset.jobs.spec import JobSpec

_TIMEOUT_S = 15
_GONE = Status(running=False, reason="its Kubernetes Job is gone")
_HOPELESS = {"InvalidImageName", "ErrImageNeverPull", "ImagePullBackOff", "CreateContainerConfigError"}
_REASONS = {
    "DeadlineExceeded": "it ran longer than its limit",
    "OOMKilled": "it used more memory than its limit",
}
_SIGNALS = range(129, 193)


class KubernetesLauncher:
    """Runs each attempt as a Job named by its handle; it is deleted once its end and log are kept.

    Args:
        settings: Say which namespace, claim, Secret and image.
        api: The client; made from the pod's service account or the user's kubeconfig where left out.

    Raises:
        InvalidInput: neither is there.
    """

    def __init__(self, settings: JobsConfig, api: client.ApiClient | None = None) -> None:
        self._settings = settings
        self._namespace = settings.kubernetes_namespace
        api = api or _connected()
        self._batch = client.BatchV1Api(api)
        self._core = client.CoreV1Api(api)

    def check(self, spec: JobSpec) -> None:
        """See :meth:`Launcher.check`: the cluster alone knows what it has."""

    def start(self, attempt: Attempt) -> None:
        """See :meth:`Launcher.start`."""
        manifest: Any = job_manifest(attempt, self._settings)  # the client sends it as it is
        with _answered(but=409, is_start=True):
            self._batch.create_namespaced_job(self._namespace, manifest, _request_timeout=_TIMEOUT_S)

    def poll(self, handle: str) -> Status:
        """See :meth:`Launcher.poll`."""
        job: Any = None
        with _answered(but=404):
            job = self._batch.read_namespaced_job(handle, self._namespace, _request_timeout=_TIMEOUT_S)
        if job is None:
            return _GONE
        reached = {each.type: each for each in job.status.conditions or () if each.status == "True"}
        if "Complete" in reached:
            return Status(running=False, exit_code=0)
        code, why, hopeless = self._container(handle)
        if "Failed" in reached:
            why = reached["Failed"].reason if reached["Failed"].reason in _REASONS else why
            return Status(running=False, exit_code=code, reason=_REASONS.get(why, ""))
        if hopeless:
            return Status(running=False, reason=f"its container cannot be started: {why}")
        return Status(running=True)

    def logs(self, handle: str, offset: int) -> bytes:
        """See :meth:`Launcher.logs`."""
        pod = self._pod(handle)
        answer: Any = None
        if pod is not None:
            with _answered(but=400):  # its container is not there yet
                answer = self._core.read_namespaced_pod_log(
                    pod.metadata.name, self._namespace, _preload_content=False, _request_timeout=_TIMEOUT_S
                )
        return b"" if answer is None else bytes(answer.data[offset:])

    def cancel(self, handle: str) -> None:
        """See :meth:`Launcher.cancel`; the log of what is cancelled goes with it."""
        with _answered(but=404):
            self._batch.delete_namespaced_job(
                handle, self._namespace, propagation_policy="Foreground", _request_timeout=_TIMEOUT_S
            )

    def release(self, handle: str) -> None:
        """See :meth:`Launcher.release`."""
        self.cancel(handle)

    def _pod(self, handle: str) -> Any:  # noqa: ANN401 - the client has no types
        pods = []
        with _answered():
            pods = self._core.list_namespaced_pod(
                self._namespace, label_selector=f"job-name={handle}", _request_timeout=_TIMEOUT_S
            ).items
        return pods[0] if pods else None

    def _container(self, handle: str) -> tuple[int | None, str, bool]:
        """Exit code of the container, why it is as it is, and whether it can never start."""
        pod = self._pod(handle)
        for each in (pod.status.container_statuses or ()) if pod is not None else ():
            if each.state.terminated is not None:
                code = int(each.state.terminated.exit_code)
                return 128 - code if code in _SIGNALS else code, each.state.terminated.reason or "", False
            if each.state.waiting is not None:
                return None, each.state.waiting.reason or "", each.state.waiting.reason in _HOPELESS
        return None, "", False


def _connected() -> client.ApiClient:
    try:
        try:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
        except ConfigException:
            config.load_kube_config()  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise InvalidInput(
            "launcher", f"'kubernetes' finds no cluster ({error}); set KUBECONFIG, or run inside one"
        ) from None
    return client.ApiClient()


@contextmanager
def _answered(*, but: int = 0, is_start: bool = False) -> Iterator[None]:
    """Pass over the status ``but``; tell of any other as an error of Headset.

    Only a refusal to start is final: a job that runs is not given up because the cluster refuses one question.
    """
    try:
        yield
    except ApiException as error:
        if error.status == but:
            return
        problem = " ".join(str(error.body or error.reason).split())[:300]
        if is_start and error.status in {400, 403, 422}:
            raise InvalidInput("launcher", f"the cluster refuses the job ({error.status}): {problem}") from error
        raise StorageFailed(f"the cluster answers {error.status}: {problem}") from error
    except ValueError as error:
        raise InvalidInput("launcher", f"the client refuses the job: {' '.join(str(error).split())[:300]}") from error
    except Exception as error:  # whatever the client's transport raises
        raise StorageFailed(f"the cluster does not answer ({' '.join(str(error).split())[:200]})") from error
