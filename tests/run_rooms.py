"""The rooms of deployments and runs, put together for tests on a real database and a real bus."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine

from on_the_bus import events_on
from tocsin_events.bus import Bus
from tocsin_events.pattern import matches
from tocsin_events.view import EventView
from tocsin_server.db import metadata, open_engine
from tocsin_server.deployment import Deployment
from tocsin_server.deployments import Deployments
from tocsin_server.flow_schema import FlowDescription
from tocsin_server.outgoing import Outgoing
from tocsin_server.run_claims import Cancellations
from tocsin_server.runs import Runs

COUNT = FlowDescription(
    name="count",
    description="",
    schema={
        "type": "object",
        "properties": {"n": {"type": "integer"}, "note": {"type": "string", "default": ""}},
        "required": ["n"],
    },
)


@dataclass(frozen=True)
class Rooms:
    """The parts under test."""

    engine: AsyncEngine
    bus: Bus
    outgoing: Outgoing
    deployments: Deployments
    runs: Runs

    async def deploy(
        self, name: str = "nightly", *, described: FlowDescription | None = COUNT, **more: Any
    ) -> None:
        """Make a deployment known."""
        deployment = Deployment.model_validate({"name": name, "flow": "flows.py:count", **more})
        async with self.engine.begin() as connection:
            known = {name: described} if described is not None else {}
            await self.deployments.apply(connection, [deployment], known)
        await self.outgoing.flush()

    async def events(self, pattern: str = ">") -> list[EventView]:
        """Return everything that is on the bus."""
        await self.outgoing.flush()
        return [view for view in await events_on(self.bus) if matches(pattern, view.type)]

    async def types(self, pattern: str = ">") -> list[str]:
        """Return the types of everything that is on the bus."""
        return [view.type for view in await self.events(pattern)]

    async def orders(self) -> list[dict[str, Any]]:
        """Return the orders that wait for a worker."""
        await self.outgoing.flush()
        info = await self.bus.js.stream_info("RUNS")
        found: list[dict[str, Any]] = []
        if not info.state.messages:
            return found
        for sequence in range(info.state.first_seq, info.state.last_seq + 1):
            message = await self.bus.js.get_msg("RUNS", sequence)
            found.append(msgspec.json.decode(message.data or b""))
        return found


@asynccontextmanager
async def open_rooms(url: str, bus: Bus) -> AsyncIterator[Rooms]:
    """Give the rooms on a new database."""
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(metadata().create_all)
    outgoing = Outgoing(engine, bus)
    deployments = Deployments(engine, outgoing)
    try:
        yield Rooms(
            engine, bus, outgoing, deployments, Runs(engine, outgoing, deployments, Cancellations(bus))
        )
    finally:
        await engine.dispose()


def sqlite_url(folder: Path) -> str:
    """Return the URL of a database in a folder."""
    return f"sqlite:///{folder / 'test.db'}"
