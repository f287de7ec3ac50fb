"""Events on their way to a real bus, from real processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from tocsin.links import Denied, LinkDown, LogRecord
from tocsin.nats_link import NatsLink
from tocsin.outbox import Entry, Outbox, drain
from tocsin.publisher import Publisher
from tocsin.segment import segment_paths
from tocsin_events.address import BusAddress
from tocsin_events.bus import Bus
from tocsin_events.envelope import encode_event
from tocsin_events.nats_server import NatsServer
from tocsin_events.streams import event_subject


def bus_url(server: NatsServer) -> str:
    address = server.address_for("client")
    return address.url.replace("//", f"//{address.user}:{address.password}@")


def entry(number: int, *, size: int = 0) -> Entry:
    body = encode_event(id=str(number), type="test.happened", source="/t", time=number, payload="x" * size)
    return Entry("test.happened", f"/t {number}", body)


async def events_on(bus: Bus, count: int, seconds: float = 60.0) -> list[dict[str, object]]:
    """Return the first events on the bus, waiting until there are as many as asked for."""
    seen: list[dict[str, object]] = []
    async with asyncio.timeout(seconds):
        async with aclosing(bus.read_events(start_sequence=1)) as batches:
            async for batch in batches:
                seen += [json.loads(one.body) for one in batch]
                if len(seen) >= count:
                    break
    return seen


async def test_a_link_delivers_in_order_and_the_bus_keeps_doubles_once(
    bus: Bus, nats_server: NatsServer
) -> None:
    link = NatsLink(nats_server.address)
    entries = [entry(number) for number in range(2500)]
    assert link.publish(entries[:1500]) == [None] * 1500
    assert link.publish(entries[1000:]) == [None] * 1500
    link.close()
    seen = await events_on(bus, 2500)
    assert [event["id"] for event in seen] == [str(number) for number in range(2500)]


async def test_an_event_larger_than_the_bus_takes_is_refused_alone(bus: Bus, nats_server: NatsServer) -> None:
    link = NatsLink(nats_server.address)
    verdicts = link.publish([entry(1), entry(2, size=3_000_000), entry(3)])
    assert [verdict is None for verdict in verdicts] == [True, False, True]
    link.close()


async def test_a_wrong_password_is_said_so(nats_server: NatsServer) -> None:
    with pytest.raises(Denied, match="Authorization"):
        NatsLink(BusAddress(nats_server.address.url, "nobody", "wrong"))


async def test_a_server_without_streams_takes_nothing(nats_server: NatsServer) -> None:
    link = NatsLink(nats_server.address)
    with pytest.raises(LinkDown, match="no stream"):
        link.publish([entry(1)])
    link.close()


async def test_nobody_at_the_address_is_a_link_that_is_down(refusing_port: int) -> None:
    with pytest.raises(LinkDown, match="can't be reached"):
        NatsLink(BusAddress(f"nats://127.0.0.1:{refusing_port}"))


async def test_log_lines_reach_the_bus(bus: Bus, nats_server: NatsServer) -> None:
    link = NatsLink(nats_server.address)
    link.publish_logs([LogRecord("run-1", b'{"message": "hello"}')])
    link.close()
    info = await bus.js.stream_info("LOGS", subjects_filter=">")
    assert info.state.subjects == {"tocsin.logs.run-1": 1}


async def test_what_waits_in_the_outbox_goes_out_when_the_bus_comes(
    tmp_path: Path, bus: Bus, nats_server: NatsServer
) -> None:
    known: list[BusAddress] = []
    outbox = Outbox(tmp_path / "outbox", make_gap=lambda lost, since: b"", warn=print)
    publisher = Publisher(outbox, lambda: NatsLink(known[0]) if known else None)
    for number in range(100):
        outbox.append(entry(number).body)
        publisher.wake()
    assert not await asyncio.to_thread(publisher.flush, 5)
    known.append(nats_server.address)
    assert await asyncio.to_thread(publisher.flush, 10)
    publisher.stop(1)
    outbox.close()
    assert [event["id"] for event in await events_on(bus, 100)] == [str(number) for number in range(100)]
    assert segment_paths(tmp_path / "outbox") == []


async def test_events_survive_a_bus_that_goes_away_in_the_middle(
    tmp_path: Path, bus: Bus, nats_server: NatsServer
) -> None:
    """The bus is killed while a thousand events are on their way, and comes back on another port."""
    outbox = Outbox(tmp_path / "outbox", make_gap=lambda lost, since: b"", warn=print)
    publisher = Publisher(outbox, lambda: NatsLink(nats_server.address))
    for number in range(2000):
        outbox.append(entry(number).body)
        publisher.wake()
        if number == 1000:
            await nats_server.stop()
            await nats_server.start()
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(publisher.flush, 5):
            pass
    publisher.stop(1)
    outbox.close()
    async with await Bus.connect(nats_server.address, name="after") as again:
        seen = await events_on(again, 2000)
    assert [event["id"] for event in seen] == [str(number) for number in range(2000)]


def write_state(folder: Path, state: dict[str, object]) -> None:
    folder.mkdir()
    (folder / "server.json").write_text(json.dumps(state))


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Write a script."""

    def write(text: str) -> Path:
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(text))
        return path

    return write


