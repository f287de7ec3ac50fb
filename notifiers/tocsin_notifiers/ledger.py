"""Deliveries in SQL: who may send one now, and what came of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Row, bindparam, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_events import dead_letters
from tocsin_events.bus import delivery_subject
from tocsin_events.identity import new_id
from tocsin_events.streams import DELIVERIES as DELIVERIES_STREAM
from tocsin_notifiers.batches import Batches, group_commit
from tocsin_notifiers.delivery import LEASE, UNFINISHED, Delivery, DeliveryStatus
from tocsin_notifiers.message import Message, Receipt
from tocsin_notifiers.order import Order
from tocsin_notifiers.store import DELIVERIES, WAYS, insert_new

_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Claimed:
    """The delivery is ours to send; ``first`` is the one that it follows up on.

    It is ``outdated`` where a newer edit of the same message was made while an attempt at this one was under way.
    """

    delivery: Delivery
    first: Delivery | None
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class NotNow:
    """Not before an instant: it waits for its next attempt, for what it follows, or for another process."""

    until: int


@dataclass(frozen=True, slots=True)
class Settled:
    """It is finished, or unknown (None)."""

    delivery: Delivery | None


Claim = Claimed | NotNow | Settled


class Ledger:
    """The deliveries. Claims and results of many deliveries share transactions.

    ``lease`` (microseconds) is how long a claimed delivery is left to whoever claimed it.
    """

    def __init__(self, engine: AsyncEngine, clock: Callable[[], int], *, lease: int = LEASE) -> None:
        self._engine = engine
        self._clock = clock
        self._lease = lease
        self._claims: Batches[str, Claim] = group_commit(engine, self._claim_all)
        self._results: Batches[Delivery, None] = group_commit(engine, self._record_all)

    async def claim(self, id_: str) -> Claim:
        """Take a delivery for sending: marked as being sent before anything goes out."""
        return await self._claims.add(id_)

    async def record(self, delivery: Delivery) -> None:
        """Keep what came of an attempt; a delivery that failed becomes a dead letter, too, in one step."""
        await self._results.add(delivery)

    async def reopen(self, id_: str, after: int) -> bool:
        """Open a delivery again that failed after so many attempts; False if it is not, or no longer, that failure.

        It has the time again that it had, from now on.
        """
        now = self._clock()
        change = (
            update(DELIVERIES)
            .where(DELIVERIES.c.id == id_, DELIVERIES.c.attempts == after)
            .where(DELIVERIES.c.status == str(DeliveryStatus.FAILED))
            .values(
                status=str(DeliveryStatus.PENDING),
                expires=now + DELIVERIES.c.expires - DELIVERIES.c.created,
                next_at=0,
                finished=None,
            )
        )
        async with self._engine.begin() as connection:
            return (await connection.execute(change)).rowcount > 0

    async def get(self, id_: str) -> Delivery | None:
        """Return one delivery."""
        found = await self._select(DELIVERIES.c.id == id_)
        return found[0] if found else None

    async def of_notification(self, notification: str) -> list[Delivery]:
        """Return a notification's deliveries, oldest first."""
        return await self._select(DELIVERIES.c.notification == notification)

    async def of_alert(self, alert: str) -> list[Delivery]:
        """Return the deliveries that told of an alert, alone or among others, oldest first."""
        told_by = select(WAYS.c.told_by).where(WAYS.c.alert == alert, WAYS.c.told_by != "")
        return await self._select((DELIVERIES.c.alert == alert) | DELIVERIES.c.way.in_(told_by))

    async def of_notifier(self, notifier: str, *, limit: int = 50) -> list[Delivery]:
        """Return a notifier's newest deliveries."""
        query = (
            select(DELIVERIES)
            .where(DELIVERIES.c.notifier == notifier)
            .order_by(DELIVERIES.c.created.desc(), DELIVERIES.c.id)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return [delivery_of(row) for row in await connection.execute(query)]

    async def count(self, notifier: str, status: str) -> int:
        """Return how many of a notifier's deliveries have a status."""
        query = select(func.count()).where(DELIVERIES.c.notifier == notifier, DELIVERIES.c.status == status)
        async with self._engine.connect() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def forgotten(self, *, before: int) -> list[tuple[str, str, str]]:
        """Return id, notifier and target of unfinished deliveries whose turn came before an instant.

        Those that are on the bus, too, come twice, which changes nothing.
        """
        query = (
            select(DELIVERIES.c.id, DELIVERIES.c.notifier, DELIVERIES.c.target)
            .where(DELIVERIES.c.status.in_([str(one) for one in UNFINISHED]))
            .where(DELIVERIES.c.next_at < before, DELIVERIES.c.lease < before, DELIVERIES.c.created < before)
            .order_by(DELIVERIES.c.created)
            .limit(_PAGE)
        )
        async with self._engine.connect() as connection:
            return [(row.id, row.notifier, row.target) for row in await connection.execute(query)]

    async def created_since(self, instant: int) -> list[tuple[str, str, str]]:
        """Return id, notifier and target of unfinished deliveries made at or after an instant."""
        query = (
            select(DELIVERIES.c.id, DELIVERIES.c.notifier, DELIVERIES.c.target)
            .where(DELIVERIES.c.status == str(DeliveryStatus.PENDING), DELIVERIES.c.created >= instant)
            .order_by(DELIVERIES.c.created)
        )
        async with self._engine.connect() as connection:
            return [(row.id, row.notifier, row.target) for row in await connection.execute(query)]

    async def _select(self, condition: Any) -> list[Delivery]:
        query = select(DELIVERIES).where(condition).order_by(DELIVERIES.c.created, DELIVERIES.c.id)
        async with self._engine.connect() as connection:
            return [delivery_of(row) for row in await connection.execute(query)]

    async def _claim_all(self, connection: AsyncConnection, ids: Sequence[str]) -> list[Claim]:
        now, token = self._clock(), new_id()
        table = DELIVERIES.c
        # The update comes first: it takes the locks, so that of two processes one gets each delivery.
        await connection.execute(
            update(DELIVERIES)
            .where(table.id.in_(ids), table.status.in_([str(one) for one in UNFINISHED]))
            .where(table.next_at <= now, table.lease <= now)
            .values(
                status=str(DeliveryStatus.SENDING),
                claim=token,
                lease=now + self._lease,
                attempts=table.attempts + 1,
            )
        )
        rows = {row.id: row for row in await connection.execute(select(DELIVERIES).where(table.id.in_(ids)))}
        firsts = await self._firsts(connection, [row.after for row in rows.values() if row.after])
        outdated = await self._outdated(connection, [row for row in rows.values() if row.claim == token])
        verdicts = [_verdict(rows.get(id_), token, firsts, outdated, now) for id_ in ids]
        released = [id_ for id_, verdict in zip(ids, verdicts, strict=True) if isinstance(verdict, NotNow)]
        if released:
            await self._release(connection, [id_ for id_ in released if rows[id_].claim == token])
        return verdicts

    async def _firsts(self, connection: AsyncConnection, ids: Sequence[str]) -> dict[str, Delivery]:
        if not ids:
            return {}
        found = await connection.execute(select(DELIVERIES).where(DELIVERIES.c.id.in_(ids)))
        return {row.id: delivery_of(row) for row in found}

    async def _outdated(self, connection: AsyncConnection, claimed: Sequence[Row[Any]]) -> set[str]:
        """Return the ids of what is tried again though the delivery that it follows up on has a newer edit."""
        again = [row for row in claimed if row.after and row.attempts > 1]
        if not again:
            return set()
        table = DELIVERIES.c
        query = select(table.after, table.created, table.message)
        found = await connection.execute(query.where(table.after.in_([row.after for row in again])))
        newest: dict[str, int] = {}
        for row in found:
            if Message.model_validate_json(row.message).follow_up == "edit":
                newest[row.after] = max(row.created, newest.get(row.after, 0))
        return {row.id for row in again if newest.get(row.after, 0) > row.created}

    async def _release(self, connection: AsyncConnection, ids: Sequence[str]) -> None:
        """Give back what was claimed before what it follows is known to be finished."""
        if ids:
            await connection.execute(
                update(DELIVERIES)
                .where(DELIVERIES.c.id.in_(ids))
                .values(
                    status=str(DeliveryStatus.PENDING), claim="", lease=0, attempts=DELIVERIES.c.attempts - 1
                )
            )

    async def _record_all(self, connection: AsyncConnection, deliveries: Sequence[Delivery]) -> list[None]:
        statement = (
            update(DELIVERIES)
            .where(DELIVERIES.c.id == bindparam("b_id"))
            .values(
                status=bindparam("b_status"),
                log=bindparam("b_log"),
                receipt=bindparam("b_receipt"),
                next_at=bindparam("b_next_at"),
                finished=bindparam("b_finished"),
                attempts=bindparam("b_attempts"),
                lease=0,
                claim="",
            )
        )
        await connection.execute(statement, [_result(one) for one in deliveries])
        for one in deliveries:
            # A message never changes, but for one that can't follow up any more and is said anew.
            if one.after is not None and one.message.follow_up == "message":
                again = one.message.model_dump_json().encode()
                await connection.execute(
                    update(DELIVERIES).where(DELIVERIES.c.id == one.id).values(message=again)
                )
        await dead_letters.keep(
            connection, [_letter(one) for one in deliveries if one.status is DeliveryStatus.FAILED]
        )
        return [None] * len(deliveries)


def delivery_of(row: Row[Any]) -> Delivery:
    """Return the delivery that a row holds."""
    return Delivery(
        id=row.id,
        way=row.way,
        notification=row.notification,
        alert=row.alert,
        notifier=row.notifier,
        target=row.target,
        kind=row.kind,
        message=Message.model_validate_json(row.message),
        created=row.created,
        expires=row.expires,
        status=DeliveryStatus(row.status),
        after=row.after,
        attempts=row.attempts,
        log=tuple(row.log),
        receipt=None if row.receipt is None else Receipt.model_validate(row.receipt),
        next_at=row.next_at,
        finished=row.finished,
    )


async def insert_deliveries(connection: AsyncConnection, deliveries: Sequence[Delivery]) -> None:
    """Keep new deliveries; those that are there already stay as they are."""
    if deliveries:
        await connection.execute(insert_new(connection, DELIVERIES), [_new(one) for one in deliveries])


def _letter(failed: Delivery) -> dead_letters.DeadLetter:
    """Return the dead letter of a delivery that failed: an order that opens it again."""
    reason = failed.log[-1].get("answer", "") if failed.log else ""
    return dead_letters.dead_letter(
        f"notifier {failed.notifier} could not tell {failed.target}: {reason}",
        delivery_subject(failed.notifier),
        msgspec.json.encode(Order(failed.id, failed.target, failed.attempts)),
        at=failed.finished or failed.created,
        stream=DELIVERIES_STREAM,
        attempts=failed.attempts,
        key=(failed.id, failed.attempts),
    )


def _new(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "way": one.way,
        "notification": one.notification,
        "alert": one.alert,
        "notifier": one.notifier,
        "target": one.target,
        "kind": one.kind,
        "message_status": str(one.message.status),
        "status": str(one.status),
        "message": one.message.model_dump_json().encode(),
        "after": one.after,
        "attempts": one.attempts,
        "log": list(one.log),
        "receipt": None,
        "created": one.created,
        "next_at": one.next_at,
        "expires": one.expires,
        "lease": 0,
        "claim": "",
        "finished": one.finished,
    }


def _result(one: Delivery) -> Mapping[str, Any]:
    return {
        "b_id": one.id,
        "b_status": str(one.status),
        "b_log": list(one.log),
        "b_receipt": None if one.receipt is None else one.receipt.model_dump(mode="json"),
        "b_next_at": one.next_at,
        "b_finished": one.finished,
        "b_attempts": one.attempts,
    }


def _verdict(
    row: Row[Any] | None, token: str, firsts: Mapping[str, Delivery], outdated: Collection[str], now: int
) -> Claim:
    if row is None:
        return Settled(None)
    if row.claim != token:
        delivery = delivery_of(row)
        return Settled(delivery) if delivery.is_finished else NotNow(max(row.next_at, row.lease))
    first = firsts.get(row.after) if row.after else None
    if first is not None and not first.is_finished:
        return NotNow(max(now + _LOOK_AGAIN, first.next_at))
    delivery = delivery_of(row)
    return Claimed(delivery, first, outdated=row.id in outdated and delivery.message.follow_up == "edit")


_LOOK_AGAIN: Final = 500_000
