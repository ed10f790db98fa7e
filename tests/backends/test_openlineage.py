"""Events are checked against the classes that the client library generates from OpenLineage's JSON schema.

The library ships no schema files. Its classes name the schema and version of each object, its fields, their types and
which of them are required; ``conforms`` holds the JSON against them, the way a validator holds it against the schema.
"""

from __future__ import annotations

import http.server
import importlib
import json
import pkgutil
import re
import threading
import types
import typing
from datetime import datetime
from enum import Enum
from urllib.parse import urlsplit
from uuid import UUID

import attr
import pytest
from openlineage.client import generated

from headset.backends.openlineage import ParentRun, run_events, send_events, to_json, write_events
from headset.core.errors import HeadsetError, InvalidInput, StorageFailed
from headset.monitoring.lineage.graph import Edge, Lineage, Node

COMMIT = "c0de" * 10
BASE = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
FACETS = {"RunFacet", "JobFacet", "DatasetFacet", "InputDatasetFacet", "OutputDatasetFacet"}
_MODULES = [
    importlib.import_module(f"{generated.__name__}.{one.name}") for one in pkgutil.iter_modules(generated.__path__)
]
CLASSES = {
    kind._get_schema(): kind
    for module in _MODULES
    for kind in vars(module).values()
    if isinstance(kind, type) and attr.has(kind) and hasattr(kind, "_get_schema")
}


def conforms(value, hint, path="event"):
    """Raise ``AssertionError`` where ``value``, of JSON, is not what ``hint`` says."""
    origin = typing.get_origin(hint)
    if origin in {typing.Union, types.UnionType}:
        inner = [one for one in typing.get_args(hint) if one is not type(None)]
        assert len(inner) == 1, path
        return conforms(value, inner[0], path)
    if origin is list:
        assert isinstance(value, list), path
        for place, one in enumerate(value):
            conforms(one, typing.get_args(hint)[0], f"{path}[{place}]")
    elif origin is dict:
        assert isinstance(value, dict), path
        for name, one in value.items():
            conforms(one, typing.get_args(hint)[1], f"{path}.{name}")
    elif isinstance(hint, type) and issubclass(hint, Enum):
        assert value in {one.value for one in hint}, path
    elif attr.has(hint):
        conforms_to_class(value, hint, path)
    else:
        assert hint is typing.Any or type(value) is hint, f"{path} is {value!r}"
    return None


def conforms_to_class(value, kind, path):
    assert isinstance(value, dict), path
    if kind.__name__ in FACETS:  # which facet it is, it says itself
        assert value["_schemaURL"] in CLASSES, path
        actual = CLASSES[value["_schemaURL"]]
        assert issubclass(actual, kind), f"{path} is no {kind.__name__}"
        kind = actual
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in attr.fields(kind)}
    assert set(value) <= set(fields), f"{path}: {set(value) - set(fields)} is no field"
    required = {name for name, field in fields.items() if field.default is attr.NOTHING}
    required |= {"_producer", "_schemaURL"} & set(fields)
    assert required <= set(value), f"{path} lacks {required - set(value)}"
    for name in value:
        conforms(value[name], hints[name], f"{path}.{name}")
    for name in {"_producer", "_schemaURL", "producer", "schemaURL", "url"} & set(value):
        assert urlsplit(value[name]).scheme, f"{path}.{name} is no URI"


def check(event):
    assert event["schemaURL"] == f"{BASE}RunEvent"
    assert event["producer"]
    UUID(event["run"]["runId"])
    datetime.fromisoformat(event["eventTime"])
    conforms(event, CLASSES[event["schemaURL"]])


def node(kind, name, /, **details):
    return Node(kind, f"{kind}:{name}", name, details)


@pytest.fixture
def lineage():
    return Lineage(
        "model:risk@2",
        [
            node("model", "risk@2", model="risk", version="2", artifact_sha256="ab" * 32, encoder_version="minilm-1"),
            node(
                "run",
                "r",
                run_id="0" * 31 + "1",
                seed=7,
                ended="2026-11-22T12:00:00.000000Z",
                features={"mood.fell": "b2"},
            ),
            node("dataset", "satisfaction", fingerprint="cd" * 32, position=99),
            node("commit", COMMIT, commit=COMMIT),
            node("view", "mood@a1", name="mood", version="a1", owner="care", description="How", kinds={"fell": "flag"}),
            node("feature", "mood.fell@b2", version="b2"),
            node("view", "old", name="old", problem="no definition on record"),
        ],
        [
            Edge("model:risk@2", "run:r", "trained in"),
            Edge("run:r", "dataset:satisfaction", "learned from"),
            Edge("run:r", f"commit:{COMMIT}", "code of"),
            Edge("run:r", "view:mood@a1", "read"),
            Edge("run:r", "view:old", "read"),
            Edge("view:mood@a1", "feature:mood.fell@b2", "gave"),
        ],
    )


