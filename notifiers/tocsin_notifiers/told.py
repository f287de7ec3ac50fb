"""What has been told, in SQL: of which alerts, to whom, by which message, and how those alerts stand now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_notifiers.alerts import alert_of
from tocsin_notifiers.delivery import DeliveryStatus
from tocsin_notifiers.digest import Standing
from tocsin_notifiers.message import Message
from tocsin_notifiers.notification import Notification, Severity, Status
from tocsin_notifiers.pipeline import Told
from tocsin_notifiers.store import ALERTS, DELIVERIES, NOTIFICATIONS, WAYS
from tocsin_notifiers.ways import PASSED, open_alerts_of

_NEWS = (WAYS.c.state == PASSED, WAYS.c.status == str(Status.FIRING), WAYS.c.follows.is_(False))


_NEVER_ARRIVED = (DeliveryStatus.FAILED, DeliveryStatus.DROPPED)


@dataclass(frozen=True, slots=True)
class First:
    """The first message by which a target was told of an alert: its delivery, and the way that it was made of.

    ``arrived`` says that the target's service has taken it. ``created`` is in microseconds.
    """

    id: str
    way: str
    created: int
    arrived: bool


Firsts = Mapping[str, Mapping[str, First]]
"""The first messages of one alert: by notifier, and then by target."""


async def told_of(connection: AsyncConnection, alert: str) -> dict[str, Told]:
    """Return what notifiers have been told of an alert, by notifier: the last time, and the worst."""
    query = select(WAYS.c.notifier, WAYS.c.updated, WAYS.c.severity).where(WAYS.c.alert == alert, *_NEWS)
    rank = list(Severity)
    told: dict[str, Told] = {}
    for row in await connection.execute(query):
        before = told.get(row.notifier)
        severity = Severity(row.severity)
        if before is not None:
            severity = max(severity, before.severity, key=rank.index)
        told[row.notifier] = Told(max(row.updated, before.at if before else 0), severity)
    return told


async def firsts_of(connection: AsyncConnection, alerts: Sequence[str]) -> Mapping[str, Firsts]:
    """Return for each alert the first message to each target of each notifier that was told that it fires.

    One that never arrived told nobody: it counts only where no later one may have arrived.
    """
    query = (
        select(
            WAYS.c.alert,
            *(DELIVERIES.c[name] for name in ("id", "way", "notifier", "target", "created", "status")),
        )
        .join(DELIVERIES, DELIVERIES.c.way == WAYS.c.told_by)
        .where(WAYS.c.alert.in_(alerts), *_NEWS)
        .order_by(DELIVERIES.c.created, DELIVERIES.c.id)
    )  # fmt: skip
    found: dict[str, dict[str, dict[str, First]]] = {}
    rows = (await connection.execute(query)).all()
    for row in sorted(rows, key=lambda row: row.status in _NEVER_ARRIVED):
        arrived = row.status == DeliveryStatus.DELIVERED
        first = First(row.id, row.way, row.created, arrived)
        found.setdefault(row.alert, {}).setdefault(row.notifier, {}).setdefault(row.target, first)
    return found


async def last_notification_of(connection: AsyncConnection, alert: str, notifier: str) -> Notification | None:
    """Return the notification by which a notifier was last told that an alert fires."""
    query = (
        select(NOTIFICATIONS.c.body)
        .join(WAYS, WAYS.c.notification == NOTIFICATIONS.c.id)
        .where(WAYS.c.alert == alert, WAYS.c.notifier == notifier, WAYS.c.status == str(Status.FIRING))
        .order_by(WAYS.c.updated.desc())
        .limit(1)
    )
    body = (await connection.execute(query)).scalar_one_or_none()
    return None if body is None else Notification.model_validate_json(body)


async def group_of(connection: AsyncConnection, alert: str, notifier: str) -> str:
    """Return the group in which a notifier was last told that an alert fires; empty without grouping."""
    query = (
        select(WAYS.c.group)
        .where(WAYS.c.alert == alert, WAYS.c.notifier == notifier, *_NEWS)
        .order_by(WAYS.c.updated.desc(), WAYS.c.id)
        .limit(1)
    )
    return (await connection.execute(query)).scalar_one_or_none() or ""


async def thread_of(connection: AsyncConnection, first: First) -> str:
    """Return the thread that a message began."""
    query = select(DELIVERIES.c.message).where(DELIVERIES.c.id == first.id)
    return Message.model_validate_json((await connection.execute(query)).scalar_one()).thread


async def drop_edits_of(connection: AsyncConnection, first: First, newest: str, now: int) -> None:
    """Drop the edits of a message that wait: the newest shows all that they would, and they must not overwrite it.

    News below it stays: an edit is seen by nobody who doesn't look.
    """
    waiting = (str(DeliveryStatus.PENDING), str(DeliveryStatus.RETRYING))
    await connection.execute(
        update(DELIVERIES)
        .where(DELIVERIES.c.after == first.id, DELIVERIES.c.id != newest, DELIVERIES.c.status.in_(waiting))
        .where(DELIVERIES.c.way.in_(select(WAYS.c.id).where(WAYS.c.follows)))
        .values(status=str(DeliveryStatus.DROPPED), finished=now)
    )


async def members_of(connection: AsyncConnection, way: str) -> tuple[Standing, ...]:
    """Return what the message that was made of a way told of, each as it stands now."""
    return await _standings(connection, WAYS.c.told_by == way)


async def open_in(connection: AsyncConnection, group: str) -> tuple[Standing, ...]:
    """Return what was told in a group and is still open."""
    still_open = await open_alerts_of(connection, group)
    return (
        await _standings(connection, WAYS.c.group == group, WAYS.c.alert.in_(still_open))
        if still_open
        else ()
    )


async def _standings(connection: AsyncConnection, *conditions: Any) -> tuple[Standing, ...]:
    query = (
        select(WAYS.c.alert, NOTIFICATIONS.c.body)
        .join(NOTIFICATIONS, NOTIFICATIONS.c.id == WAYS.c.notification)
        .where(*_NEWS, *conditions)
        .order_by(WAYS.c.updated, WAYS.c.id)
    )
    said: dict[str, Notification] = {}
    for row in await connection.execute(query):
        notification = Notification.model_validate_json(row.body)
        said[row.alert or notification.id] = notification
    columns = [column for column in ALERTS.c if column.name != "firing"]
    rows = await connection.execute(select(*columns).where(ALERTS.c.id.in_(list(said))))
    alerts = {row.id: alert_of(row) for row in rows}
    return tuple(Standing(notification, alerts.get(id_)) for id_, notification in said.items())
