"""`backtest`: 20 rules over stored events, beside reading and decoding them alone."""

import asyncio
import tempfile
import time

from benchmarks.report import Figure
from benchmarks.samples import state_event
from tocsin_automations.automation import Automation
from tocsin_automations.store import EngineStore
from tocsin_events.instant import SECOND
from tocsin_events.log_insert import Recorded
from tocsin_events.store import EventStore
from tocsin_events.view import EventView
from tocsin_server.backtests import Period, run_backtest
from tocsin_server.db import open_engine, upgrade
from tocsin_server.heap import long_lived_objects

_START = 1_767_960_000 * SECOND
_EVENTS = 200_000
_RULES = 20


def measure() -> list[Figure]:
    """Return events a second."""
    # The server treats its long-lived objects so, too.
    with long_lived_objects():
        return asyncio.run(_measure())


async def _measure() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        database = open_engine(f"sqlite:///{folder}/tocsin.db")
        await upgrade(database)
        log = EventStore(database)
        await _fill(log)
        start = time.perf_counter()
        read = 0
        async for _ in log.between(patterns=["flow-run.failed"]):
            read += 1
        alone = time.perf_counter() - start
        start = time.perf_counter()
        period = Period(_START, _START + _EVENTS * 1_000 + 1)
        async for _ in run_backtest(log, EngineStore(database), _automations(), period, {}):
            pass
        took = time.perf_counter() - start
        await database.dispose()
    assert read == _EVENTS
    return [
        Figure(
            f"{_RULES} rules over {_EVENTS:,} stored events", _EVENTS / took, "events/s", _EVENTS / alone,
            "reading and decoding alone", "≥ 40 k/s",
        )
    ]  # fmt: skip


def _automations() -> list[Automation]:
    return [
        Automation.model_validate(
            {
                "name": f"rule-{number}",
                "when": {
                    "event": "flow-run.failed",
                    "where": f'deployment.id == "deployment-{number}"',
                    "count": 3,
                    "within": "10m",
                    "for_each": "flow.name",
                },
            }
        )
        for number in range(_RULES)
    ]


async def _fill(log: EventStore) -> None:
    for first in range(0, _EVENTS, 1_000):
        batch = []
        for number in range(first, first + 1_000):
            at = _START + number * 1_000
            body = state_event(number, time=at)
            batch.append(Recorded(EventView.decode(body, received=at, sequence=number + 1), body))
        await log.append(batch)
