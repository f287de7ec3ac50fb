"""The notification service on a bus and a database of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from notifying import make_engine, make_service
from tocsin_events.bus import Bus
from tocsin_events.ending import end
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.service import Notifications


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    """An empty SQLite database with the room's tables."""
    made = await make_engine(f"sqlite+aiosqlite:///{tmp_path}/tocsin.db")
    try:
        yield made
    finally:
        await made.dispose()


@pytest.fixture
def serving(engine: AsyncEngine, bus: Bus) -> Callable[..., Any]:
    """Run the service with what is written under ``notifiers:`` (and other sections)."""

    @asynccontextmanager
    async def run(
        notifiers: dict[str, Any], *, allow_private: bool = True, **rest: Any
    ) -> AsyncIterator[Notifications]:
        async with HttpClient(AddressGuard(allow_private=allow_private)) as http:
            service = make_service(engine, bus, notifiers, http=http, **rest)
            task = asyncio.create_task(service.run())
            try:
                yield service
            finally:
                await end(task)

    return run
