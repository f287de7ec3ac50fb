"""Alerts in SQL: each change applied once, with its line of history.

What strangers wrote is kept as plain text: PostgreSQL takes no text with a null character, so one in a name would keep
an alert from everybody.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_notifiers.alert import Alert, AlertState, Change, Entry, Step, advance, open_alert
from tocsin_notifiers.notification import Severity
from tocsin_notifiers.plain_text import plain_text
from tocsin_notifiers.store import ALERTS, ENTRIES, insert_new


@dataclass(frozen=True, slots=True)
class KeptAlert:
    """An alert, and the payload of the firing that it was last about."""

    alert: Alert
    firing: dict[str, Any]


class Alerts:
    """Reads alerts, for lists and pages."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def get(self, id_: str) -> KeptAlert | None:
        """Return one alert."""
        async with self._engine.connect() as connection:
            return await find(connection, id_)

    async def ls(
        self,
        *,
        states: Sequence[str] = (),
        automation: str | None = None,
        limit: int = 100,
        before: tuple[int, str] | None = None,
    ) -> list[Alert]:
        """Return alerts, the last changed first, that come after ``before`` (when that one was changed, and its id)."""
        query = select(ALERTS).order_by(ALERTS.c.updated.desc(), ALERTS.c.id.desc()).limit(limit)
        if states:
            query = query.where(ALERTS.c.state.in_(list(states)))
        if automation is not None:
            query = query.where(ALERTS.c.automation == automation)
        if before is not None:
            at, id_ = before
            query = query.where((ALERTS.c.updated < at) | ((ALERTS.c.updated == at) & (ALERTS.c.id < id_)))
        async with self._engine.connect() as connection:
            return [alert_of(row) for row in await connection.execute(query)]

    async def history(self, id_: str) -> list[Entry]:
        """Return an alert's history, oldest first."""
        query = select(ENTRIES).where(ENTRIES.c.alert == id_).order_by(ENTRIES.c.number)
        async with self._engine.connect() as connection:
            return [entry_of(row) for row in await connection.execute(query)]


async def find(connection: AsyncConnection, id_: str, *, lock: bool = False) -> KeptAlert | None:
    """Return one alert; with ``lock``, nobody else changes it until the transaction ends."""
    query = select(ALERTS).where(ALERTS.c.id == id_)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else KeptAlert(alert_of(row), msgspec.json.decode(row.firing))


async def open_ones(connection: AsyncConnection) -> list[KeptAlert]:
    """Return all alerts that are not over."""
    query = select(ALERTS).where(ALERTS.c.state.in_([AlertState.OPEN, AlertState.ACKNOWLEDGED]))
    return [
        KeptAlert(alert_of(row), msgspec.json.decode(row.firing)) for row in await connection.execute(query)
    ]


async def begin(
    connection: AsyncConnection, first: Alert, firing: Mapping[str, Any], cause: str
) -> Entry | None:
    """Keep an alert that may be new; return its first line of history if it is."""
    alert, entry = open_alert(first, cause)
    made = await connection.execute(
        insert_new(connection, ALERTS),
        {"id": alert.id, **_columns(alert), "firing": msgspec.json.encode(firing)},
    )
    if made.rowcount != 1:
        return None
    await _write(connection, alert.id, entry)
    return entry


async def change(
    connection: AsyncConnection, id_: str, what: Change, firing: Mapping[str, Any] | None = None
) -> tuple[Alert, Entry | None] | None:
    """Apply a change once; None where there is no such alert.

    Raises:
        Refused: the alert's state doesn't allow it.

    """
    # An update that changes nothing takes the write lock (SQLite) or the row's (PostgreSQL) before anything is read.
    await connection.execute(update(ALERTS).where(ALERTS.c.id == id_).values(id=id_))
    kept = await find(connection, id_)
    if kept is None:
        return None
    alert, entry = advance(kept.alert, what)
    if entry is not None and not await _write(connection, id_, entry):
        return kept.alert, None
    if alert != kept.alert:
        values = _columns(alert)
        if firing is not None:
            values["firing"] = msgspec.json.encode(firing)
        await connection.execute(update(ALERTS).where(ALERTS.c.id == id_).values(values))
    return alert, entry


async def unannounced(
    connection: AsyncConnection, limit: int = 200
) -> list[tuple[Alert, dict[str, Any], Entry, int]]:
    """Return history that the bus has not heard of: the alert, its firing, the line and the line's number."""
    query = select(ENTRIES).where(ENTRIES.c.announced.is_(False)).order_by(ENTRIES.c.number).limit(limit)
    found = []
    for row in (await connection.execute(query)).all():
        kept = await find(connection, row.alert)
        if kept is not None:
            found.append((kept.alert, kept.firing, entry_of(row), row.number))
    return found


async def mark_announced(connection: AsyncConnection, numbers: Sequence[int]) -> None:
    """Note that the bus has heard of lines of history."""
    await connection.execute(update(ENTRIES).where(ENTRIES.c.number.in_(numbers)).values(announced=True))


def alert_of(row: Row[Any]) -> Alert:
    """Return the alert that a row holds."""
    return Alert(
        id=row.id,
        automation=row.automation,
        key=tuple(row.key),
        opened=row.opened,
        updated=row.updated,
        state=AlertState(row.state),
        count=row._mapping["count"],
        severity=Severity(row.severity),
        title=row.title,
        labels=tuple(sorted(row.labels.items())),
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        escalated=row.escalated,
        ended=row.ended,
        reason=row.reason,
    )


def entry_of(row: Row[Any]) -> Entry:
    """Return the line of history that a row holds."""
    return Entry(Step(row.step), row.cause, row.at, row.by, row.detail)


async def _write(connection: AsyncConnection, alert: str, entry: Entry) -> bool:
    """Write a line of history; False where its cause has one already."""
    known = select(ENTRIES.c.number).where(ENTRIES.c.alert == alert, ENTRIES.c.cause == entry.cause)
    if (await connection.execute(known)).first() is not None:
        return False
    await connection.execute(
        insert(ENTRIES).values(
            alert=alert,
            cause=entry.cause,
            step=str(entry.step),
            at=entry.at,
            by=plain_text(entry.by),
            detail=plain_text(entry.detail),
            announced=False,
        )
    )
    return True


def _columns(alert: Alert) -> dict[str, Any]:
    return {
        "automation": alert.automation,
        "key": list(alert.key),
        "opened": alert.opened,
        "updated": alert.updated,
        "state": str(alert.state),
        "count": alert.count,
        "severity": str(alert.severity),
        "title": plain_text(alert.title),
        "labels": dict(alert.labels),
        "acknowledged_by": plain_text(alert.acknowledged_by),
        "acknowledged_at": alert.acknowledged_at,
        "escalated": alert.escalated,
        "ended": alert.ended,
        "reason": plain_text(alert.reason),
    }
