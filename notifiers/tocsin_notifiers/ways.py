"""Ways in SQL: where each notification is held or stopped, and which message told what."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Row, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_events.identity import derived_id
from tocsin_notifiers.alert import ENDED, AlertState
from tocsin_notifiers.default_message import title_of
from tocsin_notifiers.delivery import Delivery
from tocsin_notifiers.ledger import insert_deliveries
from tocsin_notifiers.notification import Notification, Status
from tocsin_notifiers.pipeline import GroupTimes, Way
from tocsin_notifiers.setup import Setup
from tocsin_notifiers.store import ALERTS, NOTIFICATIONS, WAYS, insert_new

HELD, STOPPED, PASSED = "held", "stopped", "passed"


def way_id(notification: str, notifier: str, *, level: int = 0, round_: int = 0) -> str:
    """Return the id of a notification's way to a notifier: the same whenever it is made again."""
    return derived_id("way", notification, notifier, level, round_)


@dataclass(slots=True)
class Draft:
    """New rows of one transaction, written together: most notifications need no look at the database before that.

    Whoever reads what may be in the draft flushes it first.
    """

    notifications: dict[str, dict[str, Any]] = field(default_factory=dict)
    ways: dict[str, dict[str, Any]] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)

    async def flush(self, connection: AsyncConnection) -> None:
        """Write the rows; those that are there already stay as they are."""
        for table, rows in ((NOTIFICATIONS, self.notifications), (WAYS, self.ways)):
            if rows:
                await connection.execute(insert_new(connection, table), list(rows.values()))
                rows.clear()
        await insert_deliveries(connection, self.deliveries)
        self.deliveries = []

    def add_notification(self, notification: Notification) -> None:
        """Write a notification with the others."""
        self.notifications[notification.id] = {
            "id": notification.id,
            "notifier": notification.notifier,
            "alert": notification.alert.id if notification.alert else None,
            "automation": notification.automation,
            "status": str(notification.status),
            "severity": str(notification.severity),
            "title": title_of(notification),
            "created": notification.created,
            "body": notification.model_dump_json().encode(),
        }

    def add_ways(self, ways: Sequence[Way], now: int) -> None:
        """Write new ways with the others, held until something moves them."""
        self.ways |= {way.id: _row(way, now) for way in ways}

    async def settle(self, connection: AsyncConnection, way: Way, now: int, **values: Any) -> None:
        """Write where a way got to."""
        drafted = self.ways.get(way.id)
        if drafted is not None:
            drafted |= {**values, "updated": now}
        else:
            await connection.execute(update(WAYS).where(WAYS.c.id == way.id).values(updated=now, **values))


async def known(connection: AsyncConnection, ids: Sequence[str]) -> set[str]:
    """Return which notifications have been taken already."""
    found = await connection.execute(select(NOTIFICATIONS.c.id).where(NOTIFICATIONS.c.id.in_(ids)))
    return set(found.scalars())


async def settle_orphan(connection: AsyncConnection, id_: str, now: int) -> None:
    """Stop a way whose notifier is no longer configured."""
    await connection.execute(
        update(WAYS)
        .where(WAYS.c.id == id_)
        .values(
            state=STOPPED, reason="unrouted", detail="its notifier was removed", updated=now, announced=False
        )
    )


async def due_ways(
    connection: AsyncConnection, setup: Setup, now: int, *, limit: int
) -> tuple[list[Way], list[str]]:
    """Return held ways whose time has come, and the ids of those whose notifier is no more; locks them all."""
    # An update first: it takes SQLite's write lock before the read, so that no other process moves the same ways.
    await connection.execute(update(WAYS).where(WAYS.c.id == "").values(updated=now))
    query = (
        select(WAYS, NOTIFICATIONS.c.body)
        .join(NOTIFICATIONS, NOTIFICATIONS.c.id == WAYS.c.notification)
        .where(WAYS.c.state == HELD, WAYS.c.due <= now)
        .order_by(WAYS.c.due, WAYS.c.created, WAYS.c.id)
        .limit(limit)
    )
    if connection.dialect.name == "postgresql":
        query = query.with_for_update(skip_locked=True, of=WAYS)
    services = setup.services
    ways, orphans = [], []
    for row in await connection.execute(query):
        if row.notifier in services:
            ways.append(_way(row, setup))
        else:
            orphans.append(row.id)
    return ways, orphans


