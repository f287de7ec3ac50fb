"""The live engine on a real bus and a real database."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from on_the_bus import events_on
from tocsin_automations.history import StoredHistory
from tocsin_automations.revising import Reviser
from tocsin_automations.revisions import Revisions
from tocsin_automations.service import EngineService
from tocsin_automations.store import EngineStore, Fenced
from tocsin_events.bus import Bus
from tocsin_events.ending import end
from tocsin_events.envelope import encode_event
from tocsin_events.identity import message_key
from tocsin_events.instant import SECOND
from tocsin_events.store import EventStore
from tocsin_events.view import EventView
from tocsin_server.db import open_engine

FAILED_TWICE = {
    "when": {
        "event": "flow-run.failed",
        "count": 2,
        "within": "10m",
        "for_each": "flow.name",
    },
    "then": [],
}


def micros() -> int:
    return time.time_ns() // 1000


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(f"sqlite:///{tmp_path}/tocsin.db")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield engine
    await engine.dispose()


class Rig:
    """An engine service that can be started and stopped, and the stream around it."""

    def __init__(self, bus: Bus, database: AsyncEngine) -> None:
        self.bus = bus
        self.store = EngineStore(database)
        self.revisions = Revisions(database)
        self.log = EventStore(database)
        self._count = 0

    def service(self) -> EngineService:
        history = StoredHistory(self.log, self.bus)
        return EngineService(self.bus, self.store, Reviser(self.revisions, history), clock=micros)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[EngineService]:
        service = self.service()
        task = asyncio.create_task(service.run())
        try:
            yield service
        finally:
            assert await end(task) is None

    async def apply(self, **automations: Any) -> int:
        revision = await self.revisions.add({"automations": automations}, created=micros())
        await self.emit("config.applied", payload={"revision": revision}, resource=("config", "config"))
        return revision

    async def emit(
        self, type_: str, *, flow: str = "etl", payload: Any = None, resource: tuple[str, str] | None = None,
        ago: int = 0,
    ) -> int:  # fmt: skip
        self._count += 1
        kind, id_ = resource or ("flow-run", f"run-{self._count}")
        body = encode_event(
            id=f"e{self._count}",
            type=type_,
            source="/test",
            time=micros() - ago,
            resource={"kind": kind, "id": id_},
            related=[{"kind": "flow", "id": flow, "name": flow, "role": "flow"}],
            payload=payload,
        )
        return await self.bus.publish(body, type=type_, key=message_key("/test", f"e{self._count}"))

    async def events(self, type_: str) -> list[EventView]:
        """Return all events of a type that are on the bus now."""
        return [view for view in await events_on(self.bus) if view.type == type_]

    async def fired(self, count: int) -> list[EventView]:
        """Return all firings on the bus, when there are at least so many."""
        found: list[EventView] = []
        async with (
            asyncio.timeout(60),
            contextlib.aclosing(self.bus.read_events(0, heartbeat=0.2)) as batches,
        ):
            async for batch in batches:
                found += [
                    EventView.decode(one.body, received=one.received, sequence=one.sequence)
                    for one in batch
                    if one.subject in ("tocsin.events.automation.fired", "tocsin.events.automation.resolved")
                ]
                if len(found) >= count and not batch:
                    return found
        raise AssertionError


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def rig(bus: Bus, database: AsyncEngine) -> Rig:
    return Rig(bus, database)


async def test_what_fires_is_on_the_bus_with_its_events_and_kept_for_good(rig: Rig) -> None:
    async with rig.running():
        await rig.apply(twice=FAILED_TWICE)
        await rig.emit("flow-run.failed", flow="other")
        await rig.emit("flow-run.failed")
        await rig.emit("flow-run.failed")
        (fired,) = await rig.fired(1)
    assert fired.data["firing"]["key"] == ["etl"]
    assert fired.data["firing"]["count"] == 2
    assert [event["id"] for event in fired.data["events"]] == ["e3", "e4"]
    (stored,) = await rig.store.firings()
    assert stored.id == fired.id
    assert stored.automation == "twice"
    assert msgspec.json.decode(stored.body)["id"] == fired.id


async def test_a_window_survives_a_restart(rig: Rig) -> None:
    async with rig.running():
        await rig.apply(twice=FAILED_TWICE)
        await rig.emit("flow-run.failed")
    async with rig.running():
        await rig.emit("flow-run.failed")
        assert len(await rig.fired(1)) == 1


async def test_an_engine_that_dies_before_its_checkpoint_makes_the_same_firings_again_and_the_bus_keeps_them_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*_: object, **__: object) -> None:
        raise RuntimeError("killed before the commit")

    with monkeypatch.context() as broken:
        broken.setattr(rig.store, "commit", dies)
        async with rig.running() as service:
            last = await rig.apply(twice=FAILED_TWICE)
            for _ in range(6):
                last = await rig.emit("flow-run.failed")
            await rig.fired(3)
    async with rig.running() as service:
        await until(lambda: service.progress is not None and service.progress.sequence >= last)
        assert len(await rig.fired(3)) == 3


@pytest.mark.parametrize("place", ["publish_many", "load"])
async def test_an_engine_that_is_stopped_in_the_middle_of_a_batch_does_the_rest_at_its_next_start(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    stuck = asyncio.Event()

    async def hangs(*_: object, **__: object) -> None:
        stuck.set()
        await asyncio.Event().wait()

    publish = rig.bus.publish_many
    with monkeypatch.context() as slow:
        slow.setattr(rig.bus if place == "publish_many" else rig.revisions, place, hangs)
        async with rig.running():
            await rig.apply(twice=FAILED_TWICE)
            await rig.emit("flow-run.failed")
            await rig.emit("flow-run.failed")
            await asyncio.wait_for(stuck.wait(), 20)
    assert rig.bus.publish_many == publish
    async with rig.running():
        assert len(await rig.fired(1)) == 1


async def test_a_deadline_fires_although_nothing_arrives(rig: Rig) -> None:
    async with rig.running():
        await rig.apply(
            unfinished={
                "when": {
                    "missing": "flow-run.completed",
                    "after": "flow-run.running",
                    "within": "1s",
                    "for_each": "flow.name",
                },
                "grace": "0s",
                "then": [],
            }
        )
        await rig.emit("flow-run.running")
        (fired,) = await rig.fired(1)
    assert fired.data["firing"]["key"] == ["etl"]


async def test_a_deadline_that_passed_while_down_fires_at_restart_before_anything_newer(rig: Rig) -> None:
    async with rig.running() as service:
        await rig.apply(
            unfinished={
                "when": {
                    "missing": "flow-run.completed",
                    "after": "flow-run.running",
                    "within": "1h",
                    "for_each": "flow.name",
                },
                "grace": "0s",
                "then": [],
            },
            newer={"when": {"event": "ping"}, "then": []},
        )
        last = await rig.emit("flow-run.running", ago=3600 * SECOND - SECOND)
        await until(lambda: service.progress is not None and service.progress.sequence >= last)
    sent = micros()
    while micros() < sent + SECOND:
        await asyncio.sleep(0.05)
    await rig.emit("ping")
    async with rig.running():
        fired = await rig.fired(2)
    assert [one.data["firing"]["automation"] for one in fired] == ["unfinished", "newer"]


async def test_a_new_rule_is_as_if_it_had_always_been_there(rig: Rig) -> None:
    async with rig.running():
        await rig.emit("flow-run.failed")
        await rig.apply(twice=FAILED_TWICE)
        await rig.emit("flow-run.failed")
        (fired,) = await rig.fired(1)
    assert fired.data["firing"]["count"] == 2


async def test_an_edit_of_the_description_keeps_the_window(rig: Rig) -> None:
    async with rig.running():
        await rig.apply(twice=FAILED_TWICE)
        await rig.emit("flow-run.failed")
        await rig.apply(twice={**FAILED_TWICE, "description": "Twice is once too often."})
        await rig.emit("flow-run.failed")
        (fired,) = await rig.fired(1)
    assert fired.data["firing"]["revision"] == 2


async def test_a_paused_automation_does_not_fire_until_it_is_resumed(rig: Rig) -> None:
    async with rig.running():
        await rig.apply(each={"when": {"event": "ping"}, "then": []})
        await rig.emit("automation.paused", resource=("automation", "each"))
        await rig.emit("ping")
        await rig.emit("automation.resumed", resource=("automation", "each"))
        await rig.emit("ping")
        (fired,) = await rig.fired(1)
    assert fired.data["event"]["id"] == "e5"


async def test_a_rate_limit_that_pauses_says_so_in_an_event_and_a_resume_mends_the_fuse(rig: Rig) -> None:
    fused = {
        "when": {"event": "ping"},
        "then": [],
        "limits": {"rate": {"max": 1, "per": "1h", "then": "pause"}},
    }
    async with rig.running() as service:
        await rig.apply(each=fused)
        await rig.emit("ping")
        await rig.emit("ping")
        await until(lambda: service.progress is not None and service.progress.paused == {"each"})
        await rig.emit("automation.resumed", resource=("automation", "each"))
        await until(lambda: service.progress is not None and not service.progress.paused)
        (stored,) = await rig.events("automation.paused")
    assert stored.source == "/engine"
    assert stored.resource == {"kind": "automation", "id": "each", "name": "each", "labels": {}, "tags": []}
    assert "reason" in stored.data


async def test_bytes_that_are_no_event_disturb_nothing(rig: Rig) -> None:
    async with rig.running() as service:
        await rig.apply(each={"when": {"event": "ping"}, "then": []})
        await rig.bus.publish(b"\xff\xfe not json", type="ping", key="rubbish")
        await rig.emit("ping")
        assert len(await rig.fired(1)) == 1
        assert service.progress is not None
        assert service.progress.undecodable == 1


async def test_a_second_engine_stands_by_and_takes_over(rig: Rig) -> None:
    async with rig.running() as second:
        async with rig.running() as first:
            await until(lambda: (first.progress is None) != (second.progress is None))
        await until(lambda: second.progress is not None)
        await rig.apply(each={"when": {"event": "ping"}, "then": []})
        await rig.emit("ping")
        assert len(await rig.fired(1)) == 1


async def test_an_engine_that_was_overtaken_writes_nothing_more(rig: Rig) -> None:
    service = rig.service()
    running = asyncio.create_task(service.run())
    await rig.apply(each={"when": {"event": "ping"}, "then": []})
    await until(lambda: service.progress is not None and service.progress.revision == 1)
    await rig.store.claim("0")
    await rig.emit("ping")
    with pytest.raises(Fenced):
        await asyncio.wait_for(running, 20)
