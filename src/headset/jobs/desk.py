"""Jobs as JSON in and JSON out, as an API needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from headset.jobs.policy import check_remote
from headset.jobs.spec import decode_spec

if TYPE_CHECKING:
    from headset.jobs.record import Job
    from headset.jobs.spec import LauncherName
    from headset.jobs.store import Jobs


class JobDesk:
    """See :class:`Jobs`, which raises the errors.

    Args:
        jobs: The jobs of an installation.
        launcher: What runs a job that names no launcher.
    """

    def __init__(self, jobs: Jobs, *, launcher: LauncherName) -> None:
        self._jobs = jobs
        self._launcher = launcher

    def submit(self, spec: bytes) -> bytes:
        """See :meth:`Jobs.submit`; more is refused than on the machine itself, see :func:`check_remote`."""
        wanted = decode_spec(spec, launcher=self._launcher)
        check_remote(wanted)
        return self._shown(self._jobs.submit(wanted))

    def list(self, limit: int) -> bytes:
        """See :meth:`Jobs.list`."""
        return msgspec.json.encode({"jobs": [self._jobs.view(job) for job in self._jobs.list(limit=limit)]})

    def show(self, job_id: str) -> bytes:
        """See :meth:`Jobs.get`."""
        return self._shown(self._jobs.get(job_id))

    def lines(self, job_id: str, offset: int) -> bytes:
        """See :meth:`Jobs.lines`."""
        return msgspec.json.encode(self._jobs.lines(job_id, offset))

    def cancel(self, job_id: str) -> bytes:
        """See :meth:`Jobs.cancel`."""
        return self._shown(self._jobs.cancel(job_id))

    def _shown(self, job: Job) -> bytes:
        return msgspec.json.encode(self._jobs.view(job, whole=True))
