"""Warm-up from a stored history: as if the rule had always been there, whatever the length of its window."""

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel

from event_making import NOON, recorded, resource
from tocsin_automations.automation import Automation
from tocsin_automations.engine import initial_state, warm_up
from tocsin_automations.history import read_through
from tocsin_automations.live import Configured, Live
from tocsin_automations.revising import History, Reviser
from tocsin_automations.revisions import Revisions
from tocsin_automations.rules import Rules
from tocsin_events.instant import SECOND
from tocsin_events.log_insert import Recorded
from tocsin_events.store import EventStore
from tocsin_events.view import EventView
from tocsin_server.db import open_engine

OFTEN = {"event": "flow-run.failed", "count": 5, "within": "30d", "for_each": "resource.id"}


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[EventStore]:
    engine = open_engine(f"sqlite:///{tmp_path}/tocsin.db")
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield EventStore(engine)
    await engine.dispose()


def failures(count: int, **payload: Any) -> list[Recorded]:
    """Return failures of three runs in turn."""
    return [
        recorded(number, about=resource("flow-run", f"r{number % 3}"), payload=payload)
        for number in range(1, count + 1)
    ]


async def applied_behind(log: EventStore, count: int, *, history: History | None = None, **when: Any) -> Live:
    """Return the engine right after a rule was applied behind so many events, those of the log if not told otherwise."""
    reviser = Reviser(Revisions(log.engine), history or log)
    live = await reviser.restore(None)
    live.sequence, live.clock = count + 1, NOON + (count + 2) * SECOND
    rule = Automation.model_validate({"name": "often", "when": {**OFTEN, **when}, "then": []})
    await reviser.apply(live, Configured(1, {"often": rule}))
    return live


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1003])
async def test_a_history_that_is_read_in_batches_leaves_the_state_that_it_leaves_in_one_piece(
    log: EventStore, count: int
) -> None:
    events = failures(count)
    await log.append(events)
    live = await applied_behind(log, count)
    rules = Rules.build(live.configured.effective(), 1, live.clock)
    whole = warm_up(rules, initial_state(rules, live.clock), [one.view for one in events], ["often"])
    entries, wanted = live.state.take_changes().entries, whole.take_changes().entries
    assert entries == wanted
    assert any(space.startswith("when/") for space, _ in entries) == bool(count)


class Endless:
    """A history of any length, whose events are made when they are asked for."""

    def __init__(self, count: int, size: int) -> None:
        self.count, self.size = count, size

    async def between(self, **_: Any) -> AsyncIterator[EventView]:
        for number in range(1, self.count + 1):
            yield recorded(number, payload={"text": f"{number:0{self.size}}"}).view


async def test_what_a_warm_up_holds_in_memory_does_not_grow_with_its_window(log: EventStore) -> None:
    size, count = 16_384, 8_000
    tracemalloc.start()
    try:
        # No event passes, so that the engine has no reason of its own to keep one.
        await applied_behind(log, count, history=Endless(count, size), where='data.text == "y"')
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < count * size / 2


async def test_what_goes_wrong_while_a_history_is_read_ends_the_reading(log: EventStore) -> None:
    await log.append(failures(3))
    ended = []

    async def broken() -> AsyncIterator[Any]:
        try:
            yield failures(1)[0].view
            raise OSError("the database is away")
        finally:
            ended.append(True)

    with pytest.raises(OSError, match="away"):
        await read_through(list, broken())
    assert ended == [True]
