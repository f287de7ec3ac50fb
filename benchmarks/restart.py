"""`restart`: from a checkpoint with 1,000,000 keyed windows and 100,000 events behind it to ready again."""

import asyncio
import gc
import tempfile
import time
from pathlib import Path

from benchmarks.report import Figure
from tocsin_automations.automation import Automation
from tocsin_automations.engine import initial_state, restore, step
from tocsin_automations.rules import Rules
from tocsin_automations.store import Checkpoint, EngineStore
from tocsin_events.instant import SECOND
from tocsin_events.view import EventView
from tocsin_server.db import open_engine, upgrade

_START = 1_767_960_000 * SECOND
_WINDOWS = 1_000_000
_AFTER = 100_000


def measure() -> list[Figure]:
    """Return seconds and bytes."""
    return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    rule = {
        "name": "thrice",
        "when": {"event": "ping", "count": 3, "within": "30d", "for_each": "resource.id"},
    }
    rules = Rules.build([Automation.model_validate(rule)], 1, _START)
    with tempfile.TemporaryDirectory() as folder:
        database = open_engine(f"sqlite:///{folder}/tocsin.db")
        await upgrade(database)
        store = EngineStore(database)
        empty = _resident()
        state = initial_state(rules, _START)
        for number in range(_WINDOWS):
            state, _ = step(rules, state, _ping(number, number))
        gc.collect()
        a_window = (_resident() - empty) / _WINDOWS
        fence, _ = await store.claim("0")
        changes = state.take_changes()
        checkpoint = Checkpoint(_WINDOWS, _START, 1, frozenset(), changes.header, changes.entries)
        start = time.perf_counter()
        await store.commit("0", fence, checkpoint, firings=(), counters={}, updated=_START)
        written = time.perf_counter() - start
        del state, changes, checkpoint
        gc.collect()
        start = time.perf_counter()
        _, found = await store.claim("0")
        assert found is not None
        state = restore(rules, found.header, found.entries)
        del found
        restored = time.perf_counter() - start
        for number in range(_WINDOWS, _WINDOWS + _AFTER):
            state, _ = step(rules, state, _ping(number, number % 1_000))
        ready = time.perf_counter() - start
        await database.dispose()
    return [
        Figure("ready again: restored, and 100,000 events evaluated", ready, "s", goal="≤ 10 s"),
        Figure("of that, restoring 1,000,000 windows", restored, "s"),
        Figure("memory a window, with its key", a_window, "bytes", goal="≤ 500 bytes"),
        Figure("writing the whole checkpoint once", written, "s"),
    ]


def _ping(number: int, key: int) -> EventView:
    at = _START + number * 1_000
    return EventView(
        id=f"e{number}", type="ping", source="/bench", time=at, received=at, sequence=number + 1,
        resource={"kind": "sensor", "id": f"sensor-{key}", "name": "", "labels": {}, "tags": []},
    )  # fmt: skip


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