async def next_due(connection: AsyncConnection) -> int | None:
    """Return when the next held way may go on."""
    due: int | None = (
        await connection.execute(select(func.min(WAYS.c.due)).where(WAYS.c.state == HELD))
    ).scalar_one()
    return due


async def times_of(connection: AsyncConnection, group: str) -> GroupTimes:
    """Return when a group was last told, whether that was the end of all of it, and when its next turn is."""
    here = WAYS.c.group == group
    passed = select(func.max(WAYS.c.updated)).where(here, WAYS.c.state == PASSED)
    waiting = select(func.min(WAYS.c.due)).where(here, WAYS.c.state == HELD, WAYS.c.stage == "group")
    parts = (
        passed.where(WAYS.c.status == str(Status.FIRING)),
        passed.where(WAYS.c.status == str(Status.RESOLVED)),
        waiting,
    )
    row = (await connection.execute(select(*(part.scalar_subquery() for part in parts)))).one()
    news, ends, due = row
    last = max((one for one in (news, ends) if one is not None), default=None)
    over = ends is not None and last != news and not await open_alerts_of(connection, group, limit=1)
    return GroupTimes(last, due, over)


async def open_alerts_of(connection: AsyncConnection, group: str, *, limit: int | None = None) -> list[str]:
    """Return the ids of the alerts that were told in a group and are still open."""
    told_here = exists().where(
        WAYS.c.alert == ALERTS.c.id,
        WAYS.c.group == group,
        WAYS.c.state == PASSED,
        WAYS.c.status == str(Status.FIRING),
    )
    still_open = ALERTS.c.state.in_([str(state) for state in AlertState if state not in ENDED])
    return list(
        (await connection.execute(select(ALERTS.c.id).where(still_open, told_here).limit(limit))).scalars()
    )


async def ways_of(
    connection: AsyncConnection, *, alert: str | None = None, notification: str | None = None
) -> list[dict[str, Any]]:
    """Return the ways of an alert or a notification as plain mappings, oldest first."""
    condition = WAYS.c.alert == alert if alert is not None else WAYS.c.notification == notification
    rows = await connection.execute(
        select(WAYS).where(condition).order_by(WAYS.c.created, WAYS.c.level, WAYS.c.id)
    )
    return [dict(row._mapping) for row in rows]


def _row(way: Way, now: int) -> dict[str, Any]:
    return {
        "id": way.id,
        "notification": way.notification.id,
        "alert": way.notification.alert.id if way.notification.alert else None,
        "notifier": way.notifier.name,
        "status": str(way.notification.status),
        "severity": str(way.notification.severity),
        "state": HELD,
        "stage": way.stage,
        "due": way.due,
        "group": way.group,
        "level": way.level,
        "round": way.round,
        "reason": "",
        "detail": "",
        "by": "",
        "muted": False,
        "follows": way.follows,
        "told_by": "",
        "path": list(way.path),
        "created": way.created,
        "updated": now,
        "announced": True,
    }


def _way(row: Row[Any], setup: Setup) -> Way:
    return Way(
        id=row.id,
        notification=Notification.model_validate_json(row.body),
        notifier=setup.services[row.notifier],
        created=row.created,
        due=row.due,
        stage=row.stage,
        level=row.level,
        round=row.round,
        group=row.group,
        path=tuple(row.path),
        muted=row.muted,
        follows=row.follows,
    )
