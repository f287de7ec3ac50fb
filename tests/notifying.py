"""The notification service for tests: made on a bus and a database of the test's own, and waited for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel import SQLModel

import tocsin_notifiers.store  # noqa: F401 - declares the tables
from firings import fired
from on_the_bus import events_on
from tocsin_events.bus import Bus
from tocsin_events.view import EventView
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.default_message import Pages
from tocsin_notifiers.delivery import Delivery
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.notification import AlertRef, Notification
from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.secret import Secrets
from tocsin_notifiers.service import Notifications
from tocsin_notifiers.setup import parse_setup

SECRETS = {"slack-token": "xoxb-very-secret", "slack-signing": "8f742231b10e", "smtp": "hunter2-secret"}
NOON = 1_772_366_400_000_000
"""2026-03-01T12:00:00Z"""


def notification(
    id_: str = "n1", notifier: str = "hook", alert: str | None = "alert-1", count: int = 1, **rest: Any
) -> Notification:
    """A notification as the notify action makes it."""
    payload = rest.pop("firing", None) or fired(alert=alert, count=count, id_=f"firing-{count}")
    ref = AlertRef.model_validate(payload["alert"]) if alert else None
    created = rest.pop("created", NOON)
    return Notification(id=id_, notifier=notifier, created=created, alert=ref, firing=payload, **rest)


async def make_engine(url: str) -> AsyncEngine:
    made = create_async_engine(url)
    if made.dialect.name == "sqlite":

        @event.listens_for(made.sync_engine, "connect")
        def _wal(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA busy_timeout=30000")

    async with made.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    return made


def make_service(
    engine: AsyncEngine,
    bus: Bus,
    notifiers: dict[str, Any],
    *,
    http: HttpClient | None = None,
    **sections: Any,
) -> Notifications:
    """Return a service; whoever lets it send over HTTP gives it a client, and closes that."""
    options = {
        name: sections.pop(name) for name in ("clock", "write", "lease", "pictures") if name in sections
    }
    service = Notifications(
        engine,
        bus,
        secrets=Secrets(SECRETS.__getitem__),
        http=http or HttpClient(AddressGuard(allow_private=True)),
        pages=Pages("http://tocsin.example"),
        **options,
    )
    service.configure(parse_setup({"notifiers": notifiers, **sections}, load_kinds()))
    return service


async def until(condition: Callable[[], Awaitable[Any]], *, within: float = 60) -> Any:
    """Wait until a condition holds, and return what it gave."""
    async with asyncio.timeout(within):
        while not (found := await condition()):
            await asyncio.sleep(0.02)
    return found


async def events_of(bus: Bus, *types: str) -> list[EventView]:
    """All events on the bus of some types, in order."""
    return [view for view in await events_on(bus) if view.type in types]


async def delivered(service: Notifications, id_: str) -> list[Delivery] | None:
    """A notification's deliveries, once all have arrived."""
    found = await service.deliveries.of_notification(id_)
    return found if found and all(one.status == "delivered" for one in found) else None


async def finished(service: Notifications, id_: str) -> list[Delivery] | None:
    """A notification's deliveries, once all have ended."""
    found = await service.deliveries.of_notification(id_)
    return found if found and all(one.is_finished for one in found) else None
