"""What users do, from one end to the other, against a real server with real flows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server_process import ServerProcess, event, eventually, post_events, running_server

FLOW = """
from tocsin import flow, task


@task
def check(rows: int) -> int:
    if rows < 0:
        raise ValueError(f"negative number of rows: {rows}")
    return rows


@flow(log_prints=True)
def load(rows: int) -> int:
    print("rows are", type(rows).__name__)
    return check(rows)
"""

CONFIG = """
deployments:
  nightly:
    flow: load.py:load
    parameters: {rows: 1}
automations:
  file-landed:
    when: {event: com.example.file.landed}
    then:
      - run_deployment: nightly
        parameters: {rows: "{{ data.rows }}"}
  three-strikes:
    when:
      event: flow-run.failed
      where: deployment.name == "nightly"
      count: 3
      within: 10m
      for_each: deployment.name
    then:
      - pause_deployment: "{{ deployment.name }}"
      - notify: inbox
        title: "{{ deployment.name }} paused after {{ count }} failures"
"""

SCRIPT = """
from tocsin import flow


@flow
def lonely():
    return 1


lonely()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "load.py").write_text(FLOW)
    (folder / "tocsin.yaml").write_text(CONFIG)
    (folder / "lonely.py").write_text(SCRIPT)
    return folder


def landed(server: ServerProcess, id_: str, rows: int) -> None:
    """Tell the server of a file, as any program outside would."""
    cloud_event = event(
        "com.example.file.landed", id_, datacontenttype="application/json", data={"rows": rows}
    )
    with server.client() as client:
        assert post_events(client, [cloud_event]).status_code == 202


def runs(server: ServerProcess, state: str) -> list[dict[str, Any]]:
    return [run for run in items(server.read("runs", "ls")) if run["state"] == state]


def items(answer: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = answer["items"] if isinstance(answer, dict) else answer
    return found


def test_an_outside_event_starts_a_run_with_a_typed_parameter_and_three_failures_pause_it(
    tmp_path: Path, project: Path
) -> None:
    with running_server(tmp_path / "data") as server:
        assert server.cli("apply", str(project)).returncode == 0
        landed(server, "good", 42)
        (completed,) = eventually(lambda: runs(server, "completed"))
        eventually(lambda: "rows are int" in server.cli("runs", "logs", completed["id"]).stdout)
        for number in (1, 2, 3):
            landed(server, f"bad-{number}", -number)
        (message,) = eventually(lambda: items(server.read("inbox", "ls")))
        assert message["title"] == "nightly paused after 3 failures"
        (deployment,) = items(server.read("deployments", "ls"))
        assert deployment["paused"]
        landed(server, "late", 5)
        (skipped,) = eventually(lambda: runs(server, "skipped"))
        assert "three-strikes" in skipped["state_message"]
        assert len(runs(server, "failed")) == 3


def test_a_script_that_ran_without_a_server_is_seen_when_one_starts(tmp_path: Path, project: Path) -> None:
    data_dir = tmp_path / "data"
    alone = {"TOCSIN_DATA_DIR": str(data_dir), "HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, str(project / "lonely.py")], env=alone, capture_output=True, text=True, check=True
    )
    assert "completed" in done.stderr + done.stdout
    with running_server(data_dir) as server:
        found = eventually(lambda: items(server.read("events", "ls", "--type", "flow-run.completed")))
    assert [one["type"] for one in found] == ["flow-run.completed"]
