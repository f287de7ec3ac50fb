"""Fixtures that tests of several rooms share."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import asyncpg
import hypothesis
import pytest

import postgres
from tocsin_events.bus import Bus
from tocsin_events.nats_server import NatsServer

# How long an example takes says nothing about it: a machine may be slow.
_PATIENT: Final[dict[str, Any]] = {
    "deadline": None, "suppress_health_check": [hypothesis.HealthCheck.too_slow],
}  # fmt: skip
hypothesis.settings.register_profile("tocsin", **_PATIENT)
# CI must say the same of the same commit; what chance finds is for those who can look into it at once.
hypothesis.settings.register_profile("tocsin-ci", derandomize=True, print_blob=True, **_PATIENT)
hypothesis.settings.load_profile("tocsin-ci" if os.environ.get("CI") else "tocsin")


def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: a third of the time, tests wait for the processes that they started."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL server of this session's own, without a database."""
    reason = postgres.missing()
    if reason is not None:
        if "postgres" in os.environ.get("TOCSIN_TESTS_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    with postgres.cluster() as url:
        yield url


@pytest.fixture
async def postgres_url(postgres_server: str) -> str:
    """The URL of a new, empty PostgreSQL database."""
    name = f"t{uuid4().hex}"
    connection = await asyncpg.connect(f"{postgres_server}/postgres")
    try:
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return f"{postgres_server}/{name}"


@pytest.fixture
def refusing_port() -> Iterator[int]:
    """A port of loopback where nobody listens, and nobody will: it is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A NATS server of this test's own, on a free port of loopback."""
    server = NatsServer(tmp_path / "nats", durability="relaxed")
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """A bus with all streams, empty."""
    async with await Bus.connect(nats_server.address, name="test") as bus:
        await bus.prepare()
        yield bus
