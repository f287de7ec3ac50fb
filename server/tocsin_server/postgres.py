"""PostgreSQL: texts are stored whatever is in them.

PostgreSQL's texts can't hold NUL, though JSON's and Python's can, and so an event's, a run's message or a path of the API may.
A statement that had one would fail at each further attempt, and hold up all that comes after it. So NUL is written as
the replacement character, and looked for as that, in one place for all statements.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import URL, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

_MARK: Final = "\N{REPLACEMENT CHARACTER}"


def open_postgres(url: URL, *, pool_size: int) -> AsyncEngine:
    """Return an engine for a server's database."""
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
    )
    event.listen(engine.sync_engine, "before_cursor_execute", _storable, retval=True)
    return engine


def _storable(
    _connection: Any, _cursor: Any, statement: str, parameters: Sequence[Any], _context: Any, _many: bool
) -> tuple[str, Sequence[Any]]:
    # A list holds a row's values in each tuple; several rows in one statement are one tuple of values.
    if isinstance(parameters, list):
        return statement, [_without_nul(row) for row in parameters]
    return statement, _without_nul(parameters)


def _without_nul(row: Sequence[Any]) -> Sequence[Any]:
    if not any(type(value) is str and "\0" in value for value in row):
        return row
    return tuple(value.replace("\0", _MARK) if isinstance(value, str) else value for value in row)
