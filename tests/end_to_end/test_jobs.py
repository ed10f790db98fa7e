"""Jobs from the command line and over HTTP, to their end."""

from __future__ import annotations

import json
import shutil
import time

import kubernetes_validate
import pytest

from headset.app import open_installation
from headset.core.config import load_config
from headset.data.importer import import_items
from headset.data.row import Row


@pytest.fixture
def home(request, tmp_path):
    """With a champion where a server is started; else with data alone, which takes no training."""
    home = tmp_path / "home"
    if "start" in request.fixturenames:
        return shutil.copytree(request.getfixturevalue("trained_home"), home)
    with open_installation(load_config(home, {})) as parts:
        rows = [Row(number, f"where is my card number {number}", "card") for number in range(1, 9)]
        import_items(rows, "starter", log=parts.log, door=parts.door, clock=parts.clock)
    return home


def until(happened, seconds=90):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.1)
    pytest.fail("it did not happen in time")


@pytest.mark.slow
def test_a_job_is_submitted_waited_for_and_read(headset, main):
    done = headset("jobs", "submit", "--wait", "--json", "--cpus", "1", "--", "features", "verify", "--json")
    job = json.loads(done.stdout)
    assert (done.returncode, job["state"], job["exit_code"], job["command"]) == (
        0,
        "succeeded",
        0,
        "features verify --json",
    )
    code, out, _ = main("jobs", "logs", job["job_id"])
    assert code == 0
    assert json.loads(out)["checked"] == 0
    assert json.loads(main("jobs", "list", "--json")[1])[0]["job_id"] == job["job_id"]


@pytest.mark.slow
def test_the_platform_runs_what_is_submitted_over_http(start, main):
    with start("up").client() as client:
        refused = client.post("/v1/jobs", json={"command": ["train", "intent"], "data": "nowhere"})
        assert (refused.status_code, refused.json()["field"]) == (404, "data")
        assert client.post("/v1/jobs", content=b"{").status_code == 422
        answer = client.post(
            "/v1/jobs", json={"command": ["train", "intent", "--precision", "7"], "data": "starter", "retries": 3}
        )
        assert answer.status_code == 201
        job_id = answer.json()["job_id"]
        job = until(lambda: found if (found := client.get(f"/v1/jobs/{job_id}").json())["state"] == "failed" else None)
        assert (job["exit_code"], job["attempt"]) == (2, 1)
        lines = client.get(f"/v1/jobs/{job_id}/logs").json()
        assert "--precision" in lines["text"]
        assert client.get(f"/v1/jobs/{job_id}/logs", params={"offset": lines["offset"]}).json()["ended"]

        answer = client.post("/v1/jobs", json={"command": ["train", "intent"], "data": "starter"})
        job_id = answer.json()["job_id"]
        until(lambda: client.get(f"/v1/jobs/{job_id}").json()["state"] == "running")
        assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
        until(lambda: client.get(f"/v1/jobs/{job_id}").json()["state"] == "cancelled")
        assert [job["state"] for job in client.get("/v1/jobs").json()["jobs"]] == ["cancelled", "failed"]
        assert client.get("/v1/jobs/nobody").status_code == 404
        _, key, _ = main("keys", "create", "reader", "--scope", "read")
        reader = {"Authorization": f"Bearer {key.strip()}"}
        assert client.get("/v1/jobs", headers=reader).status_code == 200
        assert client.post("/v1/jobs", headers=reader, json={"command": ["train"]}).status_code == 403
        assert client.post(f"/v1/jobs/{job_id}/cancel", headers=reader).status_code == 403


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["submit"], "give either"),
        (["submit", "--", "serve"], "cannot be a job"),
        (["submit", "--", "train", "intnt"], "no command 'intnt'; it has intent, risk"),
        (["submit", "--", "train", "intent"], "Missing option"),
        (["submit", "--", "train", "intent", "--data", "starter", "--sed", "3"], "--sed"),
        (["submit", "--", "train", "intent", "--data", "nowhere"], "nowhere"),
        (["submit", "--memory", "9000000", "--", "train", "intent", "--data", "starter"], "resources.memory_mb"),
        (["submit", "--spec", "/nowhere.toml"], "nowhere.toml"),
        (["submit", "--launcher", "kubernetes", "--", "train", "intent", "--data", "starter"], "KUBECONFIG"),
        (["show", "nobody"], "unknown"),
        (["logs", "nobody"], "unknown"),
        (["cancel", "nobody"], "unknown"),
        (["list", "--state", "asleep"], "states are queued"),
    ],
)
def test_what_cannot_be_a_job_is_refused_before_it_is_queued(main, monkeypatch, arguments, told):
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", "/nowhere")
    monkeypatch.setenv("COLUMNS", "200")
    code, _, err = main("jobs", *arguments)
    assert code == 2
    assert told in " ".join(err.split())
    assert json.loads(main("jobs", "list", "--json")[1]) == []


def test_a_queued_job_is_shown_and_cancelled(main):
    code, out, err = main("jobs", "submit", "--", "train", "intent", "--data", "starter", "--seed", 3)
    assert code == 0
    assert "no worker runs" in err
    (job,) = json.loads(main("jobs", "list", "--json")[1])
    assert job["job_id"] in out
    assert json.loads(main("jobs", "show", job["job_id"], "--json")[1])["spec"]["seed"] == 3
    assert job["job_id"] in main("jobs", "show", job["job_id"])[1]
    assert json.loads(main("jobs", "cancel", job["job_id"], "--json")[1])["state"] == "cancelled"
    assert json.loads(main("jobs", "logs", job["job_id"], "--json")[1]) == {"text": "", "offset": 0, "ended": True}
    assert main("jobs", "run", "--once")[0] == 0


def test_the_manifest_of_a_spec_can_be_applied(main, tmp_path):
    spec = tmp_path / "job.toml"
    spec.write_text('command = ["train", "intent"]\ndata = "starter"\nseed = 3\n[resources]\nmemory_mb = 512\n')
    code, out, _ = main("jobs", "manifest", "--spec", spec, "--cpus", 2)
    made = json.loads(out)
    assert code == 0
    kubernetes_validate.validate(made, "1.31", strict=True)
    container = made["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["train", "intent", "--data", "starter", "--seed", "3"]
    assert container["resources"]["limits"] == {"cpu": "2000m", "memory": "512Mi"}
