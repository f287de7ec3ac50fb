"""``rate: {then: pause}``: the automation is paused, and people are told that it is, once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from action_room import Room, open_room
from notifying import make_service, until
from run_rooms import sqlite_url
from tocsin_automations.firing_event import SOURCE
from tocsin_automations.revising import Reviser
from tocsin_automations.revisions import Revisions
from tocsin_automations.service import EngineService
from tocsin_automations.store import EngineStore
from tocsin_events.bus import Bus
from tocsin_events.ending import end
from tocsin_events.envelope import encode_event
from tocsin_events.identity import message_key
from tocsin_events.store import EventStore
from tocsin_events.view import EventView
from tocsin_notifiers.service import Notifications
from tocsin_server.actions.fired import InvalidFiring
from tocsin_server.actions.paused import read_paused

TITLE = "Automation noisy is paused"


@pytest.fixture
async def room(bus: Bus, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(sqlite_url(tmp_path), bus) as room:
        yield room


def paused(id_: str = "p1", *, source: str = SOURCE, **payload: object) -> bytes:
    about = {"kind": "automation", "id": "noisy", "name": "noisy"}
    return encode_event(
        id=id_, type="automation.paused", source=source, time=0, resource=about, payload=payload or None
    )


def seen(body: bytes) -> EventView:
    return EventView.decode(body, received=1, sequence=1)


async def test_the_inbox_and_the_automations_own_notifiers_are_told_once(room: Room) -> None:
    rate = {"max": 10, "per": "1h", "then": "pause"}
    body = paused(reason="the fuse has blown", rate=rate, notifiers=["oncall", "inbox"])
    for _ in range(3):
        await room.new_runner().act_on(read_paused(seen(body)))
    told = list(room.desk.taken.values())
    assert [one.notifier for one in told] == ["inbox", "oncall"]
    assert {one.title for one in told} == {TITLE}
    assert {one.automation for one in told} == {"noisy"}
    assert "10 times within 1h" in str(told[0].body)
    assert "tocsin automations resume noisy" in str(told[0].body)
    assert len(await room.rooms.events("automation.action-succeeded")) == 2


async def test_only_the_engines_pauses_are_told_of(room: Room, bus: Bus) -> None:
    by_hand = paused("by-hand", source="/server/automations", reason="automation other", notifiers=["oncall"])
    await bus.publish(by_hand, type="automation.paused", key="by-hand")
    await bus.publish(paused("fuse", reason="blown"), type="automation.paused", key="fuse")
    task = asyncio.create_task(room.runner.run())

    async def told() -> bool:
        return bool(room.desk.taken)

    await until(told)
    await end(task)
    assert [one.notifier for one in room.desk.taken.values()] == ["inbox"]


def test_what_is_no_pause_is_refused() -> None:
    with pytest.raises(InvalidFiring, match="payload"):
        read_paused(seen(paused()))


async def test_a_fuse_that_blows_is_told_of_by_inbox_and_notifier(room: Room, bus: Bus) -> None:
    noisy = {
        "when": {"event": "ping"},
        "then": [{"notify": "oncall", "title": "ping"}],
        "limits": {"rate": {"max": 2, "per": "1h", "then": "pause"}},
    }
    lines: list[str] = []
    service = make_service(room.rooms.engine, bus, {"oncall": {"console": {}}}, write=lines.append)
    async with at_work(room, bus, service):
        revision = await Revisions(room.rooms.engine).add({"automations": {"noisy": noisy}}, created=1)
        await emit(bus, "config.applied", "applied", {"revision": revision})
        for number in range(5):
            await emit(bus, "ping", f"ping-{number}")

        async def told() -> bool:
            return any(TITLE in line for line in lines) and bool(await service.inbox.ls())

        await until(told)
        kept = await service.inbox.ls()
    assert [one.message.title for one in kept] == [TITLE]
    assert len([line for line in lines if TITLE in line]) == 1


@asynccontextmanager
async def at_work(room: Room, bus: Bus, service: Notifications) -> AsyncIterator[None]:
    """Let the engine, the action runner and the notifiers work."""
    database = room.rooms.engine
    room.services = replace(room.services, notifications=service)
    reviser = Reviser(Revisions(database), EventStore(database))
    engine = EngineService(bus, EngineStore(database), reviser, clock=lambda: time.time_ns() // 1000)
    tasks = [
        asyncio.create_task(one.run()) for one in (engine, room.new_runner(), service, room.rooms.outgoing)
    ]
    try:
        yield
    finally:
        for task in tasks:
            await end(task)


async def emit(bus: Bus, type_: str, id_: str, payload: object = None) -> None:
    body = encode_event(id=id_, type=type_, source="/test", time=time.time_ns() // 1000, payload=payload)
    await bus.publish(body, type=type_, key=message_key("/test", id_))
