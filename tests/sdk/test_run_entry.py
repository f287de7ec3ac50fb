"""``python -m tocsin.run``, as a worker starts it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tocsin.segment import Segment, segment_paths

FLOWS = """
    import asyncio, logging, sys, time
    from tocsin import State, flow, get_run_logger

    @flow(log_prints=True)
    def etl(count: int, pause: float = 0.0):
        print("got", count + 1)
        logging.getLogger("mine").warning("from a library")
        if count > 3:
            raise ValueError("too many")
        while pause:
            sys.stdout.write("waiting\\n")
            sys.stdout.flush()
            time.sleep(pause)

    @flow
    async def later(count: int, pause: float = 0.0):
        while pause:
            sys.stdout.write("waiting\\n")
            sys.stdout.flush()
            await asyncio.sleep(pause)

    @flow
    def rows(count: int):
        yield from range(count)

    @flow
    def judged(count: int):
        return State.failed("not good enough")

    def plain(count: int): ...

    NUMBER = 3
"""


def order(folder: Path, function: str = "etl", **changes: Any) -> bytes:
    whole = {
        "run_id": "run-1", "name": "jumpy-puppy",
        "deployment": {"kind": "deployment", "id": "nightly", "name": "nightly", "labels": {"env": "prod"}, "tags": []},
        "flow": {"name": "etl", "entrypoint": f"flows.py:{function}", "path": str(folder)},
        "parameters": {"count": "3"}, "tags": ["prod"], "attempt": 2, "cause": "firing-1", "hops": 1,
        "pool": "default", "queue": "fast", "env": {}, "automation": "on-push",
    }  # fmt: skip
    return json.dumps({**whole, **changes}).encode()


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "flows.py").write_text(textwrap.dedent(FLOWS))
    (folder / "broken.py").write_text("import nothing_of_this_name")
    (folder / "unfit.py").write_text("1 / 0")
    return folder


def run(body: bytes) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tocsin.run"], input=body, capture_output=True, check=False, timeout=60
    )


def left_behind(data: Path) -> list[dict[str, Any]]:
    """Return the events that the run left in the outbox."""
    found = []
    for path in segment_paths(data / "outbox"):
        segment = Segment.adopt(path)
        assert segment is not None
        found += [json.loads(line.body) for line in segment.read(0)]
        segment.forget()
    return found


def test_a_run_has_the_identity_that_it_was_given(flows: Path, own_folders: Path) -> None:
    done = run(order(flows))
    assert done.returncode == 0, done.stderr
    running, completed = left_behind(own_folders)
    assert (running["type"], completed["type"]) == ("flow-run.running", "flow-run.completed")
    assert running["subject"] == "flow-run/run-1"
    assert running["cause"] == "firing-1"
    assert running["hops"] == 1
    resource, related = running["data"]["resource"], running["data"]["related"]
    assert (resource["name"], resource["tags"]) == ("jumpy-puppy", ["prod"])
    assert resource["labels"] == {"env": "prod"}
    assert {one["role"]: one["id"] for one in related} == {
        "flow": "etl", "deployment": "nightly", "work-pool": "default", "work-queue": "default/fast",
        "automation": "on-push",
    }  # fmt: skip
    payload = running["data"]["payload"]
    assert payload["previous"]["type"] == "pending"
    assert payload["attempt"] == 2
    assert payload["parameters"] == {"count": 3, "pause": 0.0}
    assert b"got 4" in done.stderr


@pytest.mark.parametrize("function", ["later", "rows", "plain"])
def test_flows_of_every_kind_are_run_to_their_end(flows: Path, own_folders: Path, function: str) -> None:
    done = run(order(flows, function))
    assert done.returncode == 0, done.stderr
    assert left_behind(own_folders)[-1]["type"] == "flow-run.completed"


def test_a_module_can_be_named_instead_of_a_file(flows: Path) -> None:
    assert run(order(flows, flow={"entrypoint": "flows:etl", "path": str(flows)})).returncode == 0


def test_a_flow_that_raises_exits_with_1_and_shows_its_traceback_once(flows: Path, own_folders: Path) -> None:
    done = run(order(flows, parameters={"count": 9}))
    assert done.returncode == 1
    assert left_behind(own_folders)[-1]["data"]["payload"]["error"]["message"] == "too many"
    assert done.stderr.count(b"Traceback") == 1
    assert b'raise ValueError("too many")' in done.stderr


def test_a_flow_that_returns_a_failed_state_exits_with_1(flows: Path) -> None:
    assert run(order(flows, "judged")).returncode == 1


def test_parameters_that_do_not_fit_fail_the_run(flows: Path, own_folders: Path) -> None:
    assert run(order(flows, parameters={"count": "many"})).returncode == 1
    (failed,) = left_behind(own_folders)
    assert failed["type"] == "flow-run.failed"
    assert "count: " in failed["data"]["payload"]["message"]


@pytest.mark.parametrize(
    ("entrypoint", "message"),
    [
        ("missing.py:etl", "there is no file"),
        ("flows.py:elt", "flows.py has no 'elt'; it has: etl, later, rows, judged"),
        ("flows.py:NUMBER", "is a int, not a flow"),
        ("flows.py", "write file.py:function"),
        ("broken.py:etl", "No module named 'nothing_of_this_name'"),
        ("unfit.py:etl", "importing unfit.py failed: ZeroDivisionError"),
        ("nowhere.at.all:etl", "there is no module"),
    ],
)
def test_what_cannot_be_loaded_fails_the_run_and_exits_with_2(
    flows: Path, own_folders: Path, entrypoint: str, message: str
) -> None:
    done = run(order(flows, flow={"name": "etl", "entrypoint": entrypoint, "path": str(flows)}))
    assert done.returncode == 2
    (failed,) = left_behind(own_folders)
    assert failed["type"] == "flow-run.failed"
    assert message in failed["data"]["payload"]["message"]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b'{"run_id": 3}', b"\xff"])
def test_what_is_no_order_exits_with_2_and_says_so(body: bytes) -> None:
    done = run(body)
    assert done.returncode == 2
    assert b"this is no order" in done.stderr


@pytest.mark.parametrize("function", ["etl", "later"])
async def test_sigterm_cancels_the_run(flows: Path, own_folders: Path, function: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tocsin.run", env=dict(os.environ),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(order(flows, function, parameters={"count": 1, "pause": 0.01}))
    process.stdin.close()
    assert await process.stdout.readline() == b"waiting\n"
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 143
    cancelled = left_behind(own_folders)[-1]
    assert cancelled["type"] == "flow-run.cancelled"
    assert cancelled["data"]["payload"]["message"] != "" or function == "later"
