"""The two lives of `restart`'s engine, each in a process of its own so that its memory is its own.

Run: module, ``fill`` or ``restore``, a folder, the number of windows, the number of events behind them. Prints JSON.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tocsin_automations.automation import Automation
from tocsin_automations.engine import initial_state, restore, step
from tocsin_automations.rules import Rules
from tocsin_automations.store import Checkpoint, EngineStore
from tocsin_events.envelope import encode_event
from tocsin_events.instant import SECOND
from tocsin_events.view import EventView
from tocsin_server.db import open_engine, upgrade
from tocsin_server.heap import long_lived_objects

_START: Final = 1_767_960_000 * SECOND
_SHARD: Final = "0"
_CHECKPOINT_EVERY: Final = 50_000
"""As many events as an engine under load takes in between two checkpoints, and a few more."""
_BUSY_KEYS: Final = 1_000
_BEHIND: Final = "behind.jsonl"


async def _fill(folder: Path, windows: int, after: int) -> dict[str, float]:
    """Take in one event for each window, with checkpoints; tell what that took in memory and writing.

    The events that come after the last checkpoint are left in a file.

    Besides windows an engine remembers the ids of the last events, a bounded number. As many events as there will be windows
    fill that up first, so that the windows alone make the difference.
    """
    behind = (_body(2 * windows + number, "ping", f"sensor-{number % _BUSY_KEYS}") for number in range(after))
    (folder / _BEHIND).write_bytes(b"\n".join(behind))
    database = open_engine(_url(folder))
    await upgrade(database)
    engine = _Engine(EngineStore(database))
    await engine.claim()
    empty = _resident()
    await engine.take(_event(number, "pong") for number in range(windows))
    gc.collect()
    before, engine.writing = _resident(), 0.0
    await engine.take(_event(windows + number, "ping", f"sensor-{number}") for number in range(windows))
    gc.collect()
    after = _resident()
    await database.dispose()
    return {
        "a window": (after - before) / windows,
        "all": after - empty,
        "writing": engine.writing / (windows / _CHECKPOINT_EVERY),
    }


class _Engine:
    """An engine that writes checkpoints; ``writing`` is how many seconds it spent with that."""

    def __init__(self, store: EngineStore) -> None:
        self.writing = 0.0
        self._rules = _rules()
        self._state = initial_state(self._rules, _START)
        self._store = store
        self._fence = 0

    async def claim(self) -> None:
        self._fence, _ = await self._store.claim(_SHARD)

    async def take(self, events: Iterable[EventView]) -> None:
        for number, view in enumerate(events, 1):
            self._state, _ = step(self._rules, self._state, view)
            if number % _CHECKPOINT_EVERY == 0:
                start = time.perf_counter()
                await self._save()
                self.writing += time.perf_counter() - start

    async def _save(self) -> None:
        state, changes = self._state, self._state.take_changes()
        checkpoint = Checkpoint(
            state.sequence, state.now, state.revision, frozenset(), changes.header, changes.entries
        )
        await self._store.commit(_SHARD, self._fence, checkpoint, firings=(), counters={}, updated=state.now)


async def _restore(folder: Path, windows: int) -> dict[str, float]:
    """Take over the checkpoint and the events behind it; tell how long that took and what it needs."""
    with long_lived_objects():
        rules = _rules()
        database = open_engine(_url(folder))
        store = EngineStore(database)
        empty = _resident()
        start = time.perf_counter()
        _, found = await store.claim(_SHARD)
        assert found is not None
        state = restore(rules, found.header, found.entries)
        del found
        restored = time.perf_counter()
        for number, body in enumerate((folder / _BEHIND).read_bytes().splitlines(), 2 * windows):
            state, _ = step(rules, state, _view(number, body))
        ready = time.perf_counter()
        gc.collect()
        await database.dispose()
        return {
            "restoring": restored - start,
            "evaluating": ready - restored,
            "all": _resident() - empty,
        }


def _rules() -> Rules:
    rule = {
        "name": "thrice",
        "when": {"event": "ping", "count": 3, "within": "30d", "for_each": "resource.id"},
    }
    return Rules.build([Automation.model_validate(rule)], 1, _START)


def _event(number: int, type_: str, sensor: str = "sensor") -> EventView:
    return _view(number, _body(number, type_, sensor))


def _body(number: int, type_: str, sensor: str) -> bytes:
    return encode_event(
        id=f"e{number}",
        type=type_,
        source="/bench",
        time=_START + number * 1_000,
        resource={"kind": "sensor", "id": sensor, "name": "", "labels": {}, "tags": []},
    )


def _view(number: int, body: bytes) -> EventView:
    return EventView.decode(body, received=_START + number * 1_000, sequence=number + 1)


def _url(folder: Path) -> str:
    return f"sqlite:///{folder / 'tocsin.db'}"


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def _main(life: str, folder: str, windows: str, after: str) -> None:
    place = Path(folder)
    run = _fill(place, int(windows), int(after)) if life == "fill" else _restore(place, int(windows))
    print(json.dumps(asyncio.run(run)), flush=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
