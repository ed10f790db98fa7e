"""What the settings of an installation let a job name, and what a job may say that came over HTTP.

A job has the whole home folder before it: its image, secrets and variables are therefore the operator's to allow.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headset.core.errors import InvalidInput
from headset.jobs.manifest import HOME
from headset.jobs.process import THREADS

if TYPE_CHECKING:
    from headset.core.config import JobsConfig
    from headset.jobs.spec import JobSpec

LOCAL_OPTIONS = (
    "--code",
    "--endpoint",
    "--html",
    "--learner",
    "--limits",
    "--out",
    "--recipe",
    "--scenario",
    "--space",
    "--suite",
)
"""Options that read or write files, load code or call an address: not for a job that came over HTTP."""

_KEPT_BY_HEADSET = ("keys", "log", "models")


def check_allowed(spec: JobSpec, settings: JobsConfig, home: Path) -> None:
    """Refuse a job that names what the settings do not allow, or a path among what Headset alone keeps.

    Args:
        spec: The job.
        settings: Say which images, secrets and variables jobs may name.
        home: The home folder.

    Raises:
        InvalidInput: it does.
    """
    named = spec.environment
    images = (settings.image, *settings.images)
    for field, names, allowed in (
        ("image", [named.image] if named.image else [], images),
        ("secrets", named.secrets, settings.secrets),
        ("variables", named.variables, (*THREADS, *settings.variables)),
    ):
        for name in names:
            if name not in allowed:
                setting = "jobs.images" if field == "image" else f"jobs.{field}"
                raise InvalidInput(
                    f"environment.{field}", f"{name[:80]!r} is nothing a job may name; add it to {setting} first"
                )
    for argument in spec.command:
        for value in {argument, argument.partition("=")[2]}:
            _check_path(value, home)


def check_remote(spec: JobSpec) -> None:
    """Refuse a job over HTTP that reads or writes files by path, loads code or calls an address.

    Raises:
        InvalidInput: it does.
    """
    for argument in spec.command:
        option = argument.partition("=")[0]
        if option in LOCAL_OPTIONS:
            raise InvalidInput(
                "command", f"{option} cannot be given over HTTP; use 'headset jobs submit' on the machine instead"
            )


def _check_path(value: str, home: Path) -> None:
    """``value`` is looked at from the worker's folder and, as in a container, from the home folder."""
    mounted = Path(value)
    if mounted.is_relative_to(HOME):
        mounted = home / mounted.relative_to(HOME)
    for path in (Path(value), home / mounted):
        try:
            target = path.resolve()
        except (OSError, RuntimeError):
            continue  # too long for a path, or a loop of links: no file
        for name in _KEPT_BY_HEADSET:
            folder = (home / name).resolve()
            if folder in target.parents or (folder == target and "/" in value):
                raise InvalidInput(
                    "command", f"{value[:80]!r} is in {name}/ of the home folder, which no job may name; choose another"
                )
