"""Firings that wait for their turn are acted on together: in order, each action once, wherever the runner dies."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import BaseModel
from sqlalchemy import event

from action_room import NOW, Desk, Room, fired, open_room
from run_rooms import sqlite_url
from tocsin_events.bus import Bus
from tocsin_events.ending import end
from tocsin_events.identity import message_key
from tocsin_events.view import EventView
from tocsin_notifiers.notification import Notification
from tocsin_server.actions.call import Call, Done, Retry
from tocsin_server.actions.fired import Fired, read_fired
from tocsin_server.actions.lanes import Lanes
from tocsin_server.actions.runner import ActionRunner


class Killed(BaseException):
    """The process dies here."""


class Life:
    """Counts the steps that a runner takes, and ends its life at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.last = last
        self.steps = 0
        self.over = asyncio.Event()

    def step(self) -> None:
        self.steps += 1
        if self.last is not None and self.steps >= self.last:
            self.over.set()
            raise Killed


class Touch:
    """An action on the outside world, of which nobody promises that it bears repetition."""

    name: Final = "touch"
    main: Final = "what"
    retry: Final = Retry()

    class model(BaseModel):  # noqa: N801 - the protocol's name
        what: int

    def __init__(self) -> None:
        self.touched: list[str] = []
        self.life = Life()

    async def perform(self, args: Any, call: Call) -> Done:
        self.life.step()
        self.touched.append(call.key)
        self.life.step()
        return Done({"what": args.what})


@pytest.fixture
def touch() -> Touch:
    return Touch()


@pytest.fixture
async def room(bus: Bus, tmp_path: Path, touch: Touch) -> AsyncIterator[Room]:
    async with open_room(sqlite_url(tmp_path), bus, kinds={"touch": touch}) as room:
        await room.rooms.deploy()
        yield room


def firing(*actions: dict[str, Any], number: int, automation: str = "rule") -> Fired:
    body = fired(
        *actions, id=f"f{number:03}", automation=automation, data={"message": "boom", "number": number}
    )
    return read_fired(EventView.decode(body, received=NOW))


@contextmanager
def commits(room: Room, heard: Callable[[], None]) -> Iterator[None]:
    def on_commit(_connection: object) -> None:
        heard()

    event.listen(room.rooms.engine.sync_engine, "commit", on_commit)
    try:
        yield
    finally:
        event.remove(room.rooms.engine.sync_engine, "commit", on_commit)


NOTIFY: Final = {"kind": "notify", "notifier": "oncall", "title": "{{ data.number }}"}
EMIT: Final = {"kind": "emit_event", "type": "order.flagged", "data": {"n": "{{ data.number }}"}}
RUN: Final = {"kind": "run_deployment", "name": "nightly", "parameters": {"n": "{{ data.number }}"}}
TOUCH: Final = {"kind": "touch", "what": "{{ data.number }}"}


async def test_what_bears_repetition_shares_a_transaction_and_keeps_its_order(room: Room) -> None:
    made: list[None] = []
    with commits(room, lambda: made.append(None)):
        await room.runner.act_on_all([firing(NOTIFY, EMIT, RUN, number=number) for number in range(60)])
    assert len(made) == 1
    assert [one.title for one in room.desk.taken.values()] == [str(number) for number in range(60)]
    assert [one.data["n"] for one in await room.rooms.events("order.flagged")] == list(range(60))
    assert sorted(run.parameters["n"] for run in await room.rooms.runs.ls(limit=200)) == list(range(60))


async def test_nothing_is_kept_back_while_the_outside_world_is_touched(room: Room) -> None:
    seen: list[int] = []

    class Looking(Touch):
        async def perform(self, args: Any, call: Call) -> Done:
            seen.append(len(await room.results.of_firing(call.firing_id)))
            return await super().perform(args, call)

    looking = Looking()
    room.kinds = {**room.kinds, "touch": looking}
    await room.new_runner().act_on_all(
        [firing(EMIT, TOUCH, EMIT, TOUCH, number=number) for number in range(3)]
    )
    assert seen == [1, 3, 1, 3, 1, 3]
    assert looking.touched == [f"f{number:03}:{place}" for number in range(3) for place in (2, 4)]


async def test_one_that_fails_in_a_batch_fails_alone(room: Room) -> None:
    missing = {**RUN, "name": "nope"}
    await room.runner.act_on_all(
        [firing(missing if number == 1 else RUN, EMIT, number=number) for number in range(3)]
    )
    outcomes = [[one.outcome for one in await room.results.of_firing(f"f{number:03}")] for number in range(3)]
    assert outcomes == [["succeeded", "succeeded"], ["failed", "succeeded"], ["succeeded", "succeeded"]]
    assert sorted(run.parameters["n"] for run in await room.rooms.runs.ls()) == [0, 2]


async def test_a_change_that_could_not_be_made_is_tried_again_where_the_rule_says_so(room: Room) -> None:
    action = {**RUN, "name": "late", "retry": {"times": 50, "backoff": "20ms"}}
    acting = asyncio.create_task(room.runner.act_on_all([firing(action, number=1)]))
    await asyncio.sleep(0)
    await room.rooms.deploy("late")
    await acting
    ((result),) = await room.results.of_firing("f001")
    assert result.outcome == "succeeded"
    assert len(await room.rooms.runs.ls()) == 1


