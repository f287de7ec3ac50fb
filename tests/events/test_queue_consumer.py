"""Working through a queue: nothing is lost, whatever the handler does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tocsin_events.bus import Bus, DeadWork, Poison, Retry, Work, delivery_subject, run_subject
from tocsin_events.ending import end
from tocsin_events.streams import DELIVERIES, RUNS


@asynccontextmanager
async def working(bus: Bus, handler: Any, **terms: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(
        bus.consume(DELIVERIES, "deliverer", ["tocsin.deliveries.>"], handler, **terms)
    )
    try:
        yield
    finally:
        assert await end(task) is None


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


async def left(bus: Bus) -> int:
    return (await bus.state(DELIVERIES)).messages


async def until_empty(bus: Bus) -> None:
    async with asyncio.timeout(60):
        while await left(bus):
            await asyncio.sleep(0.005)


async def send(bus: Bus, *bodies: bytes) -> None:
    for body in bodies:
        await bus.publish_to(delivery_subject("slack"), body, key=body.decode(), headers={"Cause": "e1"})


async def test_a_message_is_removed_after_its_handler_returned(bus: Bus) -> None:
    seen: list[Work] = []

    async def handler(work: Work) -> None:
        assert await left(bus) == 1
        seen.append(work)

    await send(bus, b"hello")
    async with working(bus, handler):
        await until_empty(bus)
    [work] = seen
    assert (work.body, work.subject, work.attempt) == (b"hello", "tocsin.deliveries.slack", 1)
    assert work.headers["Cause"] == "e1"


async def test_one_at_a_time_keeps_the_order(bus: Bus) -> None:
    seen: list[bytes] = []

    async def handler(work: Work) -> None:
        seen.append(work.body)
        await asyncio.sleep(0)

    bodies = [f"{number}".encode() for number in range(200)]
    await send(bus, *bodies)
    async with working(bus, handler):
        await until_empty(bus)
    assert seen == bodies


async def test_no_more_than_the_agreed_number_is_worked_on_at_the_same_time(bus: Bus) -> None:
    running = most = 0
    opened = asyncio.Event()

    async def handler(work: Work) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 4:
            opened.set()
        await opened.wait()
        running -= 1

    await send(bus, *(f"{number}".encode() for number in range(40)))
    async with working(bus, handler, concurrency=4):
        await until_empty(bus)
    assert most == 4


async def test_a_handler_that_wants_a_retry_gets_its_message_again(bus: Bus) -> None:
    attempts: list[int] = []

    async def handler(work: Work) -> None:
        attempts.append(work.attempt)
        if work.attempt < 3:
            raise Retry(after=0.01)

    await send(bus, b"hello")
    async with working(bus, handler):
        await until_empty(bus)
    assert attempts == [1, 2, 3]


async def test_a_failing_handler_gets_its_message_again_and_then_it_is_a_dead_letter(bus: Bus) -> None:
    dead: list[DeadWork] = []

    async def handler(work: Work) -> None:
        raise RuntimeError("no such channel")

    async def bury(letter: DeadWork) -> None:
        dead.append(letter)

    await send(bus, b"hello")
    async with working(bus, handler, max_deliver=2, on_dead=bury):
        await until_empty(bus)
    [letter] = dead
    assert letter.work.body == b"hello"
    assert "no such channel" in letter.reason
    assert letter.work.attempt == 2


async def test_poison_is_a_dead_letter_at_once(bus: Bus) -> None:
    dead: list[DeadWork] = []

    async def handler(work: Work) -> None:
        raise Poison("not JSON")

    async def bury(letter: DeadWork) -> None:
        dead.append(letter)

    await send(bus, b"hello")
    async with working(bus, handler, on_dead=bury):
        await until_empty(bus)
    assert [(letter.work.attempt, letter.reason) for letter in dead] == [(1, "not JSON")]


async def test_a_dead_letter_that_cannot_be_kept_stays_on_the_bus(bus: Bus) -> None:
    calls = 0

    async def handler(work: Work) -> None:
        raise Poison("not JSON")

    async def bury(letter: DeadWork) -> None:
        nonlocal calls
        calls += 1
        raise OSError("the database is down")

    await send(bus, b"hello")
    async with working(bus, handler, on_dead=bury):
        await until(lambda: calls)
    assert await left(bus) == 1


async def test_a_long_handler_keeps_its_message(bus: Bus) -> None:
    attempts: list[int] = []
    finish = asyncio.Event()

    async def handler(work: Work) -> None:
        attempts.append(work.attempt)
        await finish.wait()

    await send(bus, b"hello")
    async with working(bus, handler, ack_wait=0.5, concurrency=2):
        await until(lambda: attempts)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await until(lambda: len(attempts) > 1)
        finish.set()
        await until_empty(bus)
    assert attempts == [1]


async def test_a_message_whose_worker_was_stopped_comes_again(bus: Bus) -> None:
    attempts: list[int] = []

    async def hanging(work: Work) -> None:
        attempts.append(work.attempt)
        await asyncio.Event().wait()

    async def prompt(work: Work) -> None:
        attempts.append(work.attempt)

    await send(bus, b"hello")
    async with working(bus, hanging):
        await until(lambda: attempts)
    async with working(bus, prompt):
        await until_empty(bus)
    assert attempts == [1, 2]


async def test_two_consumers_of_one_queue_share_its_messages(bus: Bus) -> None:
    seen: list[bytes] = []

    async def handler(work: Work) -> None:
        seen.append(work.body)

    await send(bus, *(f"{number}".encode() for number in range(100)))
    async with working(bus, handler, concurrency=3), working(bus, handler, concurrency=3):
        await until_empty(bus)
    assert sorted(seen, key=int) == [f"{number}".encode() for number in range(100)]


async def test_queues_of_runs_are_told_apart_whatever_their_names(bus: Bus) -> None:
    seen: list[bytes] = []

    async def handler(work: Work) -> None:
        seen.append(work.body)

    await bus.publish_to(run_subject("default", "a.b c"), b"mine", key="1")
    await bus.publish_to(run_subject("default", "a"), b"other", key="2")
    task = asyncio.create_task(bus.consume(RUNS, "w", [run_subject("default", "a.b c")], handler))
    await until(lambda: seen)
    assert await end(task) is None
    assert seen == [b"mine"]
