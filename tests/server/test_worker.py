"""The worker: each run once, in a process of its own, and a word about every end."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from run_rooms import Rooms, open_rooms, sqlite_url
from tocsin_events.bus import Bus
from tocsin_events.ending import end_all
from tocsin_events.nats_server import NatsServer
from tocsin_server.run_tracker import RunTracker
from tocsin_server.runs import Run, RunRequest
from tocsin_server.worker import WorkerOptions, WorkerService

FLOWS = """
import os, pathlib, sys, time
from tocsin import flow, get_run_logger

@flow
def count(n: int, note: str = "") -> int:
    get_run_logger().info("counting to %d", n)
    print("printed", note)
    return n

@flow
def fail(n: int) -> None:
    raise ValueError(f"no {n}")

@flow
def vanish(n: int) -> None:
    sys.stderr.write("last words\\n")
    sys.stderr.flush()
    os._exit(n)

@flow
def once_only(n: int) -> None:
    marks = pathlib.Path("marks")
    with marks.open("a") as file:
        file.write(f"{os.getpid()}\\n")
    if len(marks.read_text().splitlines()) <= n:
        os.kill(os.getpid(), 9)

@flow
def wait(n: int) -> None:
    with pathlib.Path("pids").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "flows.py").write_text(FLOWS)
    return folder


@pytest.fixture
async def rooms(bus: Bus, tmp_path: Path) -> AsyncIterator[Rooms]:
    """The rooms, with the tracker and the sweeper at work."""
    async with open_rooms(sqlite_url(tmp_path), bus) as rooms:
        tasks = [
            asyncio.create_task(rooms.outgoing.run()),
            asyncio.create_task(RunTracker(bus, rooms.engine).run()),
        ]
        yield rooms
        await end_all(tasks, patience=2.0)


def environment(server: NatsServer, tmp_path: Path) -> dict[str, str]:
    return {"TOCSIN_NATS_URL": url_of(server, "client"), "TOCSIN_DATA_DIR": str(tmp_path / "sdk")}


def url_of(server: NatsServer, user: Literal["worker", "client"]) -> str:
    address = server.address_for(user)
    return address.url.replace("nats://", f"nats://{address.user}:{address.password}@")


@asynccontextmanager
async def working(bus: Bus, server: NatsServer, tmp_path: Path, **more: Any) -> AsyncIterator[WorkerService]:
    options = {"lease": 3.0, "grace": 20.0, "kill_grace": 5.0, **more}
    service = WorkerService(bus, WorkerOptions(environment=environment(server, tmp_path), **options))
    task = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        service.stop()
        await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.02)


async def ended(rooms: Rooms, run: Run) -> Run:
    async def has_ended() -> bool:
        return (await rooms.runs.get(run.id)).has_ended

    await until(has_ended)
    return await rooms.runs.get(run.id)


async def start(rooms: Rooms, code: Path, flow: str, n: int = 3, **deployment: Any) -> Run:
    await rooms.deploy(flow, flow=f"flows.py:{flow}", source=str(code), **deployment)
    run, _ = await rooms.runs.create(flow, RunRequest({"n": n}))
    return run


async def test_a_run_completes_in_a_process_of_its_own(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "count", parameters={"note": "hello"})
    async with working(bus, nats_server, tmp_path, name="w1"):
        found = await ended(rooms, run)
    assert found.state == "completed"
    assert found.worker == "w1"
    assert found.started is not None
    assert found.ended is not None
    types = await rooms.types("flow-run.*")
    assert types == ["flow-run.scheduled", "flow-run.pending", "flow-run.running", "flow-run.completed"]
    (completed,) = await rooms.events("flow-run.completed")
    assert completed.resource is not None
    assert completed.resource["id"] == run.id
    kinds = {one["kind"] for one in completed.related}
    assert {"flow", "deployment", "worker", "work-pool", "work-queue"} <= kinds
    assert await rooms.types("worker.*") == ["worker.started", "worker.stopped"]


async def test_what_a_run_logs_and_prints_can_be_read(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "count", parameters={"note": "hello"})
    async with working(bus, nats_server, tmp_path):
        await ended(rooms, run)

    async def both() -> bool:
        lines = [line.message for line in await rooms.runs.logs(run.id)]
        return "counting to 3" in lines and "printed hello" in lines

    await until(both)
    lines = [line.message for line in await rooms.runs.logs(run.id)]
    assert len([line for line in lines if "counting to 3" in line]) == 1


async def test_a_failing_flow_is_failed_not_crashed(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "fail")
    async with working(bus, nats_server, tmp_path):
        found = await ended(rooms, run)
    assert found.state == "failed"
    assert found.error is not None
    assert found.error["message"] == "no 3"


@pytest.mark.parametrize("status", [0, 1, 7])
async def test_a_process_that_ends_without_a_word_has_crashed(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path, status: int
) -> None:
    run = await start(rooms, code, "vanish", n=status)
    async with working(bus, nats_server, tmp_path):
        found = await ended(rooms, run)
    assert found.state == "crashed"
    assert f"exit code {status}" in found.state_message
    assert found.error is not None
    assert "last words" in found.error["traceback"]


async def test_a_crashed_run_is_executed_again_where_the_deployment_says_so(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "once_only", n=1, on_crash="rerun")

    async def completed() -> bool:
        return (await rooms.runs.get(run.id)).state == "completed"

    async with working(bus, nats_server, tmp_path):
        await until(completed)
    found = await rooms.runs.get(run.id)
    assert found.attempt == 2
    assert "flow-run.crashed" in await rooms.types("flow-run.*")


