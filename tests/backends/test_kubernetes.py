from __future__ import annotations

import kubernetes_validate
import msgspec
import pytest
from backends.cluster import Cluster
from contracts.launcher import PROGRAM, LauncherContract, attempt
from kubernetes import client

from headset.backends.kubernetes import KubernetesLauncher
from headset.core.config import JobsConfig
from headset.core.errors import InvalidInput, StorageFailed
from headset.jobs.manifest import job_manifest

SETTINGS = JobsConfig(kubernetes_namespace="training", image="registry.example/headset:1")
WHOLE = {
    "resources": {"cpus": 1.5, "memory_mb": 2048, "gpus": 1, "time_limit_s": 59.5},
    "environment": {"variables": {"A": "b"}, "secrets": ["API_TOKEN"]},
}


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def cluster(tmp_path):
    return Cluster(PROGRAM, {"headset-home": str(tmp_path)}, {"headset-secrets": {"API_TOKEN": "told to nobody"}})


@pytest.fixture
def again(cluster):
    with cluster.serving() as url:
        configuration = client.Configuration()
        configuration.host, configuration.retries, configuration.proxy = url, 0, None
        opened = []

        def connect():
            opened.append(client.ApiClient(configuration))
            return KubernetesLauncher(SETTINGS, opened[-1])

        yield connect
        for each in opened:
            each.rest_client.pool_manager.clear()


@pytest.fixture
def launcher(again):
    return again()


class TestKubernetesLauncher(LauncherContract):
    def test_a_secret_that_is_not_there_is_named(self):
        pytest.skip("the cluster holds the secrets, and tells of those it has not")

    def test_an_image_that_cannot_be_pulled_ends_it(self, launcher, cluster):
        cluster.waiting = "ImagePullBackOff"
        work = attempt("x")
        launcher.start(work)
        assert launcher.poll(work.handle).reason == "its container cannot be started: ImagePullBackOff"
        assert launcher.logs(work.handle, 0) == b""

    def test_a_container_that_is_being_made_runs(self, launcher, cluster):
        cluster.waiting = "ContainerCreating"
        work = attempt("x")
        launcher.start(work)
        assert launcher.poll(work.handle).running

    @pytest.mark.parametrize(("answer", "kind"), [(500, StorageFailed), (503, StorageFailed), (403, InvalidInput)])
    def test_a_cluster_that_refuses_is_told(self, launcher, cluster, answer, kind):
        cluster.broken = answer
        with pytest.raises(kind, match=str(answer)):
            launcher.start(attempt("x"))

    @pytest.mark.parametrize("answer", [403, 422, 500, 503])
    def test_a_question_that_is_refused_for_now_ends_no_job(self, launcher, cluster, answer):
        work = attempt("wait")
        launcher.start(work)
        cluster.broken = answer
        for question in (launcher.poll, lambda handle: launcher.logs(handle, 0)):
            with pytest.raises(StorageFailed, match=str(answer)):
                question(work.handle)
        cluster.broken = 0
        assert launcher.poll(work.handle).running
        launcher.cancel(work.handle)

    def test_a_manifest_that_is_none_is_refused(self, launcher, monkeypatch):
        monkeypatch.setattr("headset.backends.kubernetes.job_manifest", lambda *_: {"spec": {"retries": 3}})
        with pytest.raises(InvalidInput, match="refuses the job"):
            launcher.start(attempt("x"))


def test_a_cluster_that_is_not_there_is_told():
    configuration = client.Configuration()
    configuration.host, configuration.retries, configuration.proxy = "http://127.0.0.1:9", 0, None
    launcher = KubernetesLauncher(SETTINGS, client.ApiClient(configuration))
    for call in (lambda: launcher.start(attempt("x")), lambda: launcher.poll("x"), lambda: launcher.logs("x", 0)):
        with pytest.raises(StorageFailed, match="does not answer"):
            call()


def test_without_a_cluster_the_next_step_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InvalidInput, match="set KUBECONFIG"):
        KubernetesLauncher(SETTINGS)


@pytest.mark.parametrize("version", ["1.25", "1.31", "1.37"])
@pytest.mark.parametrize("rest", [{}, WHOLE])
def test_the_manifest_keeps_to_the_published_schema(version, rest):
    kubernetes_validate.validate(job_manifest(attempt("x", **rest), SETTINGS), version, strict=True)


def test_the_manifest_says_what_the_spec_says():
    made = job_manifest(attempt("say:x", **WHOLE), SETTINGS)
    pod = made["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert container["args"] == ["train", "say:x"]
    assert container["resources"]["limits"] == {"cpu": "1500m", "memory": "2048Mi", "nvidia.com/gpu": "1"}
    assert made["spec"]["activeDeadlineSeconds"] == 60
    assert (made["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert {"name": "A", "value": "b"} in container["env"]
    reference = {"secretKeyRef": {"name": "headset-secrets", "key": "API_TOKEN"}}
    assert {"name": "API_TOKEN", "valueFrom": reference} in container["env"]


def test_the_manifest_gives_no_privileges():
    pod = job_manifest(attempt("x"), SETTINGS)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert not pod["automountServiceAccountToken"]
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_the_manifest_of_an_equal_spec_is_equal():
    first, second = (msgspec.json.encode(job_manifest(attempt("x", **WHOLE), SETTINGS)) for _ in range(2))
    assert first == second
