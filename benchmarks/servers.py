"""What the rows that need more than one process share: a bus of their own, a server of their own, a receiver."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx2

from tocsin_events.address import BusAddress
from tocsin_events.bus import Bus
from tocsin_events.nats_accounts import password_of
from tocsin_events.nats_server import NatsServer

Durability = Literal["durable", "relaxed"]
DURABILITIES: tuple[Durability, ...] = ("relaxed", "durable")

_PATIENCE = 30
"""Seconds that a process has to end in when it is asked to."""


@contextlib.asynccontextmanager
async def own_nats(durability: Durability) -> AsyncIterator[NatsServer]:
    """Give a NATS server of this benchmark's own."""
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder), durability=durability)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()


@contextlib.asynccontextmanager
async def own_bus(durability: Durability) -> AsyncIterator[Bus]:
    """Give a bus of this benchmark's own, with all streams."""
    async with own_nats(durability) as server, await Bus.connect(server.address) as bus:
        await bus.prepare()
        yield bus


@dataclass(frozen=True)
class Running:
    """A server process that is ready; ``ready_seconds`` is how long that took."""

    process: subprocess.Popen[str]
    url: str
    data_dir: Path
    ready_seconds: float

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which programs find this server."""
        return {**os.environ, "TOCSIN_DATA_DIR": str(self.data_dir)}

    def cli(self, *arguments: str) -> None:
        """Run ``tocsin`` against it."""
        subprocess.run(
            [sys.executable, "-m", "tocsin_server.cli", *arguments],
            env=self.environment, check=True, capture_output=True,
        )  # fmt: skip

    def client(self) -> httpx2.AsyncClient:
        """Return a client of its API."""
        return httpx2.AsyncClient(
            base_url=f"{self.url}/api/v1", headers={"Authorization": f"Bearer {self.key}"}, timeout=60
        )

    @property
    def key(self) -> str:
        """Its admin key."""
        return (self.data_dir / "api-key").read_text().strip()

    @property
    def bus_address(self) -> BusAddress:
        """Its bus, with every right."""
        state = json.loads((self.data_dir / "server.json").read_bytes())
        secret = (self.data_dir / "nats" / "secret").read_text()
        return BusAddress(state["nats_url"], "service", password_of("service", secret))

    def memory(self) -> int:
        """Return the resident bytes of the server and of its children."""
        return sum(_resident(pid) for pid in [self.process.pid, *_children(self.process.pid)])


@contextlib.contextmanager
def own_server(durability: Durability, *options: str) -> Iterator[Running]:
    """Give a server of this benchmark's own in a fresh data folder."""
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        start = time.perf_counter()
        environment = {
            **os.environ,
            "TOCSIN_NATS__DURABILITY": durability,
            "TOCSIN_ACTIONS__ALLOW_PRIVATE_ADDRESSES": "true",
            "TOCSIN_LOG__LEVEL": "error",
        }
        command = [
            sys.executable, "-m", "tocsin_server.cli", "server", "start", "--data-dir", str(data_dir), "--port", "0",
            "--output", "json", *options,
        ]  # fmt: skip
        with own_process(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Running(process, told["url"], data_dir, time.perf_counter() - start)


@contextlib.contextmanager
def own_process(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process, and end it with all that it started, however this ends; ``options`` are those of ``Popen``."""
    with subprocess.Popen(command, text=True, start_new_session=True, **options) as process:
        try:
            yield process
        finally:
            try:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_PATIENCE)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


class Receiver:
    """A webhook receiver on loopback: notes when each request came, by the number in its path."""

    def __init__(self) -> None:
        self.arrivals: dict[int, float] = {}
        self.requests = 0
        self.url = ""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                arrived = time.perf_counter()
                length = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
                if length:
                    await reader.readexactly(int(length[0].split(":")[1]))
                self.requests += 1
                self.arrivals.setdefault(int(head.split(" ", 2)[1].rsplit("/", 1)[1]), arrived)
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def _children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    return found