async def test_a_run_that_always_crashes_is_not_executed_for_ever(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "once_only", n=99, on_crash="rerun")

    async def given_up() -> bool:
        found = await rooms.runs.get(run.id)
        return (found.attempt, found.state) == (3, "crashed")

    async with working(bus, nats_server, tmp_path):
        await until(given_up)
    assert (code / "marks").read_text().count("\n") == 3
    assert (await rooms.types("flow-run.*")).count("flow-run.crashed") == 3


async def test_a_flow_whose_folder_is_gone_has_crashed_with_that_reason(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    run = await start(rooms, tmp_path / "nowhere", "count")
    async with working(bus, nats_server, tmp_path):
        found = await ended(rooms, run)
    assert found.state == "crashed"
    assert "nowhere" in found.state_message


async def test_a_cancelled_run_is_ended_and_says_so(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "wait")
    async with working(bus, nats_server, tmp_path):
        await until(_exists(code / "pids"))
        await rooms.runs.cancel(run.id)
        found = await ended(rooms, run)
    assert found.state == "cancelled"
    assert not _alive(int((code / "pids").read_text()))


async def test_a_run_cancelled_before_it_starts_never_does(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "wait")
    await rooms.runs.cancel(run.id)
    async with working(bus, nats_server, tmp_path):
        found = await ended(rooms, run)
    assert found.state == "cancelled"
    assert not (code / "pids").exists()


async def test_an_order_that_comes_twice_is_executed_once(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "once_only", n=0)
    await rooms.outgoing.flush()
    message = await bus.js.get_msg("RUNS", 1)
    await bus.publish_to("tocsin.runs.default.default", message.data or b"", key="another id")
    async with working(bus, nats_server, tmp_path):
        found = await ended(rooms, run)
        await until(_nothing_waits(bus))
    assert found.state == "completed"
    assert (code / "marks").read_text().count("\n") == 1


async def test_an_order_that_is_none_is_given_up_with_its_reason(
    bus: Bus, nats_server: NatsServer, tmp_path: Path
) -> None:
    await bus.publish_to("tocsin.runs.default.default", b"\xff not json", key="k")
    given_up: list[tuple[str, bytes]] = []

    async def keep(reason: str, _subject: str, body: bytes, _headers: Any) -> None:
        given_up.append((reason, body))

    service = WorkerService(bus, WorkerOptions(environment=environment(nats_server, tmp_path)), on_dead=keep)
    task = asyncio.create_task(service.run())
    await until(_nothing_waits(bus))
    service.stop()
    await task
    ((reason, body),) = given_up
    assert "not an order" in reason
    assert body == b"\xff not json"


async def test_a_stopping_worker_lets_its_runs_end(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path
) -> None:
    run = await start(rooms, code, "wait")
    async with working(bus, nats_server, tmp_path) as worker:
        await until(_exists(code / "pids"))
        worker.stop()
        (code / "go").touch()
    assert (await ended(rooms, run)).state == "completed"


WORKER = """
import asyncio, sys
from tocsin_events.bus import Bus, BusAddress
from tocsin_server.worker import WorkerOptions, WorkerService

async def main():
    own, url, data = sys.argv[1:4]
    async with await Bus.connect(BusAddress.parse(own)) as bus:
        environment = {"TOCSIN_NATS_URL": url, "TOCSIN_DATA_DIR": data}
        await WorkerService(bus, WorkerOptions(name="doomed", lease=2.0, environment=environment)).run()

asyncio.run(main())
"""


@pytest.mark.parametrize(("on_crash", "state"), [("fail", "crashed"), ("rerun", "completed")])
async def test_the_run_of_a_worker_killed_by_sigkill_is_crashed_and_run_again_only_where_wanted(
    rooms: Rooms, bus: Bus, nats_server: NatsServer, tmp_path: Path, code: Path, on_crash: str, state: str
) -> None:
    run = await start(rooms, code, "wait", on_crash=on_crash)
    env = environment(nats_server, tmp_path)
    doomed = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        WORKER,
        url_of(nats_server, "worker"),
        env["TOCSIN_NATS_URL"],
        env["TOCSIN_DATA_DIR"],
    )
    try:
        await until(_exists(code / "pids"))
    finally:
        doomed.send_signal(signal.SIGKILL)
        await doomed.wait()
    first = int((code / "pids").read_text())
    await until(_is_gone(first))
    (code / "go").touch()

    async def as_wanted() -> bool:
        return (await rooms.runs.get(run.id)).state == state

    async with working(bus, nats_server, tmp_path, name="heir", lease=2.0):
        await until(as_wanted)
        await until(_nothing_waits(bus))
    started = len((code / "pids").read_text().splitlines())
    assert started == (2 if on_crash == "rerun" else 1)
    (crashed,) = await rooms.events("flow-run.crashed")
    assert "doomed" in crashed.data["message"]
    assert "worker.lost" in await rooms.types("worker.*")


def _exists(path: Path) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return _has_text(path)

    return check


def _has_text(path: Path) -> bool:
    return path.exists() and path.read_text() != ""


def _is_gone(pid: int) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return not _alive(pid)

    return check


def _nothing_waits(bus: Bus) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return (await bus.state("RUNS")).messages == 0

    return check


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
