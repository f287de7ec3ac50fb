"""What is to be published once a transaction has been committed.

A change in the database and the message that tells of it must not come apart. So the message is written as a row in
the same transaction; after the commit it goes to the bus, in order, and the row is deleted once the bus has
acknowledged. A crash in between leaves the row, and the next sweep sends it again under the same message id, which the
bus knows.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

import structlog
from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, Table, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import Field, SQLModel

from tocsin_events.bus import BusUnavailable, PublishRefused

_BATCH = 200
_LONGEST_SLEEP = 5.0
_RETRY = 1.0

log = structlog.get_logger(__name__)


class OutgoingRow(SQLModel, table=True):
    """A message that waits for the bus's acknowledgement."""

    __tablename__ = "outgoing"

    id: int | None = Field(
        default=None, sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    )
    due: int = Field(sa_type=BigInteger, index=True)
    subject: str
    key: str
    headers: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    body: bytes = Field(sa_type=LargeBinary)


_OUTGOING = cast("Table", OutgoingRow.__table__)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Message:
    """One message for the bus.

    ``key`` is its message id (``Nats-Msg-Id``). ``due`` is the instant, in microseconds since the epoch, before which
    it is not sent; 0 is at once.
    """

    subject: str
    key: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    due: int = 0


class Publisher(Protocol):
    """The part of the bus that this needs."""

    async def publish_all_to(self, messages: Sequence[tuple[str, bytes, Mapping[str, str]]]) -> list[int]:
        """Publish messages in order, and return once the bus has acknowledged all."""
        ...


class Outgoing:
    """The messages of committed transactions on their way to the bus."""

    def __init__(self, engine: AsyncEngine, bus: Publisher) -> None:
        self._engine = engine
        self._bus = bus
        self._wake = asyncio.Event()
        self._sending = asyncio.Lock()

    async def stage(self, connection: AsyncConnection, messages: Iterable[Message]) -> None:
        """Write messages within the caller's transaction; call `wake` after its commit."""
        rows = [
            {
                "due": one.due,
                "subject": one.subject,
                "key": one.key,
                "headers": dict(one.headers),
                "body": one.body,
            }
            for one in messages
        ]
        if rows:
            await connection.execute(_OUTGOING.insert(), rows)

    def wake(self) -> None:
        """Say that something was committed."""
        self._wake.set()

    async def flush(self) -> int:
        """Send what is due, in the order of its writing, and return how many messages were sent.

        Raises:
            BusUnavailable: the bus did not acknowledge; what was not sent stays.

        """
        sent = 0
        async with self._sending:
            while rows := await self._due():
                sent += await self._send(rows)
        return sent

    async def run(self) -> None:
        """Send what is staged as it becomes due, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.flush()
                pause = await self._until_next()
            except BusUnavailable as problem:
                log.warning("outgoing-waits", reason=str(problem))
                pause = _RETRY
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def waiting(self) -> int:
        """Return how many messages wait."""
        async with self._engine.connect() as connection:
            return (await connection.execute(select(func.count()).select_from(_OUTGOING))).scalar_one()

    async def _due(self) -> Sequence[Any]:
        query = select(_OUTGOING).where(_OUTGOING.c.due <= _now()).order_by(_OUTGOING.c.id).limit(_BATCH)
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).all()

    async def _send(self, rows: Sequence[Any]) -> int:
        """Publish the rows in order, and delete them once the bus has them all."""
        messages = [(row.subject, row.body, {**row.headers, "Nats-Msg-Id": row.key}) for row in rows]
        try:
            await self._bus.publish_all_to(messages)
        except PublishRefused:
            await self._send_each(messages)
        async with self._engine.begin() as connection:
            await connection.execute(delete(_OUTGOING).where(_OUTGOING.c.id.in_([row.id for row in rows])))
        return len(rows)

    async def _send_each(self, messages: Sequence[tuple[str, bytes, Mapping[str, str]]]) -> None:
        """Publish one by one, so that a message which the bus never takes holds up no other."""
        for message in messages:
            try:
                await self._bus.publish_all_to([message])
            except PublishRefused as problem:
                log.warning("outgoing-refused", subject=message[0], reason=str(problem))

    async def _until_next(self) -> float:
        async with self._engine.connect() as connection:
            due = (await connection.execute(select(func.min(_OUTGOING.c.due)))).scalar()
        return _LONGEST_SLEEP if due is None else min(_LONGEST_SLEEP, max(0.0, (due - _now()) / 1_000_000))


def _now() -> int:
    return time.time_ns() // 1000
