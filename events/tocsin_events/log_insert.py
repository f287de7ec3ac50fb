"""How a batch of events gets into the log: statements written for the driver, because this is the recorder's hot path."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_events.tables import EVENT_TABLE, TYPE_TABLE, indexed
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

_ROWS_IN_STATEMENT: Final = (256, 32, 4, 1)
"""A few sizes only, so that the driver keeps the statements prepared."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event to be appended: its view, and the bytes it was read from."""

    view: EventView
    body: bytes


async def insert_events(
    connection: AsyncConnection, events: Sequence[Recorded], known_types: set[str]
) -> int:
    """Insert events that are not there yet, with what they are related to; return how many were new.

    ``known_types`` are types that the log is known to have.
    """
    if not events:
        return 0
    await _insert_types(connection, {indexed(one.view.type) for one in events} - known_types)
    rows = [_event_row(one) for one in events]
    kept: Sequence[Recorded] = events
    if connection.dialect.name == "postgresql":
        found = await connection.exec_driver_sql(_POSTGRES_EVENTS, tuple(zip(*rows, strict=True)))
        fresh = {row[0] for row in found}
        kept = [one for one in events if one.view.sequence in fresh]
        new = len(fresh)
    else:
        new = await _insert_into_sqlite(connection, "events", tuple(_EVENT_COLUMNS), rows)
        if new < len(rows):
            kept = await _present(connection, events)
    related = [row for one in kept for row in related_rows(one.view)]
    if related and connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(_POSTGRES_RELATED, tuple(zip(*related, strict=True)))
    elif related:
        await _insert_into_sqlite(connection, "event_related", tuple(_RELATED_COLUMNS), related)
    return new


def related_rows(view: EventView) -> list[tuple[str, str, int, int, str]]:
    """Return the rows that say what else an event concerns: kind, id, time, sequence, role."""
    return [
        (indexed(one["kind"]), indexed(one["id"]), view.time, view.sequence, indexed(one["role"]))
        for one in view.related
    ]


async def _insert_types(connection: AsyncConnection, types: set[str]) -> None:
    if types:
        # Sorted, so that two recorders that meet new types wait for each other instead of deadlocking.
        await connection.execute(
            insert_into(connection, TYPE_TABLE).on_conflict_do_nothing(),
            [{"type": one} for one in sorted(types)],
        )


async def _present(connection: AsyncConnection, events: Sequence[Recorded]) -> list[Recorded]:
    """Return the events that the log has under their sequence, not under that of an earlier double."""
    sequences = [one.view.sequence for one in events]
    found = set(
        await connection.scalars(select(EVENT_TABLE.c.sequence).where(EVENT_TABLE.c.sequence.in_(sequences)))
    )
    return [one for one in events if one.view.sequence in found]


def _event_row(one: Recorded) -> tuple[Any, ...]:
    view, resource = one.view, one.view.resource
    return (
        view.sequence,
        indexed(view.id),
        indexed(view.source),
        indexed(view.type),
        view.time,
        view.received,
        None if resource is None else indexed(resource["kind"]),
        None if resource is None else indexed(resource["id"]),
        None if view.cause is None else indexed(view.cause),
        one.body,
    )


async def _insert_into_sqlite(
    connection: AsyncConnection, table: str, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> int:
    """Insert rows, many in one statement, and return how many were new.

    The driver gives the interpreter's lock away and has to win it back for each statement; beside a busy event loop that
    takes longer than the insert itself, so that one statement a row is three times slower.
    """
    new = done = 0
    for size in _ROWS_IN_STATEMENT:
        while len(rows) - done >= size:
            values = tuple(chain.from_iterable(rows[done : done + size]))
            new += (await connection.exec_driver_sql(_sqlite_insert(table, columns, size), values)).rowcount
            done += size
    return new


@cache
def _sqlite_insert(table: str, columns: tuple[str, ...], rows: int) -> str:
    # The names are this module's own; values travel as parameters.
    row = f"({', '.join('?' * len(columns))})"
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)} ON CONFLICT DO NOTHING"  # noqa: S608
    )


def _postgres_insert(table: str, columns: dict[str, str]) -> str:
    arrays = ", ".join(f"${place}::{type_}[]" for place, type_ in enumerate(columns.values(), 1))
    return f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"  # noqa: S608


_POSTGRES_EVENTS: Final = _postgres_insert("events", _EVENT_COLUMNS) + " RETURNING sequence"
_POSTGRES_RELATED: Final = _postgres_insert("event_related", _RELATED_COLUMNS)
