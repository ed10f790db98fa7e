"""On a real engine, with an image assembled from this machine's own files; where none runs, that part is skipped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

import pytest
from contracts.launcher import SCRIPT, LauncherContract, attempt

from headset.backends.container import ContainerLauncher
from headset.core.config import JobsConfig
from headset.core.errors import InvalidInput, StorageFailed

IMAGE = "localhost/headset-contract:latest"
CONFINED = """
[containers]
cgroups = "no-conmon"
default_ulimits = ["nofile=1024:4096", "nproc=1024:2048"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
"""Settings of podman for machines that are themselves confined, as those of CI often are."""

STORAGE = """
[storage]
driver = "vfs"
graphroot = "{folder}/images"
runroot = "{folder}/run"
"""


@pytest.fixture(scope="session")
def engine(tmp_path_factory, root_folder):
    """The environment and settings of an engine that runs containers here."""
    folder = tmp_path_factory.mktemp("engine")
    (folder / "containers.conf").write_text(CONFINED)
    (folder / "storage.conf").write_text(STORAGE.format(folder=folder))
    (folder / "work.py").write_text(SCRIPT)
    archive = folder / "image.tar"
    environ = {**os.environ, "API_TOKEN": "told to nobody"}
    own_storage = {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf")}
    reasons = []
    for name, more in (
        ("podman", own_storage),
        ("podman", own_storage | {"CONTAINERS_CONF": str(folder / "containers.conf")}),
        ("docker", {}),
    ):
        if shutil.which(name) is None:
            reasons.append(f"{name} is not installed")
            continue
        tried = environ | more
        if not archive.exists():
            with archive.open("wb") as file:
                assemble = {**environ, "PROGRAM": str(folder / "work.py")}
                subprocess.run([root_folder / "tools" / "assemble_image.sh"], stdout=file, env=assemble, check=True)
        change = 'ENTRYPOINT ["/usr/bin/headset"]'
        for command in (
            [name, "import", "--change", change, str(archive), IMAGE],
            [name, "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", IMAGE, "train", "say:works"],
        ):
            done = subprocess.run(command, env=tried, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                reasons.append(f"{name}: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
                break
        else:
            yield tried, JobsConfig(image=IMAGE, container_engine=name)
            subprocess.run([name, "rmi", "--force", IMAGE], env=tried, capture_output=True, check=False)
            return
    pytest.skip(f"no container engine runs here ({'; '.join(reasons)})")


@pytest.fixture(scope="session")
def root_folder(request):
    return request.config.rootpath


@pytest.fixture
def home(tmp_path):
    return tmp_path


@pytest.fixture
def again(engine, home):
    environ, settings = engine
    return lambda: ContainerLauncher(settings, home, environ)


@pytest.fixture
def launcher(again):
    return again()


@pytest.mark.slow
class TestContainerLauncher(LauncherContract):
    def test_a_container_is_confined(self, launcher):
        work = attempt("say:x", "exit:0", job_id="confined", resources={"cpus": 1, "memory_mb": 256})
        launcher.start(work)
        assert self.ended(launcher, work.handle).exit_code == 0
        launcher.release(work.handle)

    def test_an_image_that_is_not_there_is_told(self, launcher):
        work = attempt("x", job_id="no-image", environment={"image": "localhost/nowhere:1"})
        with pytest.raises(StorageFailed, match="cannot be started"):
            launcher.start(work)


# -- without an engine: a stand-in that notes its arguments -----------------------------------------------------------


@pytest.fixture
def stand_in(tmp_path):
    """``stand_in(code, said)`` makes an engine that notes its arguments and answers so."""

    def make(code=0, said="", name="podman"):
        engine = tmp_path / name
        noted = tmp_path / "noted"
        engine.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >> {noted}\necho "{said}" >&2\nexit {code}\n')
        engine.chmod(0o755)
        environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "API_TOKEN": "told to nobody"}
        settings = JobsConfig(container_engine=name, container_network="host", image="headset:1")
        return ContainerLauncher(settings, tmp_path, environ), lambda: noted.read_text().splitlines()

    return make


def test_a_container_is_limited_and_without_privileges(stand_in):
    launcher, noted = stand_in()
    resources = {"cpus": 1.5, "memory_mb": 512, "gpus": 1}
    launcher.start(attempt("x;y", resources=resources, environment={"secrets": ["API_TOKEN"], "image": "other:2"}))
    said = noted()
    for option, value in {
        "--name": "headset-job-1", "--network": "host", "--cpus": "1.5", "--memory": "512m", "--cap-drop": "ALL",
        "--security-opt": "no-new-privileges", "--user": f"{os.getuid()}:{os.getgid()}", "--device": "nvidia.com/gpu=0",
    }.items():  # fmt: skip
        assert said[said.index(option) + 1] == value
    assert "--read-only" in said
    assert said[-3:] == ["other:2", "train", "x;y"]
    assert "told to nobody" not in "".join(said)


@pytest.mark.parametrize("deed", ["start", "poll", "logs", "cancel", "release"])
def test_an_engine_that_does_not_answer_is_told(stand_in, deed):
    launcher, _ = stand_in(125, "Cannot connect to the daemon")
    work = attempt("x")
    calls = {"start": (work,), "logs": (work.handle, 0)}
    with pytest.raises(StorageFailed, match="Cannot connect to the daemon"):
        getattr(launcher, deed)(*calls.get(deed, (work.handle,)))


def test_without_an_engine_the_setting_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"needs podman or docker.*jobs\.container_engine"):
        ContainerLauncher(JobsConfig(), tmp_path, {"PATH": str(tmp_path)})


def test_the_code_of_a_signal_is_told_as_such(stand_in, tmp_path):
    launcher, _ = stand_in()
    (tmp_path / "podman").write_text("""#!/bin/sh\necho '{"Status": "exited", "ExitCode": 137, "OOMKilled": true}'\n""")
    status = launcher.poll("x")
    assert (status.exit_code, status.reason) == (-signal.SIGKILL, "it used more memory than its limit")
