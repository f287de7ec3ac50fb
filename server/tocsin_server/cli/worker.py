"""``tocsin worker``."""

import asyncio
import os
import signal
from typing import TYPE_CHECKING

import click

from tocsin_server.errors import ExitCode, UserError

if TYPE_CHECKING:
    from tocsin_events.address import BusAddress


@click.group(name="worker")
def command() -> None:
    """Execute runs."""


@command.command()
@click.option("--pool", default="default", show_default=True, help="The work pool to take runs from.")
@click.option(
    "--limit", default=10, show_default=True, type=click.IntRange(min=1), help="How many runs at a time."
)
@click.option("--name", help="How events call the worker; host and process by default.")
@click.option(
    "--grace", default=30.0, show_default=True, help="Seconds that runs may go on when the worker is stopped."
)
def start(pool: str, limit: int, name: str | None, grace: float) -> None:
    """Take runs from a pool and execute each in a process of its own, until SIGTERM or Ctrl-C."""
    import uvloop

    from tocsin.discovery import data_directory, find_bus
    from tocsin_events.address import BusAddress
    from tocsin_server.bus_access import worker_address
    from tocsin_server.log import set_up_logging

    named, for_runs = os.environ.get("TOCSIN_NATS_URL"), os.environ.get("TOCSIN_NATS__CLIENT_URL")
    try:
        address = BusAddress.parse(named) if named else worker_address(data_directory())
        runs = BusAddress.parse(for_runs) if for_runs else find_bus()
    except ValueError as problem:
        raise UserError(
            "TOCSIN_NATS_URL or TOCSIN_NATS__CLIENT_URL is no address.",
            str(problem),
            code=ExitCode.INVALID_INPUT,
        ) from None
    if address is None:
        raise UserError(
            "No bus was found.",
            "Neither TOCSIN_NATS_URL nor a running local server says where it is.",
            "Set TOCSIN_NATS_URL=nats://USER:PASSWORD@HOST:PORT, or TOCSIN_DATA_DIR of the local server.",
            code=ExitCode.UNREACHABLE,
        )
    set_up_logging("info", "auto")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(address, runs or address, pool, limit, name, grace))


async def _work(
    address: "BusAddress", runs: "BusAddress", pool: str, limit: int, name: str | None, grace: float
) -> None:
    from tocsin_events.bus import Bus, BusUnavailable
    from tocsin_server.worker import WorkerOptions, WorkerService, run_environment

    environment = run_environment(runs, os.environ.get("TOCSIN_DATA_DIR"))
    options = WorkerOptions(pool=pool, limit=limit, grace=grace, environment=environment)
    if name:
        options = WorkerOptions(pool=pool, limit=limit, grace=grace, environment=environment, name=name)
    try:
        bus = await Bus.connect(address, name=f"worker {options.name}")
    except BusUnavailable as problem:
        raise UserError(
            "The worker can't reach the bus.", str(problem), "Start the server, or correct TOCSIN_NATS_URL.",
            code=ExitCode.UNREACHABLE,
        ) from None  # fmt: skip
    async with bus:
        service = WorkerService(bus, options)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, service.stop)
        click.echo(f"Worker {service.name} takes runs from the pool {pool}. Ctrl-C stops it.", err=True)
        await service.run()
