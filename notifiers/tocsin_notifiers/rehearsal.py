"""The whole pipeline in virtual time: on a database in memory, with no bus, and nobody is told.

It is the office that the service runs on, so what a rehearsal says is what would happen. Each delivery counts as made at the
instant at which it would be handed over.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel

from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.alert import Acknowledge, Alert, End
from tocsin_notifiers.default_message import Pages
from tocsin_notifiers.delivery import Delivery, DeliveryStatus
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.inbox_store import InboxStore
from tocsin_notifiers.ledger import delivery_of
from tocsin_notifiers.notification import Notification, Status
from tocsin_notifiers.notifier import Outside, load_kinds
from tocsin_notifiers.office import Office
from tocsin_notifiers.render import Renderer
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.secret import Secrets
from tocsin_notifiers.setup import Setup
from tocsin_notifiers.silence import Silence
from tocsin_notifiers.store import (
    ALERTS,
    DELIVERIES,
    ENTRIES,
    INBOX,
    NOTIFICATIONS,
    SILENCES,
    WAYS,
)

_TABLES = [ALERTS, ENTRIES, NOTIFICATIONS, WAYS, DELIVERIES, INBOX, SILENCES]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """That a notifier was not told, or not yet; ``reason`` is the stage's word. ``at`` is in microseconds."""

    at: int
    notifier: str
    status: str
    reason: str
    detail: str
    notification: str


class Rehearsal:
    """Notifications, firings and people's doings at instants that only grow; all are in microseconds."""

    def __init__(self, engine: AsyncEngine, roster: Roster, pages: Pages, at: int) -> None:
        self._engine = engine
        self._now = at
        self._roster = roster
        self._office = Office(engine, roster, Renderer(pages), lambda: self._now)
        self.suppressed: list[Suppressed] = []

    @property
    def broken(self) -> Mapping[str, str]:
        """The notifiers that can't work, and why."""
        return self._roster.broken

    async def move_to(self, instant: int) -> None:
        """Let the time come: whatever is held goes on in its turn."""
        while (due := await self._office.next_due()) is not None and due <= instant:
            self._now = max(self._now, due)
            await self._office.move_due(self._now)
            await self._note()
        self._now = max(self._now, instant)

    async def take(self, notification: Notification) -> None:
        """Take a notification now."""
        await self._office.take(notification)
        await self._note()

    async def keep_firing(self, type_: str, firing: dict[str, Any]) -> None:
        """Take the payload of an ``automation.fired`` or ``automation.resolved`` event now."""
        await self._office.keep_firing(type_, firing)
        await self._note()

    async def acknowledge(self, alert: str, by: str) -> Alert:
        """Acknowledge an alert now."""
        what = Acknowledge(f"{by} {self._now}", self._now, by)
        after = await self._office.change(alert, what, Status.ACKNOWLEDGED, f"Acknowledged by {by}.")
        await self._note()
        return after

    async def resolve(self, alert: str, by: str) -> Alert:
        """End an alert by hand now."""
        what = End(f"{by} {self._now}", self._now, f"resolved by {by}", by=by)
        after = await self._office.change(alert, what, Status.RESOLVED, f"Resolved by {by}.")
        await self._note()
        return after

    async def silence(self, matcher: str, *, ends: int, starts: int | None = None) -> Silence:
        """Make a silence."""
        return await self._office.silence(
            matcher, starts=starts, ends=ends, author="test", comment="", everything=True
        )

    async def told(self) -> list[Delivery]:
        """Return what would have been told so far, in order."""
        query = select(DELIVERIES).order_by(
            DELIVERIES.c.created, DELIVERIES.c.notifier, DELIVERIES.c.target, DELIVERIES.c.id
        )
        async with self._engine.connect() as connection:
            return [delivery_of(row) for row in await connection.execute(query)]

    async def _note(self) -> None:
        """Let what was handed over arrive, and keep what the service would publish as ``notification.suppressed``."""
        fresh = WAYS.c.announced.is_(False)
        pending = update(DELIVERIES).where(DELIVERIES.c.status == str(DeliveryStatus.PENDING))
        async with self._engine.begin() as connection:
            await connection.execute(
                pending.values(status=str(DeliveryStatus.DELIVERED), finished=DELIVERIES.c.created)
            )
            for row in await connection.execute(select(WAYS).where(fresh).order_by(WAYS.c.id)):
                self.suppressed.append(
                    Suppressed(
                        row.updated, row.notifier, row.status, row.reason, row.detail, row.notification
                    )
                )
            await connection.execute(update(WAYS).where(fresh).values(announced=True))


@asynccontextmanager
async def rehearsal(
    setup: Setup, *, at: int, base: str = "", kinds: Mapping[str, Any] | None = None
) -> AsyncIterator[Rehearsal]:
    """Begin a rehearsal with what is configured, at an instant; links lead to pages under ``base``.

    ``kinds`` are the services known, by default those installed. Secrets stand for themselves by their names: nothing is sent, so nothing is asked for.
    """
    engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all, tables=_TABLES)
        async with HttpClient(AddressGuard()) as http:
            outside = Outside(
                http, Secrets(str), AddressGuard(), lambda: at, lambda _: None, InboxStore(engine)
            )
            roster = Roster(load_kinds() if kinds is None else kinds, outside)
            roster.configure(setup)
            yield Rehearsal(engine, roster, Pages(base), at)
    finally:
        await engine.dispose()
