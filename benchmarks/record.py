"""`record`: from the bus into SQL, beside the same rows written into the same tables without anything else.

The limit's rows are ready before its clock starts; ours come as bytes from the bus. PostgreSQL is measured where it is
installed, on a cluster of the benchmark's own that doesn't sync (both sides).
"""

import asyncio
import contextlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine
from tests import postgres

from benchmarks.report import Figure
from benchmarks.samples import state_event
from benchmarks.servers import own_bus
from tocsin_events.bus import Bus
from tocsin_events.ending import end
from tocsin_events.identity import message_key
from tocsin_events.instant import SECOND
from tocsin_events.log_insert import related_rows
from tocsin_events.service import Recorder
from tocsin_events.store import EventStore
from tocsin_events.tables import EVENT_TABLE, RELATED_TABLE
from tocsin_events.view import EventView
from tocsin_server.db import metadata, open_engine
from tocsin_server.heap import give_way_to_database_threads, long_lived_objects

_START: Final = 1_767_960_000 * SECOND
_EVENTS: Final = 50_000
_BATCH: Final = 1_000
_ROUNDS: Final = 3

_EVENT_COLUMNS: Final = (
    "sequence", "id", "source", "type", "time", "received", "resource_kind", "resource_id", "cause", "body",
)  # fmt: skip
_RELATED_COLUMNS: Final = ("kind", "id", "time", "sequence", "role")

Rows = list[tuple[Any, ...]]


def measure() -> list[Figure]:
    """Return events a second into SQLite, and into PostgreSQL where there is one."""
    give_way_to_database_threads()
    return uvloop.run(_measure())  # as the server does


async def _measure() -> list[Figure]:
    bodies = [state_event(number, time=_START + number) for number in range(_EVENTS)]
    events, related = _rows(bodies)
    sqlite_limit, sqlite, copy_limit, copied = [], [], [], []
    with contextlib.ExitStack() as stack:
        # The prepared rows are none of the recorder's: the garbage collector leaves them alone.
        stack.enter_context(long_lived_objects())
        server = None if postgres.missing() else stack.enter_context(postgres.cluster())
        async with own_bus("relaxed") as bus:
            await _publish(bus, bodies)
            for _ in range(_ROUNDS):
                async with _sqlite_file() as (file, _):
                    sqlite_limit.append(_EVENTS / _executemany(file, events, related))
                async with _sqlite_file() as (_, engine):
                    sqlite.append(_EVENTS / await _record(bus, engine))
                if server is not None:
                    async with _postgres_database(server) as (url, _):
                        copy_limit.append(_EVENTS / await _copy(url, events, related))
                    async with _postgres_database(server) as (_, engine):
                        copied.append(_EVENTS / await _record(bus, engine))
    figures = [
        Figure(
            "bus → SQLite (WAL)", statistics.median(sqlite), "events/s", statistics.median(sqlite_limit),
            "executemany of the same rows into the same tables", "≥ 0.6, ≥ 15 k/s",
        )
    ]  # fmt: skip
    if copied:
        figures.append(
            Figure(
                "bus → PostgreSQL", statistics.median(copied), "events/s", statistics.median(copy_limit),
                "COPY of the same rows into the same tables", "≥ 0.6, ≥ 25 k/s",
            )
        )  # fmt: skip
    return figures


async def _publish(bus: Bus, bodies: list[bytes]) -> None:
    for start in range(0, _EVENTS, _BATCH):
        await bus.publish_many(
            [
                ("flow-run.failed", message_key("/bench", str(start + place)), body)
                for place, body in enumerate(bodies[start : start + _BATCH])
            ]
        )


def _rows(bodies: list[bytes]) -> tuple[Rows, list[Rows]]:
    """Return the rows of the events, and those of what each is related to."""
    events, related = [], []
    for sequence, body in enumerate(bodies, 1):
        view = EventView.decode(body, received=_START + sequence, sequence=sequence)
        resource = view.resource or {}
        events.append(
            (
                sequence, view.id, view.source, view.type, view.time, view.received, resource.get("kind"),
                resource.get("id"), view.cause, body,
            )
        )  # fmt: skip
        related.append(list(related_rows(view)))
    return events, related


def _batches(events: Rows, related: list[Rows]) -> Iterator[tuple[Rows, Rows]]:
    for start in range(0, len(events), _BATCH):
        yield (
            events[start : start + _BATCH],
            [row for rows in related[start : start + _BATCH] for row in rows],
        )


@contextlib.asynccontextmanager
async def _sqlite_file() -> AsyncIterator[tuple[Path, AsyncEngine]]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "log.db"
        async with _tables(f"sqlite:///{file}") as engine:
            yield file, engine


@contextlib.asynccontextmanager
async def _postgres_database(server: str) -> AsyncIterator[tuple[str, AsyncEngine]]:
    admin = await asyncpg.connect(f"{server}/postgres")
    await admin.execute("CREATE DATABASE bench")
    try:
        async with _tables(f"{server}/bench") as engine:
            yield f"{server}/bench", engine
    finally:
        await admin.execute("DROP DATABASE bench")
        await admin.close()


@contextlib.asynccontextmanager
async def _tables(url: str) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata().create_all)
        yield engine
    finally:
        await engine.dispose()


async def _record(bus: Bus, engine: AsyncEngine) -> float:
    recorder = Recorder(bus, EventStore(engine))
    start = time.perf_counter()
    running = asyncio.create_task(recorder.run())
    while recorder.recorded < _EVENTS:  # noqa: ASYNC110 - it looks at a counter
        await asyncio.sleep(0.005)
    took = time.perf_counter() - start
    assert await end(running) is None
    return took


def _executemany(file: Path, events: Rows, related: list[Rows]) -> float:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        insert_events = _insert(EVENT_TABLE, _EVENT_COLUMNS)
        insert_related = _insert(RELATED_TABLE, _RELATED_COLUMNS)
        start = time.perf_counter()
        for some, theirs in _batches(events, related):
            connection.executemany(insert_events, some)
            connection.executemany(insert_related, theirs)
            connection.commit()
        return time.perf_counter() - start


def _insert(table: Table, columns: tuple[str, ...]) -> str:
    return f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


async def _copy(url: str, events: Rows, related: list[Rows]) -> float:
    connection = await asyncpg.connect(url)
    try:
        start = time.perf_counter()
        for some, theirs in _batches(events, related):
            async with connection.transaction():
                await connection.copy_records_to_table(EVENT_TABLE.name, records=some, columns=_EVENT_COLUMNS)
                await connection.copy_records_to_table(
                    RELATED_TABLE.name, records=theirs, columns=_RELATED_COLUMNS
                )
        return time.perf_counter() - start
    finally:
        await connection.close()
