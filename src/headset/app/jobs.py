"""Jobs of an installation: what may be submitted, what runs it, and the worker of the queue."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from headset.core.errors import InvalidInput

if TYPE_CHECKING:
    import threading

    from headset.app.installation import Installation
    from headset.jobs.launcher import Launcher
    from headset.jobs.spec import JobSpec, LauncherName
    from headset.jobs.worker import Worker


def open_launcher(parts: Installation, name: LauncherName) -> Launcher:
    """What runs jobs, by its name.

    Raises:
        InvalidInput: its engine is not there, or its client not installed.
    """
    settings, home = parts.config.jobs, parts.config.home
    if name == "process":
        from headset.jobs.process import ProcessLauncher

        return ProcessLauncher(home / "jobs" / "running", home, os.environ)
    if name == "container":
        from headset.backends.container import ContainerLauncher

        return ContainerLauncher(settings, home, os.environ)
    try:
        if name == "kubernetes":
            from headset.backends.kubernetes import KubernetesLauncher

            return KubernetesLauncher(settings)
        from headset.backends.ray import RayLauncher

        return RayLauncher(settings.ray_address, home, os.environ)
    except ImportError:
        raise InvalidInput(
            "launcher", f"{name!r} needs its client, which is not installed; install headset[{name}]"
        ) from None


def check_job(parts: Installation, spec: JobSpec) -> None:
    """Refuse a job that could never run here.

    Raises:
        InvalidInput: it names what is not allowed or not there, or its launcher cannot do it.
    """
    from headset.data.dataset import check_dataset
    from headset.jobs.policy import check_allowed

    check_allowed(spec, parts.config.jobs, parts.config.home)
    if spec.data is not None:
        check_dataset(parts.log, spec.data)
    if spec.features is not None:
        name, _, version = spec.features.partition("@")
        live = parts.catalogue.service(name).version
        if version not in {"", live}:
            raise InvalidInput("features", f"{name!r} is live in version {live}, not {version}; name that one")
    parts.launcher(spec.launcher).check(spec)


def job_worker(parts: Installation, stop: threading.Event) -> Worker:
    """A worker for the queue of jobs, until ``stop`` is set."""
    from headset.jobs.runner import Runner
    from headset.jobs.worker import Queue, Worker

    folder, settings = parts.config.home / "jobs", parts.config.jobs

    def open_queue(runner: Runner) -> Queue:
        from headset.backends.dbos import DbosQueue

        url = settings.database or f"sqlite:///{folder / 'queue.db'}"
        return DbosQueue(url, runner, concurrency=settings.concurrency)

    runner = Runner(parts.jobs, parts.launcher, parts.clock, stop=stop, worker=str(parts.ids.new()))
    return Worker(parts.jobs, runner, open_queue, folder, parts.clock, stop=stop)
