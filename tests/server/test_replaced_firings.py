"""``concurrency: {mode: restart}``: a firing ends the runs of those that it replaces, and only then starts its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from action_room import NOW, Room, fired, open_room
from run_rooms import sqlite_url
from tocsin_events.bus import Bus
from tocsin_events.view import EventView
from tocsin_server.actions.fired import Fired, read_fired
from tocsin_server.run_claims import RunClaims
from tocsin_server.runs import Run

RUN = {"kind": "run_deployment", "name": "nightly", "parameters": {"n": 1}}
NEVER = {**RUN, "if": "data.number > 100"}


@pytest.fixture
async def room(bus: Bus, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(sqlite_url(tmp_path), bus) as room:
        await room.rooms.deploy()
        yield room


def firing(id_: str, *actions: dict[str, Any], replaces: tuple[str, ...] = ()) -> Fired:
    about = {"id": id_, "automation": "rule", "key": ["etl"], "state": "firing", "cancels": list(replaces)}
    return read_fired(EventView.decode(fired(*actions or (RUN,), id=id_, firing=about), received=NOW))


async def run_of(room: Room, id_: str) -> Run | None:
    """Return the run that a firing started."""
    return next((run for run in await room.rooms.runs.ls() if run.cause == id_), None)


async def state_of(room: Room, id_: str) -> str | None:
    run = await run_of(room, id_)
    return None if run is None else run.state


async def test_the_old_run_is_ended_before_the_new_one_is_created_and_the_reason_names_the_firing(
    room: Room, bus: Bus
) -> None:
    await room.runner.act_on(firing("f1"))
    await room.runner.act_on(firing("f2", replaces=("f1",)))
    old, new = await run_of(room, "f1"), await run_of(room, "f2")
    assert old is not None
    assert new is not None
    assert (old.state, old.state_message) == ("cancelling", "replaced by firing f2 of automation rule")
    assert new.state == "scheduled"
    told = [(one.type, one.resource["id"]) for one in await room.rooms.events("flow-run.*") if one.resource]
    assert told == [
        ("flow-run.scheduled", old.id),
        ("flow-run.cancelling", old.id),
        ("flow-run.scheduled", new.id),
    ]
    claims = await RunClaims.open(bus.js)
    assert await claims.is_cancelled(old.id)
    assert not await claims.is_cancelled(new.id)


async def test_it_is_recorded_with_both_firings_and_told_of(room: Room) -> None:
    await room.runner.act_on(firing("f1"))
    await room.runner.act_on(firing("f2", replaces=("f1",)))
    old = await run_of(room, "f1")
    assert old is not None
    ended, started = await room.results.of_firing("f2")
    assert (ended.number, ended.kind, ended.outcome) == (0, "replace_firings", "succeeded")
    assert ended.detail == {"firings": ["f1"], "runs": [old.id]}
    assert started.kind == "run_deployment"
    mark, _ = await room.results.of_firing("f1")
    assert (mark.outcome, mark.reason) == ("skipped", "replaced by firing f2")
    told = await room.rooms.events("automation.action-succeeded")
    assert [one.data["kind"] for one in told] == ["run_deployment", "replace_firings", "run_deployment"]


async def test_a_firing_that_comes_again_ends_nothing_again(room: Room) -> None:
    await room.runner.act_on(firing("f1"))
    for _ in range(3):
        await room.new_runner().act_on(firing("f2", replaces=("f1",)))
    assert len(await room.rooms.events("flow-run.cancelling")) == 1
    assert len(await room.rooms.runs.ls()) == 2
    await room.runner.act_on(firing("f3", replaces=("f2",)))
    await room.new_runner().act_on(firing("f2", replaces=("f1",)))
    assert await state_of(room, "f3") == "scheduled"
    assert len(await room.rooms.runs.ls()) == 3


async def test_firings_that_are_acted_on_together_replace_one_another(room: Room) -> None:
    await room.runner.act_on_all(
        [firing("f1"), firing("f2", replaces=("f1",)), firing("f3", replaces=("f2",))]
    )
    states = [await state_of(room, id_) for id_ in ("f1", "f2", "f3")]
    assert states == ["cancelling", "cancelling", "scheduled"]


async def test_a_firing_that_was_replaced_before_anyone_acted_on_it_starts_nothing(room: Room) -> None:
    await room.runner.act_on(firing("f2", replaces=("f1",)))
    await room.runner.act_on(firing("f1", RUN, {"kind": "notify", "notifier": "oncall"}))
    assert await state_of(room, "f1") is None
    assert await state_of(room, "f2") == "scheduled"
    _, skipped, told = await room.results.of_firing("f1")
    assert (skipped.outcome, skipped.reason) == ("skipped", "firing f2 replaced this one")
    assert told.outcome == "succeeded"


async def test_the_old_runs_end_even_where_no_new_one_is_started(room: Room) -> None:
    await room.runner.act_on(firing("f1"))
    await room.runner.act_on(firing("f2", NEVER, replaces=("f1",)))
    assert await state_of(room, "f1") == "cancelling"
    assert await state_of(room, "f2") is None


async def test_runs_that_have_ended_and_runs_of_others_are_left_alone(room: Room) -> None:
    await room.rooms.deployments.pause("nightly")
    await room.runner.act_on(firing("f1"))
    await room.rooms.deployments.resume("nightly")
    await room.runner.act_on(firing("other"))
    await room.runner.act_on(firing("f2", replaces=("f1", "never-seen")))
    assert await state_of(room, "f1") == "skipped"
    assert await state_of(room, "other") == "scheduled"
    ended, _ = await room.results.of_firing("f2")
    assert ended.detail["runs"] == []


async def test_two_runners_that_share_the_firings_leave_one_run(bus: Bus, postgres_url: str) -> None:
    async with open_room(postgres_url, bus) as room:
        await room.rooms.deploy()
        for number in range(10):
            old, new = firing(f"a{number}"), firing(f"b{number}", replaces=(f"a{number}",))
            await asyncio.gather(room.new_runner().act_on(new), room.new_runner().act_on(old))
            assert await state_of(room, old.id) in (None, "cancelling")
            assert await state_of(room, new.id) == "scheduled"
