"""The announcer: tells the bus what the rows say that it has not heard of yet.

What happened is written with the change itself; only then it is published, under an id that is derived from it, and only
then marked as told. A crash in between publishes it again, which the bus keeps once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_events.bus import Bus, DeadWork, delivery_subject
from tocsin_events.dead_letters import DeadLetters
from tocsin_notifiers import alerts, facts_told, silences
from tocsin_notifiers.batches import Batches
from tocsin_notifiers.delivery import Delivery, DeliveryStatus
from tocsin_notifiers.ledger import Ledger
from tocsin_notifiers.notification import Notification
from tocsin_notifiers.order import Order
from tocsin_notifiers.store import NOTIFICATIONS, WAYS

_PAGE = 200


class Announcer:
    """Publishes deliveries to their queues, and the room's own events."""

    def __init__(self, engine: AsyncEngine, bus: Bus, ledger: Ledger, clock: Callable[[], int]) -> None:
        self._engine = engine
        self._bus = bus
        self._ledger = ledger
        self._clock = clock
        self._letters = DeadLetters(engine)
        self._endings: Batches[Delivery, None] = Batches(self._tell_endings)
        self._wishes: Batches[None, None] = Batches(self._catch_up)

    async def order(self, orders: list[tuple[str, str, str]], *, again: str = "") -> None:
        """Put deliveries (id, notifier, target) on their queues; ``again`` makes the message another one."""
        await self._bus.publish_all_to(
            [
                (
                    delivery_subject(notifier),
                    msgspec.json.encode(Order(id_, target)),
                    {"Nats-Msg-Id": f"delivery {id_}{again}"},
                )
                for id_, notifier, target in orders
            ]
        )

    async def delivered(self, delivery: Delivery) -> None:
        """Tell the bus that a delivery has ended."""
        if delivery.status is not DeliveryStatus.DROPPED:
            await self._endings.add(delivery)

    async def bury(self, dead: DeadWork) -> None:
        """Keep what stood on a queue and is no order of ours as a dead letter, and tell of it."""
        await self._letters.bury(dead, at=self._clock())
        await self._letters.announce(self._bus)

    async def catch_up(self) -> None:
        """Tell the bus all that it has not heard of about alerts, stopped notifications and silences."""
        await self._wishes.add(None)

    async def _tell_endings(self, deliveries: Sequence[Delivery]) -> list[None]:
        asked = {one.notification for one in deliveries}
        query = select(NOTIFICATIONS.c.id, NOTIFICATIONS.c.body).where(NOTIFICATIONS.c.id.in_(asked))
        async with self._engine.connect() as connection:
            bodies = {row.id: row.body for row in await connection.execute(query)}
        events = []
        for one in deliveries:
            body = bodies.get(one.notification)
            notification = None if body is None else Notification.model_validate_json(body)
            firing = notification.firing if notification else {}
            events.append(
                facts_told.of_delivery(one, firing, notification.automation if notification else "")
            )
        await self._bus.publish_many(events)
        if any(one.status is DeliveryStatus.FAILED for one in deliveries):
            await self._letters.announce(self._bus)
        return [None] * len(deliveries)

    async def _catch_up(self, wishes: Sequence[None]) -> list[None]:
        # One look serves all who asked before it began.
        while await self._some_alerts() or await self._some_suppressions():
            pass
        await self._silences()
        return [None] * len(wishes)

    async def _some_alerts(self) -> bool:
        async with self._engine.connect() as connection:
            found = await alerts.unannounced(connection, _PAGE)
        if not found:
            return False
        await self._bus.publish_many(
            [facts_told.of_alert(alert, entry, firing) for alert, firing, entry, _ in found]
        )
        async with self._engine.begin() as connection:
            await alerts.mark_announced(connection, [number for *_, number in found])
        return len(found) == _PAGE

    async def _some_suppressions(self) -> bool:
        query = (
            select(WAYS, NOTIFICATIONS.c.body, NOTIFICATIONS.c.title)
            .join(NOTIFICATIONS, NOTIFICATIONS.c.id == WAYS.c.notification)
            .where(WAYS.c.announced.is_(False))
            .order_by(WAYS.c.updated)
            .limit(_PAGE)
        )
        async with self._engine.connect() as connection:
            rows: list[Any] = list(await connection.execute(query))
        if not rows:
            return False
        await self._bus.publish_many(
            [
                facts_told.of_suppression(
                    dict(row._mapping), Notification.model_validate_json(row.body), row.title
                )
                for row in rows
            ]
        )
        async with self._engine.begin() as connection:
            for row in rows:
                # A way that has moved on meanwhile has something new to say, and is told of again.
                same = (WAYS.c.id == row.id, WAYS.c.state == row.state, WAYS.c.stage == row.stage)
                await connection.execute(update(WAYS).where(*same).values(announced=True))
        return len(rows) == _PAGE

    async def _silences(self) -> None:
        now = self._clock()
        async with self._engine.connect() as connection:
            found = await silences.untold(connection, now)
        for silence, steps in found:
            await self._bus.publish_many(
                [facts_told.of_silence(silence, step, _when(silence, step)) for step in steps]
            )
            async with self._engine.begin() as connection:
                await silences.mark_told(connection, silence.id, steps)


def _when(silence: Any, step: str) -> int:
    moments = {
        "created": silence.created,
        "started": silence.starts,
        "expired": silence.ends,
        "deleted": silence.deleted,
    }
    return int(moments[step])
