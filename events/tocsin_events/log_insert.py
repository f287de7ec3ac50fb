"""How a batch of events gets into the log: statements written for the driver, because this is the recorder's hot path."""

from collections.abc import Sequence, Set
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_events.identity import indexed
from tocsin_events.tables import EVENT_TABLE, TYPE_TABLE
from tocsin_events.upsert import insert_into
from tocsin_events.view import EventView

_EVENT_COLUMNS: Final = {
    "sequence": "bigint", "id": "text", "source": "text", "type": "text", "time": "bigint", "received": "bigint",
    "resource_kind": "text", "resource_id": "text", "cause": "text", "body": "bytea",
}  # fmt: skip
_RELATED_COLUMNS: Final = {
    "kind": "text",
    "id": "text",
    "time": "bigint",
    "sequence": "bigint",
    "role": "text",
}
_SEQUENCE, _TYPE, _RECEIVED, _BODY = 0, 3, 5, 9
"""Where these stand in the row of an event."""

_ROWS_IN_STATEMENT: Final = (256, 16, 1)
"""A few sizes only, so that the driver keeps the statements prepared."""

Row = tuple[Any, ...]


class Recorded:
    """An event to be appended, as the rows of its view and of the bytes that it was read from.

    It holds the rows alone: thousands of these wait in a burst, and of a view the garbage collector looks at every part.
    """

    __slots__ = ("related", "row")

    def __init__(self, view: EventView, body: bytes) -> None:
        resource = view.resource
        self.row: Final[Row] = (
            view.sequence,
            indexed(view.id),
            indexed(view.source),
            indexed(view.type),
            view.time,
            view.received,
            None if resource is None else indexed(resource["kind"]),
            None if resource is None else indexed(resource["id"]),
            None if view.cause is None else indexed(view.cause),
            body,
        )
        self.related: Final = related_rows(view)

    @property
    def body(self) -> bytes:
        """The bytes that it was read from."""
        body: bytes = self.row[_BODY]
        return body

    @property
    def view(self) -> EventView:
        """The event, read anew."""
        row = self.row
        return EventView.decode(self.body, received=row[_RECEIVED], sequence=row[_SEQUENCE])


def related_rows(view: EventView) -> list[Row]:
    """Return the rows that say what else an event concerns: kind, id, time, sequence, role."""
    time, sequence = view.time, view.sequence
    return [
        (indexed(one["kind"]), indexed(one["id"]), time, sequence, indexed(one["role"]))
        for one in view.related
    ]


async def insert_events(connection: AsyncConnection, events: Sequence[Recorded], new_types: Set[str]) -> int:
    """Insert events that are not there yet, with what they are related to; return how many were new.

    ``new_types`` are those of their types that the log may not know yet.
    """
    if not events:
        return 0
    await _insert_types(connection, new_types)
    if connection.dialect.name == "postgresql":
        return await _insert_into_postgres(connection, events)
    new = await _insert_into_sqlite(connection, "events", tuple(_EVENT_COLUMNS), [one.row for one in events])
    kept = events if new == len(events) else await _present(connection, events)
    await _insert_into_sqlite(connection, "event_related", tuple(_RELATED_COLUMNS), _related(kept))
    return new


def types_of(events: Sequence[Recorded]) -> set[str]:
    """Return the types of events, as the log has them."""
    return {one.row[_TYPE] for one in events}


def _related(events: Sequence[Recorded]) -> list[Row]:
    return [row for one in events for row in one.related]


async def _insert_types(connection: AsyncConnection, types: Set[str]) -> None:
    if types:
        # Sorted, so that two recorders that meet new types wait for each other instead of deadlocking.
        await connection.execute(
            insert_into(connection, TYPE_TABLE).on_conflict_do_nothing(),
            [{"type": one} for one in sorted(types)],
        )


# -- SQLite ------------------------------------------------------------------------------------------------------------


async def _insert_into_sqlite(
    connection: AsyncConnection, table: str, columns: tuple[str, ...], rows: Sequence[Row]
) -> int:
    """Insert rows, many in one statement, and return how many were new.

    The driver gives the interpreter's lock away and has to win it back for each statement; beside a busy event loop that
    takes longer than the insert itself, so that one statement a row is three times slower. And each call to the driver's
    thread waits for the loop to come by, so there is one for all statements. The last is filled up with the last row: that
    one is there by then.
    """
    if not rows:
        return 0
    size = next(size for size in _ROWS_IN_STATEMENT if size <= len(rows))
    filled = [*rows, *[rows[-1]] * (-len(rows) % size)]
    statements = [
        tuple(chain.from_iterable(filled[first : first + size])) for first in range(0, len(filled), size)
    ]
    return (await connection.exec_driver_sql(_sqlite_insert(table, columns, size), statements)).rowcount


@cache
def _sqlite_insert(table: str, columns: tuple[str, ...], rows: int) -> str:
    # The names are this module's own; values travel as parameters.
    row = f"({', '.join('?' * len(columns))})"
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)} ON CONFLICT DO NOTHING"  # noqa: S608
    )


async def _present(connection: AsyncConnection, events: Sequence[Recorded]) -> list[Recorded]:
    """Return the events that the log has under their sequence, not under that of an earlier double."""
    sequences = [one.row[_SEQUENCE] for one in events]
    found = set(
        await connection.scalars(select(EVENT_TABLE.c.sequence).where(EVENT_TABLE.c.sequence.in_(sequences)))
    )
    return [one for one in events if one.row[_SEQUENCE] in found]


# -- PostgreSQL --------------------------------------------------------------------------------------------------------


async def _insert_into_postgres(connection: AsyncConnection, events: Sequence[Recorded]) -> int:
    """Copy events, which takes the server and us half the time of an insert; if it refuses them, insert the new ones."""
    try:
        async with connection.begin_nested():
            await _copy(connection, events)
    except SQLAlchemyError:
        raise  # the savepoint can't be returned to: the connection is lost
    except Exception:  # noqa: BLE001 - what the driver has against a row, SQLAlchemy says of the statements below
        return await _insert_new_into_postgres(connection, events)
    return len(events)


async def _copy(connection: AsyncConnection, events: Sequence[Recorded]) -> None:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    await driver.copy_records_to_table(
        "events", columns=list(_EVENT_COLUMNS), records=[one.row for one in events]
    )
    if related := _related(events):
        # What an event names twice would stop the whole copy.
        once = dict.fromkeys(related)
        await driver.copy_records_to_table("event_related", columns=list(_RELATED_COLUMNS), records=once)


async def _insert_new_into_postgres(connection: AsyncConnection, events: Sequence[Recorded]) -> int:
    rows = [one.row for one in events]
    found = await connection.exec_driver_sql(_POSTGRES_EVENTS, tuple(zip(*rows, strict=True)))
    fresh = {row[0] for row in found}
    if related := _related([one for one in events if one.row[_SEQUENCE] in fresh]):
        await connection.exec_driver_sql(_POSTGRES_RELATED, tuple(zip(*related, strict=True)))
    return len(fresh)


def _postgres_insert(table: str, columns: dict[str, str]) -> str:
    arrays = ", ".join(f"${place}::{type_}[]" for place, type_ in enumerate(columns.values(), 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"  # noqa: S608


_POSTGRES_EVENTS: Final = _postgres_insert("events", _EVENT_COLUMNS) + " RETURNING sequence"
_POSTGRES_RELATED: Final = _postgres_insert("event_related", _RELATED_COLUMNS)
