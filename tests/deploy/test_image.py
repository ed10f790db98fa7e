"""What is in ``deploy`` fits the launchers that use it."""

from __future__ import annotations

import re

import kubernetes_validate
import pytest
import yaml
from contracts.launcher import attempt

from headset.core.config import JobsConfig
from headset.jobs.manifest import HOME, job_manifest


@pytest.fixture
def image(root):
    return (root / "deploy" / "Dockerfile").read_text("utf-8")


@pytest.fixture
def manifests(root):
    text = (root / "deploy" / "kubernetes" / "jobs.yaml").read_text("utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def test_the_image_runs_as_the_user_of_the_manifest(image):
    user = job_manifest(attempt("x"), JobsConfig())["spec"]["template"]["spec"]["securityContext"]["runAsUser"]
    assert re.findall(r"^USER (.*)$", image, re.MULTILINE) == [f"{user}:{user}"]


def test_the_image_has_its_home_where_launchers_mount_it(image):
    assert re.findall(r"^VOLUME (.*)$", image, re.MULTILINE) == [HOME]
    assert f"HEADSET_HOME={HOME}" in image
    assert image.rstrip().endswith('ENTRYPOINT ["headset"]')


def test_the_image_installs_only_what_is_pinned_by_hash(image):
    installs = [line for line in image.splitlines() if "pip install" in line]
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)


def test_only_sources_and_locks_go_into_the_image(root, image):
    allowed = {line[1:] for line in (root / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {name for line in re.findall(r"^COPY (?!--from)(.*)$", image, re.MULTILINE) for name in line.split()[:-1]}
    assert copied == allowed


def test_the_cluster_is_given_what_jobs_need_and_no_more(manifests):
    for each in manifests.values():
        kubernetes_validate.validate(each, "1.31", strict=True)
    assert manifests["PersistentVolumeClaim"]["metadata"]["name"] == JobsConfig().kubernetes_claim
    granted = {
        (resource, verb)
        for rule in manifests["Role"]["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    assert granted == {("jobs", "create"), ("jobs", "get"), ("jobs", "delete"), ("pods", "list"), ("pods/log", "get")}
    chosen = manifests["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert chosen.items() <= job_manifest(attempt("x"), JobsConfig())["spec"]["template"]["metadata"]["labels"].items()
