"""SQLite for many writers of one process: they take turns in the process, not at the file.

SQLite lets one transaction write at a time. Who finds the file locked looks again after a pause that grows to a tenth
of a second, in no order; a dozen services that commit all the time then spend most of it in such pauses. So the
transactions of this process queue up, first come, first served, and find the file free. The wait at the file, for other
processes, remains (`busy_timeout`).
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

from sqlalchemy import URL, Engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=30000",
    "cache_size=-32768",
)


class SqliteEngine(AsyncEngine):
    """An engine whose `begin` takes turns and opens a transaction that may write, from its first statement on.

    A transaction within another one's block waits for ever: give the connection on instead.
    """

    def __init__(self, sync_engine: Engine) -> None:
        super().__init__(sync_engine)
        self._turn = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction, when it is this caller's turn; commit at the end of the block."""
        async with self._turn, self.connect() as connection, connection.begin():
            # The driver begins at the first change only: what was read before it would not be part of the transaction.
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection


def open_sqlite(url: URL, *, pool_size: int) -> SqliteEngine:
    """Return an engine for a file: WAL mode, foreign keys, each commit synced to disk."""
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        connect_args={"timeout": 30},
        pool_size=pool_size,
        max_overflow=pool_size,
    )
    event.listen(engine.sync_engine, "connect", _prepare)
    return SqliteEngine(engine.sync_engine)


def _prepare(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
