"""``concurrency: {mode: restart}`` from one end to the other, against a real server with real flows."""

from pathlib import Path
from typing import Any

from server_process import ServerProcess, event, eventually, post_events, running_server

FLOW = """
import time
from pathlib import Path
from tocsin import flow


@flow
def build(commit: str) -> None:
    while commit == "first" and not Path("never").exists():
        time.sleep(0.05)
"""

CONFIG = """
deployments:
  build: {flow: build.py:build}
automations:
  build-the-newest:
    when: {event: com.example.push}
    then:
      - run_deployment: build
        parameters: {commit: "{{ data.commit }}"}
    limits:
      concurrency: {max: 1, mode: restart}
"""


def push(server: ServerProcess, commit: str) -> None:
    pushed = event("com.example.push", commit, datacontenttype="application/json", data={"commit": commit})
    with server.client() as client:
        assert post_events(client, [pushed]).status_code == 202


def state_of(server: ServerProcess, commit: str) -> str:
    """Return the state of the run for a commit; empty where there is none."""
    with server.client() as client:
        runs: list[dict[str, Any]] = client.get("/runs").json()["items"]
    return next((str(run["state"]) for run in runs if run["parameters"] == {"commit": commit}), "")


def test_a_push_ends_the_build_of_the_one_before_it(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "build.py").write_text(FLOW)
    (project / "tocsin.yaml").write_text(CONFIG)
    with running_server(tmp_path / "data") as server:
        assert server.cli("apply", str(project)).returncode == 0
        push(server, "first")
        eventually(lambda: state_of(server, "first") == "running", seconds=180)
        push(server, "second")
        eventually(lambda: state_of(server, "second") == "completed", seconds=180)
        eventually(lambda: state_of(server, "first") == "cancelled", seconds=180)
        reason = "of automation build-the-newest"
        eventually(lambda: reason in str(server.read("events", "ls", "--type", "flow-run.cancelling")))