async def test_a_failure_that_ends_a_firing_ends_no_other(room: Room) -> None:
    stop = {**RUN, "name": "{{ 'nope' if data.number == 1 else 'nightly' }}", "continue_on_error": False}
    await room.runner.act_on_all([firing(stop, TOUCH, EMIT, number=number) for number in range(3)])
    outcomes = [
        [str(one.outcome) for one in await room.results.of_firing(f"f{number:03}")] for number in range(3)
    ]
    assert outcomes == [["succeeded"] * 3, ["failed", "not_run", "not_run"], ["succeeded"] * 3]


async def test_wherever_the_runner_dies_each_action_is_done_once(room: Room, touch: Touch) -> None:
    desk = MortalDesk()
    desk.taken = room.desk.taken
    room.services = replace(room.services, notifications=desk)
    numbers = iter(range(10_000))
    for lives in range(1, 1000):
        life = touch.life = desk.life = Life(lives)
        batch = [firing(EMIT, TOUCH, RUN, NOTIFY, number=next(numbers)) for _ in range(3)]
        before = len(touch.touched)
        with commits(room, life.step):
            died = await dies(room.new_runner(), batch, life)
        life.last = None
        await room.new_runner().act_on_all(batch)
        again = Counter(touch.touched[before:])
        assert set(again) == {f"{one.id}:2" for one in batch}
        assert again.total() <= len(batch) + died
        for one in batch:
            results = await room.results.of_firing(one.id)
            assert [str(result.outcome) for result in results] == ["succeeded"] * 4
        if not died:
            break
    assert lives > 10
    wanted = list(range(next(numbers)))
    assert [one.data["n"] for one in await room.rooms.events("order.flagged")] == wanted
    assert sorted(run.parameters["n"] for run in await room.rooms.runs.ls(limit=500)) == wanted
    assert sorted(int(one.title or "") for one in desk.taken.values()) == wanted


class MortalDesk(Desk):
    life: Life

    async def submit(self, notification: Notification) -> None:
        self.life.step()
        await super().submit(notification)
        self.life.step()


async def dies(runner: ActionRunner, firings: list[Fired], life: Life) -> bool:
    """Let a runner act, and tell whether it died before it was done."""
    acting = asyncio.create_task(runner.act_on_all(firings))
    over = asyncio.create_task(life.over.wait())
    await asyncio.wait({acting, over}, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    acting.cancel()
    await asyncio.gather(acting, over, return_exceptions=True)
    return life.over.is_set()


async def test_firings_off_the_bus_make_batches_and_lose_nothing(room: Room, bus: Bus) -> None:
    bodies = [fired(NOTIFY, EMIT, id=f"f{number:03}", data={"number": number}) for number in range(300)]
    await bus.publish_many(
        [("automation.fired", message_key("/engine", f"f{place}"), body) for place, body in enumerate(bodies)]
    )
    made: list[None] = []
    with commits(room, lambda: made.append(None)):
        task = asyncio.create_task(room.runner.run())
        async with asyncio.timeout(60):
            while len(await room.results.of_firing("f299")) < 2:
                await asyncio.sleep(0.02)
        await end(task)
    assert len(made) < 100
    assert [one.title for one in room.desk.taken.values()] == [str(number) for number in range(300)]
    assert [one.data["n"] for one in await room.rooms.events("order.flagged")] == list(range(300))


# -- lanes -------------------------------------------------------------------------------------------------------------


async def test_what_waits_in_a_lane_is_worked_on_together_and_in_order() -> None:
    worked: list[list[int]] = []

    async def work(items: Any) -> None:
        worked.append(list(items))
        await asyncio.sleep(0)

    lanes = Lanes[int](work)
    await asyncio.gather(*(lanes.add("a", number) for number in range(500)))
    assert [number for batch in worked for number in batch] == list(range(500))
    assert len(worked) < 10


async def test_a_bad_item_takes_no_others_with_it() -> None:
    done: list[int] = []

    async def work(items: Any) -> None:
        if 3 in items:
            raise ValueError("three")
        done.extend(items)

    lanes = Lanes[int](work)
    found = await asyncio.gather(*(lanes.add("a", number) for number in range(5)), return_exceptions=True)
    assert [type(one) for one in found] == [type(None)] * 3 + [ValueError, type(None)]
    assert done == [0, 1, 2, 4]


async def test_lanes_do_not_wait_for_each_other_and_end_at_once() -> None:
    done: list[str] = []

    async def work(items: Any) -> None:
        if "slow" in items:
            await asyncio.Event().wait()
        done.extend(items)

    lanes = Lanes[str](work)
    slow = asyncio.create_task(lanes.add("a", "slow"))
    behind = asyncio.create_task(lanes.add("a", "behind"))
    await asyncio.sleep(0)
    await lanes.add("b", "quick")
    await lanes.close()
    found = await asyncio.gather(slow, behind, return_exceptions=True)
    assert [type(one) for one in found] == [asyncio.CancelledError] * 2
    assert done == ["quick"]
