"""The bus goes away in the middle of everything, and nothing that was accepted is lost or doubled."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from event_making import body
from tocsin_events.bus import Bus, BusFull, BusUnavailable, StreamLimits, Work, run_subject
from tocsin_events.ending import end
from tocsin_events.identity import message_key
from tocsin_events.nats_server import NatsServer
from tocsin_events.service import Recorder
from tocsin_events.store import EventStore
from tocsin_events.streams import RUNS


async def kill(server: NatsServer, number: int = signal.SIGKILL) -> None:
    async with asyncio.timeout(60):
        while server.pid is None:
            await asyncio.sleep(0.01)
        os.kill(server.pid, number)


async def publish_stubbornly(bus: Bus, names: list[str]) -> None:
    """Publish as an outbox does: all of it again until it is acknowledged."""
    events = [("order.placed", message_key("/test", name), body(name, "order.placed")) for name in names]
    while True:
        try:
            await bus.publish_many(events)
        except BusUnavailable:
            await asyncio.sleep(0.02)
        else:
            return


async def test_all_that_was_accepted_is_recorded_in_order_though_the_server_is_killed_again_and_again(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/log.db")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    store = EventStore(engine)
    recorder = Recorder(bus, store)
    recording = asyncio.create_task(recorder.run())
    names = [f"e{number}" for number in range(10_000)]
    for first in range(0, 10_000, 2_000):
        publishing = asyncio.create_task(publish_stubbornly(bus, names[first : first + 2_000]))
        await asyncio.sleep(0.02)
        await kill(nats_server, signal.SIGTERM if first % 4_000 else signal.SIGKILL)
        await publishing
    async with asyncio.timeout(60):
        while recorder.position < (await patient_state(bus)):
            await asyncio.sleep(0.02)
    logged = [view.id async for view in store.between()]
    assert await end(recording) is None
    await engine.dispose()
    assert sorted(logged, key=lambda name: int(name[1:])) == names
    assert len(set(logged)) == len(logged)


async def patient_state(bus: Bus) -> int:
    while True:
        try:
            return (await bus.state()).last
        except BusUnavailable:
            await asyncio.sleep(0.02)


async def test_a_queue_is_worked_through_although_the_server_is_killed(
    nats_server: NatsServer, bus: Bus
) -> None:
    done: set[bytes] = set()

    async def handler(work: Work) -> None:
        await asyncio.sleep(0.001)
        done.add(work.body)

    consuming = asyncio.create_task(
        bus.consume(RUNS, "workers", ["tocsin.runs.>"], handler, concurrency=20, ack_wait=1.0)
    )
    wanted = {f"{number}".encode() for number in range(600)}
    for number, one in enumerate(sorted(wanted)):
        if number in (150, 400):
            await kill(nats_server)
        while True:
            try:
                await bus.publish_to(run_subject("p", "q"), one, key=one.decode())
                break
            except BusUnavailable:
                await asyncio.sleep(0.02)
    async with asyncio.timeout(60):
        while done != wanted:
            await asyncio.sleep(0.02)
    assert await end(consuming) is None


async def test_publishing_while_the_bus_is_gone_fails_at_once(nats_server: NatsServer, bus: Bus) -> None:
    await nats_server.stop()
    async with asyncio.timeout(60):
        while bus.connected:
            await asyncio.sleep(0.005)
    # Attempts that each waited for an acknowledgement would take much longer.
    async with asyncio.timeout(60):
        for _ in range(20):
            with pytest.raises(BusUnavailable, match="not connected"):
                await bus.publish(b"{}", type="a", key="1")
    await nats_server.start()
    async with asyncio.timeout(60):
        while not bus.connected:
            await asyncio.sleep(0.01)
    assert await bus.publish(b"{}", type="a", key="1") == 1


async def test_a_server_that_hangs_is_noticed(nats_server: NatsServer, bus: Bus) -> None:
    pid = nats_server.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(60):
            with pytest.raises(BusUnavailable, match="acknowledged within"):
                await bus.publish(b"{}", type="a", key="1")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert await bus.publish(b"{}", type="a", key="1") == 1


async def test_a_server_that_does_not_let_us_in_for_a_while_does_not_end_the_attempts(
    nats_server: NatsServer, bus: Bus, tmp_path: Path
) -> None:
    port = int(nats_server.url.rpartition(":")[2])
    await nats_server.stop()
    stranger = NatsServer(tmp_path / "stranger", durability="relaxed", port=port)
    await stranger.start()
    async with asyncio.timeout(60):
        while "uthorization" not in str(bus.client.last_error):
            await asyncio.sleep(0.01)
    await stranger.stop()
    await nats_server.start()
    async with asyncio.timeout(60):
        while not bus.connected:
            await asyncio.sleep(0.01)
    assert await bus.publish(b"{}", type="a", key="1") == 1


async def test_a_full_bus_refuses_and_takes_again_when_there_is_room(nats_server: NatsServer) -> None:
    async with await Bus.connect(nats_server.address) as bus:
        await bus.prepare(StreamLimits(events_bytes=1_000_000))
        accepted = 0
        with pytest.raises(BusFull, match="has not read it yet"):  # noqa: PT012 - it is the last of many
            for number in range(100):
                await bus.publish(b"x" * 50_000, type="a", key=f"{number}")
                accepted += 1
        state = await bus.state()
        assert 0 < accepted < 100
        assert (state.first, state.last, state.messages) == (1, accepted, accepted)
        await bus.remove_before(3)
        assert await bus.publish(b"x", type="a", key="again") == accepted + 1
