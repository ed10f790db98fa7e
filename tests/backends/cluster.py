"""A small Kubernetes API server: the paths that jobs need, over real HTTP; pods are processes of this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate

JOBS = re.compile(r"/apis/batch/v1/namespaces/([^/]+)/jobs(?:/([^/]+))?")
PODS = re.compile(r"/api/v1/namespaces/([^/]+)/pods(?:/([^/]+)/log)?")


class Cluster:
    """Namespaces of Jobs, each with one pod; a manifest that breaks the published schema is refused, as by a server.

    Args:
        program: What runs in place of a container's image; it is given the container's arguments.
        mounts: Folder of this machine for each claim.
        secrets: Keys and values of each Secret.
    """

    def __init__(self, program, mounts, secrets):
        self.program = program
        self.mounts = mounts
        self.secrets = secrets
        self.jobs = {}
        self.waiting = None
        self.broken = 0
        self.lock = threading.Lock()
        self.folder = tempfile.TemporaryDirectory()

    def create(self, namespace, manifest):
        kubernetes_validate.validate(manifest, "1.31", strict=True)
        name = manifest["metadata"]["name"]
        with self.lock:
            if (namespace, name) in self.jobs:
                return 409, status(409, "AlreadyExists")
            self.jobs[namespace, name] = Pod(self, manifest)
        return 201, manifest

    def read(self, namespace, name):
        pod = self.jobs.get((namespace, name))
        return (404, status(404, "NotFound")) if pod is None else (200, pod.job())

    def delete(self, namespace, name):
        pod = self.jobs.get((namespace, name))
        if pod is None:
            return 404, status(404, "NotFound")
        threading.Thread(target=self._end, args=(namespace, name, pod), daemon=True).start()
        return 200, status(200, "")

    def _end(self, namespace, name, pod):
        pod.end()
        self.jobs.pop((namespace, name), None)

    def pods(self, namespace, selector):
        name = selector.removeprefix("job-name=")
        pod = self.jobs.get((namespace, name))
        return 200, {
            "kind": "PodList",
            "apiVersion": "v1",
            "metadata": {},
            "items": [] if pod is None else [pod.described(name)],
        }

    def log(self, namespace, pod_name):
        pod = self.jobs[namespace, pod_name.removesuffix("-pod")]
        return (400, status(400, "BadRequest")) if pod.process is None else (200, pod.output.read_bytes())

    @contextmanager
    def serving(self):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()
            for pod in list(self.jobs.values()):
                pod.end()
            self.folder.cleanup()


class Pod:
    def __init__(self, cluster, manifest):
        self.manifest = manifest
        self.process = None
        self.waiting = cluster.waiting
        spec = manifest["spec"]["template"]["spec"]
        container = spec["containers"][0]
        self.output = Path(cluster.folder.name) / manifest["metadata"]["name"]
        if self.waiting:
            return
        claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in spec["volumes"]}
        places = {
            mount["mountPath"]: cluster.mounts[claims[mount["name"]]["claimName"]]
            for mount in container["volumeMounts"]
            if claims[mount["name"]]
        }
        environ = {"PATH": os.environ["PATH"]}
        for each in container["env"]:
            if "value" in each:
                environ[each["name"]] = places.get(each["value"], each["value"])
            else:
                reference = each["valueFrom"]["secretKeyRef"]
                environ[each["name"]] = cluster.secrets[reference["name"]][reference["key"]]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*cluster.program, *container["args"]],
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def code(self):
        code = None if self.process is None else self.process.poll()
        return code if code is None or code >= 0 else 128 - code

    def job(self):
        ends = {None: [], 0: [{"type": "Complete", "status": "True"}]}
        failed = [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]
        return self.manifest | {"status": {"conditions": ends.get(self.code, failed)}}

    def described(self, name):
        if self.waiting:
            state = {"waiting": {"reason": self.waiting}}
        elif self.code is None:
            state = {"running": {}}
        else:
            state = {"terminated": {"exitCode": self.code, "reason": "Error" if self.code else "Completed"}}
        container = {"name": "job", "image": "x", "imageID": "x", "ready": True, "restartCount": 0, "state": state}
        return {"metadata": {"name": f"{name}-pod"}, "status": {"containerStatuses": [container]}}

    def end(self):
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def status(code, reason):
    return {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": reason}


def handler(cluster):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            manifest = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                self.answer(*cluster.create(self.place(JOBS)[0], manifest))
            except kubernetes_validate.ValidationError as error:
                self.answer(422, status(422, str(error)))

        def do_DELETE(self):
            self.answer(*cluster.delete(*self.place(JOBS)))

        def do_GET(self):
            if self.place(JOBS):
                self.answer(*cluster.read(*self.place(JOBS)))
                return
            namespace, pod = self.place(PODS)
            selector = parse_qs(urlsplit(self.path).query).get("labelSelector", [""])[0]
            self.answer(*(cluster.log(namespace, pod) if pod else cluster.pods(namespace, selector)))

        def place(self, pattern):
            found = pattern.fullmatch(urlsplit(self.path).path)
            return found and found.groups()

        def answer(self, code, body):
            if cluster.broken:
                code, body = cluster.broken, status(cluster.broken, "InternalError")
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            sys.stdout.write("")

    return Handler
