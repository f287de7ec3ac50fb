"""Tracking runs: whatever order the events of a run come in, and however often, the end is the same."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from run_rooms import Rooms, open_rooms, sqlite_url
from tocsin.states import StateType
from tocsin_events.bus import Bus
from tocsin_events.view import EventView
from tocsin_server.run_tracker import RunTracker, Sighting, supersedes
from tocsin_server.runs import RunRequest

T = StateType


@pytest.fixture
async def rooms(bus: Bus, tmp_path: Path) -> AsyncIterator[Rooms]:
    async with open_rooms(sqlite_url(tmp_path), bus) as rooms:
        yield rooms


def sighting(state: StateType, time: int, source: str = "/sdk", attempt: int = 1) -> Sighting:
    return Sighting(state, attempt, time, source, f"{source} {state} {attempt} {time}")


def last_of(sightings: tuple[Sighting, ...]) -> Sighting:
    known = sightings[0]
    for seen in sightings[1:]:
        if supersedes(seen, known):
            known = seen
    return known


@given(st.permutations(range(4)), st.integers(-1000, 1000))
def test_the_end_of_a_run_is_its_state_in_whatever_order_and_whatever_the_clocks(
    order: list[int], skew: int
) -> None:
    history = [
        sighting(T.SCHEDULED, 1000, "/runs"),
        sighting(T.PENDING, 1001 + skew, "/runs"),
        sighting(T.RUNNING, 1002 + skew),
        sighting(T.COMPLETED, 1003 + skew),
    ]
    assert last_of(tuple(history[place] for place in order)).state is T.COMPLETED


@given(st.permutations(range(4)))
def test_a_run_that_was_executed_again_is_at_its_second_attempt(order: list[int]) -> None:
    history = [
        sighting(T.RUNNING, 10),
        sighting(T.CRASHED, 11, "/runs"),
        sighting(T.PENDING, 12, "/runs", attempt=2),
        sighting(T.COMPLETED, 14, "/sdk/2", attempt=2),
    ]
    assert last_of(tuple(history[place] for place in order)).state is T.COMPLETED


def test_the_same_event_twice_changes_nothing() -> None:
    for state in StateType:
        assert not supersedes(sighting(state, 1), sighting(state, 1))


@pytest.mark.parametrize("end", [T.COMPLETED, T.FAILED, T.CANCELLED, T.TIMED_OUT])
def test_an_ended_run_stays_ended(end: StateType) -> None:
    for state in StateType:
        assert not supersedes(sighting(state, 99, "/other"), sighting(end, 1))


def view(state: str, time: int, *, run: str = "r1", payload: Any = None) -> EventView:
    return EventView(
        id=f"{state}-{time}", type=f"flow-run.{state}", source="/sdk/h/1", time=time, received=time,
        resource={"kind": "flow-run", "id": run, "name": "jumpy-puppy", "labels": {}, "tags": ["t"]},
        related=[{"kind": "flow", "id": "etl", "name": "etl", "labels": {}, "tags": [], "role": "flow"}],
        data=payload if payload is not None else {"state": {"type": state, "name": state.title()}, "attempt": 1},
    )  # fmt: skip


async def test_a_run_that_a_script_started_by_itself_is_listed(rooms: Rooms, bus: Bus) -> None:
    tracker = RunTracker(bus, rooms.engine)
    for state, time in (("running", 10), ("completed", 20), ("running", 10)):
        await tracker.see(view(state, time))
    (run,) = await rooms.runs.ls()
    assert (run.name, run.flow, run.deployment, run.state, run.tags) == (
        "jumpy-puppy",
        "etl",
        None,
        "completed",
        ("t",),
    )
    assert (run.started, run.ended) == (10, 20)


async def test_any_order_of_events_gives_the_same_row(rooms: Rooms, bus: Bus) -> None:
    tracker = RunTracker(bus, rooms.engine)
    history = (("pending", 10), ("running", 20), ("completed", 30))
    for number, order in enumerate(itertools.permutations(history)):
        for state, time in order:
            await tracker.see(view(state, time, run=f"r{number}"))
    for run in await rooms.runs.ls():
        assert (run.state, run.ended, run.started) == ("completed", 30, 20)


async def test_a_skipped_run_stays_skipped(rooms: Rooms, bus: Bus) -> None:
    await rooms.deploy(paused=True)
    run, _ = await rooms.runs.create("nightly", RunRequest({"n": 1}))
    for event in await rooms.events("flow-run.*"):
        await RunTracker(bus, rooms.engine).see(event)
    assert (await rooms.runs.get(run.id)).state == "skipped"


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "text",
        [],
        {},
        {"state": "x", "attempt": "many"},
        {"state": {"name": 5}, "attempt": -1, "error": "e", "parameters": 3},
    ],
)
async def test_a_payload_of_any_shape_is_survived(rooms: Rooms, bus: Bus, payload: Any) -> None:
    await RunTracker(bus, rooms.engine).see(view("failed", 10, payload=payload if payload is not None else 0))
    (run,) = await rooms.runs.ls()
    assert run.state == "failed"


async def test_a_run_keeps_its_latest_lines(rooms: Rooms, bus: Bus) -> None:
    from tocsin_server.runs import LogLine

    tracker = RunTracker(bus, rooms.engine, lines_per_run=100)
    for number in range(1, 501):
        line = LogLine(sequence=number, time=number, level="info", logger="x", message=f"line {number}")
        await tracker.keep_line("r1", number, line)
        if number % 100 == 0:
            await tracker.keep_line("r1", number, line)
    kept = await rooms.runs.logs("r1")
    assert [line.sequence for line in kept] == list(range(401, 501))
