"""Where the bus is, for whom: for the service, for workers, and for flows and other programs that publish events."""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from tocsin_events.address import BusAddress
from tocsin_events.bus import Bus, BusNotUsable, BusUnavailable
from tocsin_events.store import EventStore
from tocsin_server.access import write_private
from tocsin_server.errors import ExitCode, UserError
from tocsin_server.settings import Settings

STATE_FILE = "server.json"
"""Where the server is, in its data folder: for the command line, flows and the SDK."""

WORKER_FILE = "worker.json"
"""Where the bus is for workers of this machine, in the data folder."""

_log = structlog.get_logger("tocsin.server")


@dataclass(frozen=True)
class BusAccess:
    """The bus as the service reaches it, as workers do, and as clients do that may only publish."""

    service: BusAddress
    worker: BusAddress
    client: BusAddress


@asynccontextmanager
async def bus_access(settings: Settings) -> AsyncIterator[BusAccess]:
    """Give access to the bus; starts a nats-server of our own unless one was named.

    Raises:
        UserError: there is none to be had; says why.

    """
    if settings.nats.url is not None:
        yield _of_settings(settings, settings.nats.url.get_secret_value())
        return
    from tocsin_events.nats_server import NatsServer, NatsServerError

    server = NatsServer(settings.data_dir / "nats", durability=settings.nats.durability)
    try:
        await server.start()
    except NatsServerError as problem:
        raise UserError(
            "The server's own bus cannot start.",
            str(problem),
            "Another server may run on this data folder: stop it, or give this one its own --data-dir.",
        ) from None
    try:
        yield BusAccess(server.address, server.address_for("worker"), server.address_for("client"))
    finally:
        await server.stop()


async def connect_bus(
    stack: AsyncExitStack, settings: Settings, address: BusAddress, events: EventStore
) -> Bus:
    """Return the connected bus with all of its streams; ``stack`` closes it.

    Raises:
        UserError: it can't be used; says why.

    """
    try:
        bus = await Bus.connect(address)
        stack.push_async_callback(bus.close)
        read = [position.sequence for position in (await events.positions()).values()]
        await bus.prepare(settings.stream_limits(), after=max(read, default=0))
    except (BusUnavailable, BusNotUsable) as problem:
        raise UserError(
            f"The bus at {address.url} cannot be used.",
            str(problem),
            "Free disk space where the data folder lies, or choose another with --data-dir."
            if settings.nats.url is None
            else "Correct TOCSIN_NATS_URL or that server, or leave the variable out to use a bus of the server's own.",
            code=ExitCode.UNREACHABLE,
        ) from problem
    return bus


@contextlib.contextmanager
def state_files(settings: Settings, url: str, access: BusAccess) -> Iterator[None]:
    """Leave where the server is for the programs of this machine, while it runs."""
    server = {"url": url, "pid": os.getpid(), "key_file": str(settings.key_file.absolute())}
    files = {
        settings.data_dir / STATE_FILE: server | _bus_state(access.client),
        settings.data_dir / WORKER_FILE: server | _bus_state(access.worker),
    }
    try:
        for file, state in files.items():
            write_private(file, json.dumps(state))
        yield
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def worker_address(data_dir: Path) -> BusAddress | None:
    """Return where the bus of this machine's server is for a worker; None where none runs."""
    try:
        state = json.loads((data_dir / WORKER_FILE).read_bytes())
        os.kill(int(state["pid"]), 0)
        return BusAddress(state["nats_url"], state["nats_user"], state["nats_password"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _bus_state(address: BusAddress) -> dict[str, str | None]:
    return {"nats_url": address.url, "nats_user": address.user, "nats_password": address.password}


def _of_settings(settings: Settings, url: str) -> BusAccess:
    service = _parsed(url, "TOCSIN_NATS_URL", "leave it out to use a bus of the server's own")
    if settings.nats.client_url is None:
        _log.warning(
            "flows get the service's rights on the bus: set nats.client_url to a user that may only publish events",
            documentation="docs/how-to/use-your-own-nats.md",
        )
        return BusAccess(service, service, service)
    client = _parsed(
        settings.nats.client_url.get_secret_value(),
        "nats.client_url",
        "leave it out to give flows the service's",
    )
    return BusAccess(service, service, client)


def _parsed(text: str, name: str, otherwise: str) -> BusAddress:
    try:
        return BusAddress.parse(text)
    except ValueError as problem:
        raise UserError(
            f"The address of the bus in {name} is not one.",
            str(problem),
            f"Correct {name}, or {otherwise}.",
            code=ExitCode.INVALID_INPUT,
        ) from None