def test_events_conform_to_the_classes_made_from_the_schema(lineage, tmp_path):
    parent = ParentRun("airflow", "nightly.train", "00000000-0000-0000-0000-000000000007")
    write_events(run_events(lineage, repository="https://git.example/care/", parent=parent), tmp_path / "events")
    start, complete = map(json.loads, (tmp_path / "events").read_text().splitlines())
    for event in (start, complete):
        check(event)
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start | {"eventType": "COMPLETE"} == complete
    assert complete["run"]["runId"] == "00000000-0000-0000-0000-000000000001"
    assert complete["run"]["facets"]["parent"]["job"]["name"] == "nightly.train"
    assert complete["job"]["name"] == "train.risk"
    place = complete["job"]["facets"]["sourceCodeLocation"]
    assert (place["version"], place["url"]) == (COMMIT, f"https://git.example/care/tree/{COMMIT}")
    data, mood, old = complete["inputs"]
    assert data["facets"]["version"]["datasetVersion"] == "cd" * 32
    assert "offset 99" in data["facets"]["documentation"]["description"]
    assert mood["facets"]["ownership"]["owners"] == [{"name": "team:care", "type": "MAINTAINER"}]
    (field,) = mood["facets"]["schema"]["fields"]
    assert {name: field[name] for name in ("name", "type", "description")} == {
        "name": "mood.fell",
        "type": "flag",
        "description": "version b2",
    }
    assert old["facets"]["documentation"]["description"] == "no definition on record"
    (model,) = complete["outputs"]
    assert (model["name"], model["facets"]["version"]["datasetVersion"]) == ("model/risk", "2")


def _damaged(event, path, value):
    *way, last = path
    inner = event
    for step in way:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return event


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("eventTime",), None),
        (("eventType",), "DONE"),
        (("more",), 1),
        (("job", "name"), None),
        (("job", "facets", "jobType", "_schemaURL"), None),
        (("job", "facets", "jobType", "_schemaURL"), f"{BASE}Nothing"),
        (("job", "facets", "jobType", "integration"), None),
        (("job", "facets", "sourceCodeLocation", "url"), "nowhere"),
        (("inputs", 0, "facets", "version", "datasetVersion"), 7),
        (("inputs", 0, "facets", "version", "_producer"), None),
        (("inputs", 1, "facets", "schema", "fields", 0, "name"), None),
        (("run", "runId"), "7"),
    ],
)
def test_the_check_has_power(lineage, path, value):
    event = json.loads(to_json(run_events(lineage)[0]))
    check(event)
    with pytest.raises((AssertionError, KeyError, ValueError)):
        check(_damaged(event, path, value))


def test_without_a_run_there_is_nothing_to_tell(lineage):
    with pytest.raises(InvalidInput, match="view:mood holds no training run; ask for a decision or a version"):
        run_events(Lineage("view:mood", [], []))
    with pytest.raises(InvalidInput, match="'7' is no UUID"):
        run_events(lineage, parent=ParentRun("a", "b", "7"))


def test_a_run_whose_id_is_no_uuid_has_the_same_id_every_time(lineage):
    other = Lineage(
        lineage.root, [*lineage.nodes[:1], node("run", "r", ended="2026-11-22T12:00:00Z")], lineage.edges[:1]
    )
    first, second = (json.loads(to_json(run_events(other)[0])) for _ in range(2))
    check(first)
    assert first == second


@pytest.fixture
def server():
    """``server(status)``: the URL of a server that answers so, and what it was sent."""
    started, taken = [], []

    def start(status):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taken.append((self.path, self.headers["Authorization"], json.loads(body)))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *arguments):
                pass

        serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        started.append(serving)
        return f"http://127.0.0.1:{serving.server_port}", taken

    yield start
    for serving in started:
        serving.shutdown()
        serving.server_close()


def test_events_are_sent_in_order(lineage, server):
    url, taken = server(201)
    send_events(run_events(lineage), url, api_key="key")
    assert [(path, key, event["eventType"]) for path, key, event in taken] == [
        ("/api/v1/lineage", "Bearer key", "START"),
        ("/api/v1/lineage", "Bearer key", "COMPLETE"),
    ]
    for _, _, event in taken:
        check(event)


def test_a_server_or_a_file_that_does_not_take_them_is_named(lineage, server, tmp_path):
    events = run_events(lineage)
    url, _ = server(400)
    with pytest.raises(StorageFailed, match=r"took 0 of 2 events \(400 .*\); send them again"):
        send_events(events, url)
    for away in ("http://127.0.0.1:9", "http://a..b"):
        with pytest.raises(StorageFailed, match="took 0 of 2 events"):
            send_events(events, away)
    for wrong in ("file:///etc", "http://[::1", "http://a b", "http://a:99999", "http://"):
        with pytest.raises(InvalidInput, match=re.escape(f"{wrong!r} is no HTTP URL")):
            send_events(events, wrong)
    for secret in (url.replace("//", "//ana:s3cret@"), "http://ana:s3cret@127.0.0.1:9", "http://ana:s3/cret@[::1"):
        with pytest.raises(HeadsetError, match="http://") as raised:
            send_events(events, secret)
        assert "cret" not in str(raised.value)
        assert "ana" not in str(raised.value)
    with pytest.raises(StorageFailed, match="cannot be written"):
        write_events(events, tmp_path / "gone" / "events")
