"""Runs from the command line against a real server: exit codes, logs, pauses, an outside event that starts one."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server_process import ServerProcess

FLOWS = """
import time
from tocsin import flow, get_run_logger

@flow
def count(n: int, note: str = "") -> int:
    get_run_logger().info("counting to %d", n)
    return n

@flow
def fail() -> None:
    raise ValueError("boom")

@flow
def sleep() -> None:
    time.sleep(600)
"""
CONFIG = """
deployments:
  cli-count: {flow: "flows.py:count", parameters: {note: hi}}
  cli-fail: {flow: "flows.py:fail"}
  cli-sleep: {flow: "flows.py:sleep"}
automations:
  cli-count-what-comes:
    when: {event: com.example.cli}
    then:
      - run_deployment: cli-count
        parameters: {n: "{{ data.number }}"}
  cli-pause-after-three:
    when: {event: flow-run.failed, where: 'deployment.name == "cli-fail"', count: 3, within: 1h}
    then:
      - pause_deployment:
"""


@pytest.fixture
def applied(server: ServerProcess, tmp_path: Path) -> ServerProcess:
    (tmp_path / "flows.py").write_text(FLOWS)
    (tmp_path / "tocsin.yaml").write_text(CONFIG)
    done = server.cli("apply", str(tmp_path))
    assert done.returncode == 0, done.stderr
    return server


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return found


def test_a_watched_run_prints_its_log_and_ends_with_0(applied: ServerProcess) -> None:
    done = applied.cli("run", "cli-count", "--param", "n=12", "--watch")
    assert done.returncode == 0, done.stderr
    assert "counting to 12" in done.stdout
    (run,) = applied.read("runs", "ls", "--deployment", "cli-count", "--limit", "1")
    assert run["state"] == "completed"
    assert run["parameters"] == {"n": 12, "note": "hi"}
    logs = applied.cli("runs", "logs", run["id"], "--follow")
    assert (logs.returncode, "counting to 12" in logs.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("cli-fail", "--watch"), 1, "boom"),
        (("nope",), 3, "no deployment 'nope'"),
        (("cli-count", "--param", "n=twelve"), 4, "'twelve' is not of type 'integer'"),
        (("cli-count", "--param", "m=1"), 4, "no such parameter"),
        (("cli-count", "--param", "n"), 4, "KEY=VALUE"),
        (("cli-sleep", "--watch", "--timeout", "0.5"), 7, "has not ended"),
    ],
)
def test_the_exit_code_says_what_became_of_it(
    applied: ServerProcess, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = applied.cli("run", *arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_a_cancelled_run_ends(applied: ServerProcess) -> None:
    run = applied.read("run", "cli-sleep")
    until(lambda: applied.read("runs", "show", run["id"])["state"] == "running")
    assert applied.cli("runs", "cancel", run["id"]).returncode == 0
    until(lambda: applied.read("runs", "show", run["id"])["state"] == "cancelled")
    assert applied.cli("runs", "cancel", run["id"]).returncode == 1
    assert applied.cli("runs", "show", "nope").returncode == 3


def test_a_paused_deployment_skips_runs_and_says_why(applied: ServerProcess) -> None:
    assert applied.cli("deployments", "pause", "cli-count").returncode == 0
    try:
        done = applied.cli("run", "cli-count", "--param", "n=1", "--watch")
        assert done.returncode == 1
        assert "deployment cli-count is paused: by local" in done.stderr
    finally:
        assert applied.cli("deployments", "resume", "cli-count").returncode == 0
    (found,) = [one for one in applied.read("deployments", "ls") if one["name"] == "cli-count"]
    assert found["paused"] is False


def test_an_outside_event_starts_a_run_with_a_number_of_it_as_its_typed_parameter(
    applied: ServerProcess,
) -> None:
    event = {
        "specversion": "1.0", "id": "cli-1", "type": "com.example.cli", "source": "/test", "data": {"number": "41"},
    }  # fmt: skip
    with applied.client() as client:
        for _ in range(2):
            answer = client.post(
                "/events", content=json.dumps(event), headers={"content-type": "application/cloudevents+json"}
            )
            assert answer.status_code == 202, answer.text

    def found() -> list[dict[str, Any]]:
        runs = applied.read("runs", "ls", "--deployment", "cli-count")
        return [
            run for run in runs if run["automation"] == "cli-count-what-comes" and run["state"] == "completed"
        ]

    (run,) = until(found)
    assert run["parameters"]["n"] == 41


def test_three_failures_pause_the_deployment(applied: ServerProcess) -> None:
    for _ in range(3):
        assert applied.cli("run", "cli-fail", "--watch").returncode == 1

    def paused() -> dict[str, Any] | None:
        found: dict[str, Any] = applied.read("deployments", "show", "cli-fail")
        return found if found["paused"] else None

    assert until(paused)["paused_reason"] == "automation cli-pause-after-three"
    assert applied.cli("deployments", "resume", "cli-fail").returncode == 0


def test_a_worker_of_its_own_takes_runs_of_its_pool_and_stops_on_sigterm(
    applied: ServerProcess, tmp_path: Path
) -> None:
    (tmp_path / "tocsin.yaml").write_text('deployments: {cli-far: {flow: "flows.py:count", work_pool: far}}')
    assert applied.cli("apply", str(tmp_path)).returncode == 0
    run = applied.read("run", "cli-far", "--param", "n=1")
    worker = subprocess.Popen(
        [sys.executable, "-m", "tocsin_server.cli", "worker", "start", "--pool", "far", "--name", "far-1"],
        env=applied.environment,
    )
    try:
        until(lambda: applied.read("runs", "show", run["id"])["state"] == "completed")
    finally:
        worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert applied.read("runs", "show", run["id"])["worker"] == "far-1"


@pytest.mark.parametrize("type_", ["automation.fired", "automation.paused", "config.applied"])
def test_who_may_write_events_cannot_forge_what_the_service_obeys(server: ServerProcess, type_: str) -> None:
    event = {"specversion": "1.0", "id": "forged", "type": type_, "source": "/engine", "data": {}}
    with server.client() as client:
        answer = client.post(
            "/events", content=json.dumps(event), headers={"content-type": "application/cloudevents+json"}
        )
    assert answer.status_code == 400
    assert "by the service alone" in answer.json()["detail"]
