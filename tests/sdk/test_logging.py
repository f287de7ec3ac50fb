"""Log lines of runs: on the console, in the program's own logging, on the bus."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin_events.bus import Bus
from tocsin_events.nats_server import NatsServer

SCRIPT = """
from tocsin import flow, get_run_logger, task

@task
def step():
    get_run_logger().debug("in detail")
    get_run_logger().info("rows: %d", 3)

@flow
def etl():
    step()

etl()
"""


def console(script: str, **environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    return done.stderr.splitlines()


def test_the_console_shows_time_level_run_and_message() -> None:
    lines = console(SCRIPT)
    assert re.fullmatch(r"\d\d:\d\d:\d\d \| INFO    \| flow 'etl' / [a-z-]+ \| started", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d \| INFO    \| task 'step' / step-1 \| rows: 3", lines[1])
    assert re.fullmatch(r"\d\d:\d\d:\d\d \| INFO    \| flow 'etl' / [a-z-]+ \| completed in \S+ s", lines[2])
    assert len(lines) == 3


def test_text_that_is_no_unicode_is_logged_like_any_other(tmp_path: Path) -> None:
    script = SCRIPT.replace('"rows: %d", 3', 'chr(0xDCFF) + "rows: %d", 3')
    lines = console(script, TOCSIN_DATA_DIR=str(tmp_path), TOCSIN_NATS_URL="nats://127.0.0.1:9")
    assert any(line.endswith("rows: 3") for line in lines)
    assert not any("Logging error" in line for line in lines)


def test_the_level_is_set_by_the_environment() -> None:
    assert any("in detail" in line for line in console(SCRIPT, TOCSIN_LOG_LEVEL="debug"))
    assert console(SCRIPT, TOCSIN_LOG_LEVEL="WARNING") == []


def test_a_program_that_has_set_up_logging_gets_each_line_once_and_its_root_is_left_alone() -> None:
    script = (
        "import logging, sys\n"
        "logging.basicConfig(format='MINE %(message)s', level='INFO')\n"
        f"{SCRIPT}\n"
        "assert len(logging.root.handlers) == 1\n"
    )
    lines = console(script)
    assert all(line.startswith("MINE ") for line in lines)
    assert len(lines) == 3


def test_a_programs_own_loggers_are_not_touched() -> None:
    script = f"{SCRIPT}\nimport logging\nassert logging.root.handlers == [], logging.root.handlers\nlogging.warning('x')"
    assert console(script)[-1] == "WARNING:root:x"


@pytest.mark.parametrize("has_worker", [False, True])
async def test_a_run_of_a_worker_logs_to_the_bus_and_not_twice(
    bus: Bus, nats_server: NatsServer, tmp_path: Path, has_worker: bool
) -> None:
    (tmp_path / "flows.py").write_text(SCRIPT.replace("\netl()\n", ""))
    address = nats_server.address_for("client")
    environment = {"TOCSIN_NATS_URL": address.url.replace("//", f"//{address.user}:{address.password}@")}
    if has_worker:
        environment["TOCSIN_WORKER"] = "worker-1"
    order = f'{{"run_id": "run-7", "flow": {{"entrypoint": "flows.py:etl", "path": "{tmp_path}"}}}}'
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tocsin.run", env={**os.environ, **environment},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    _, errors = await process.communicate(order.encode())
    assert process.returncode == 0, errors
    assert (b"rows: 3" in errors) is not has_worker
    lines = [await bus.js.get_msg("LOGS", seq=number) for number in (1, 2, 3)]
    assert {line.subject for line in lines} == {"tocsin.logs.run-7"}
    assert b'"level":"info"' in (lines[1].data or b"")
    assert b'"message":"rows: 3"' in (lines[1].data or b"")
    assert b'"task_run":{' in (lines[1].data or b"")