async def run(path: Path, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(path), env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


ETL = """
    from tocsin import emit, flow, task

    @task
    def double(number):
        return 2 * number

    @flow
    def etl():
        emit("orders.loaded", resource="table/orders", data={"rows": 3})
        return sum(double.map(range(3)).result())

    print(etl())
"""


async def test_a_short_script_delivers_its_events_before_it_ends(
    bus: Bus, nats_server: NatsServer, script: Callable[[str], Path], own_folders: Path
) -> None:
    code, out, err = await run(script(ETL), TOCSIN_NATS_URL=bus_url(nats_server))
    assert (code, out) == (0, "6\n"), err
    seen = await events_on(bus, 12)
    types = [str(event["type"]) for event in seen]
    assert types[0] == "flow-run.running"
    assert types[-1] == "flow-run.completed"
    assert sorted(types[1:-1]) == sorted(
        ["orders.loaded", *["task-run.pending", "task-run.running", "task-run.completed"] * 3]
    )
    assert segment_paths(own_folders / "outbox") == []


async def test_a_script_without_a_server_just_runs_and_its_events_show_up_later(
    bus: Bus, script: Callable[[str], Path], own_folders: Path
) -> None:
    code, out, err = await run(script(ETL))
    assert (code, out) == (0, "6\n")
    assert "flow 'etl' / " in err
    assert "completed in" in err
    assert await drain(own_folders / "outbox", bus.publish_many) == 12
    assert len(await events_on(bus, 12)) == 12


async def test_a_server_that_is_found_through_its_state_file_gets_the_events(
    bus: Bus, nats_server: NatsServer, script: Callable[[str], Path], own_folders: Path
) -> None:
    address = nats_server.address_for("client")
    state = {
        "url": "http://127.0.0.1:1", "pid": os.getpid(), "key_file": str(own_folders / "api-key"),
        "nats_url": address.url, "nats_user": address.user, "nats_password": address.password,
    }  # fmt: skip
    write_state(own_folders, state)
    code, _, err = await run(script(ETL))
    assert code == 0, err
    assert len(await events_on(bus, 12)) == 12


@pytest.mark.parametrize("with_server", [False, True])
async def test_kill_9_of_a_flow_loses_no_event_and_doubles_none(
    bus: Bus, nats_server: NatsServer, script: Callable[[str], Path], own_folders: Path, with_server: bool
) -> None:
    path = script(
        """
        import itertools, sys
        from tocsin import emit, flow

        @flow
        def endless():
            for number in itertools.count():
                emit("test.number", resource="number/any", data=number)
                sys.stdout.write(f"{number}\\n")
                sys.stdout.flush()

        endless()
        """
    )
    environment = {"TOCSIN_NATS_URL": bus_url(nats_server)} if with_server else {}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(path), env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    last = -1
    while last < 1500:
        last = int(await process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = await process.stdout.read()
    last = max([last, *(int(line) for line in rest.split(b"\n")[:-1] if line)])
    await process.wait()
    await drain(own_folders / "outbox", bus.publish_many)
    seen = await events_on(bus, last + 2)
    numbers = [event["data"]["payload"] for event in seen if event["type"] == "test.number"]  # type: ignore[index]
    # The one that was emitted and not yet printed may be there, too.
    assert numbers == list(range(len(numbers)))
    assert len(numbers) in (last + 1, last + 2)
    assert not segment_paths(own_folders / "outbox")


async def test_forked_and_spawned_children_deliver_their_own_events(
    bus: Bus, nats_server: NatsServer, script: Callable[[str], Path], own_folders: Path
) -> None:
    path = script(
        """
        import multiprocessing, os
        from tocsin import emit, flush

        def work(name):
            for number in range(50):
                emit("test.number", resource=f"process/{name}", data=number)

        if __name__ == "__main__":
            emit("test.parent", data=0)
            children = [
                multiprocessing.get_context(method).Process(target=work, args=(method,))
                for method in ("fork", "spawn")
            ]
            for child in children:
                child.start()
            for child in children:
                child.join()
                assert child.exitcode == 0
            emit("test.parent", data=1)
        """
    )
    code, _, err = await run(path, TOCSIN_NATS_URL=bus_url(nats_server))
    assert code == 0, err
    await drain(own_folders / "outbox", bus.publish_many)
    seen = await events_on(bus, 102)
    for method in ("fork", "spawn"):
        numbers = [e["data"]["payload"] for e in seen if e.get("subject") == f"process/{method}"]  # type: ignore[index]
        assert numbers == list(range(50))
    assert [e["data"]["payload"] for e in seen if e["type"] == "test.parent"] == [0, 1]  # type: ignore[index]
    assert len({str(event["source"]) for event in seen}) == 3


async def test_a_bus_that_does_not_answer_delays_no_script(
    script: Callable[[str], Path], own_folders: Path
) -> None:
    async def hold(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    environment = {
        "TOCSIN_NATS_URL": f"nats://127.0.0.1:{port}",
        "TOCSIN_OUTBOX__FLUSH_SECONDS": "0.3",
    }
    async with asyncio.timeout(60):
        code, out, _ = await run(script(ETL), **environment)
    server.close()
    assert (code, out) == (0, "6\n")
    assert segment_paths(own_folders / "outbox")


def test_the_subject_is_the_buses_own() -> None:
    assert event_subject("flow-run.failed") == "tocsin.events.flow-run.failed"
