"""Deliveries a second through the webhook notifier to a receiver that takes 50 ms, alone and with one of ten targets hanging.

The receiver runs in a process of its own; the limit is the same HTTP client without queue, database or retries.
"""

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop
from sqlmodel import SQLModel

from benchmarks.report import Figure
from tocsin_events.bus import Bus
from tocsin_events.nats_server import NatsServer
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.notification import Notification
from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.secret import Secrets
from tocsin_notifiers.service import Notifications
from tocsin_notifiers.setup import parse_setup

COUNT = 5_000
TARGETS = 10
CONCURRENCY = 256
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def measure() -> Sequence[Figure]:
    """Return the figures of this row."""
    return uvloop.run(_measure())  # as the server does


async def _measure() -> list[Figure]:
    ours, theirs = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=_receive, args=(theirs,), daemon=True)
    receiver.start()
    port = await asyncio.to_thread(ours.recv)
    try:
        limit = await _bare(f"http://127.0.0.1:{port}/")
        one = await _deliver({"hook": _webhook(port, "/", CONCURRENCY)}, ["hook"], COUNT)
        names = [f"hook-{number}" for number in range(TARGETS)]
        ten = {name: _webhook(port, "/", 64) for name in names}
        well = await _deliver(ten, names[1:], COUNT)
        hanging = {**ten, "hook-0": _webhook(port, "/hang", 64)}
        hung = await _deliver(hanging, names[1:], COUNT, beside="hook-0")
    finally:
        receiver.kill()
    return [
        Figure("one notifier, 50 ms an answer", one, "/s", limit, "the HTTP client alone", "≥ 1,000/s"),
        Figure("nine notifiers while a tenth hangs", hung, "/s", well, "none hangs", "unaffected"),
    ]


async def _bare(url: str) -> float:
    async with HttpClient(AddressGuard(allow_private=True)) as http:
        places = asyncio.Semaphore(CONCURRENCY)

        async def post() -> None:
            async with places:
                answer = await http.request("POST", url, b"x" * 900)
                assert answer.status == 200

        start = time.perf_counter()
        await asyncio.gather(*(post() for _ in range(COUNT)))
        return COUNT / (time.perf_counter() - start)


async def _deliver(
    notifiers: dict[str, Any], names: list[str], count: int, *, beside: str | None = None
) -> float:
    """Return deliveries a second to ``names``, from the first submission to the last result kept."""
    from tocsin_server.db import metadata, open_engine

    metadata()
    with tempfile.TemporaryDirectory() as folder:
        server = NatsServer(Path(folder) / "nats", durability="relaxed")
        await server.start()
        engine = open_engine(f"sqlite:///{folder}/notify.db")
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
        async with (
            await Bus.connect(server.address, name="benchmark") as bus,
            HttpClient(AddressGuard(allow_private=True)) as http,
        ):
            await bus.prepare()
            service = Notifications(engine, bus, secrets=Secrets({}.__getitem__), http=http)
            service.configure(parse_setup({"notifiers": notifiers}, load_kinds()))
            running = asyncio.create_task(service.run())
            start = time.perf_counter()
            if beside is not None:
                await _submit(service, [beside], count // 9)
            await _submit(service, names, count)
            await _all_there(service, names, count)
            rate = count / (time.perf_counter() - start)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        await engine.dispose()
        await server.stop()
    return rate


async def _submit(service: Notifications, names: list[str], count: int) -> None:
    places = asyncio.Semaphore(200)

    async def submit(number: int) -> None:
        async with places:
            name = names[number % len(names)]
            made = Notification(
                id=f"{name}-{number}", notifier=name, created=time.time_ns() // 1000, title=f"alert {number}"
            )
            await service.submit(made)

    await asyncio.gather(*(submit(number) for number in range(count)))


async def _all_there(service: Notifications, names: list[str], count: int) -> None:
    while True:
        done = 0
        for name in names:
            done += await service.deliveries.count(name, "delivered")
        if done >= count:
            return
        await asyncio.sleep(0.05)


def _webhook(port: int, path: str, concurrency: int) -> dict[str, Any]:
    return {
        "webhook": {"url": f"http://127.0.0.1:{port}{path}", "signing_secret": "whsec_c2VjcmV0"},
        "concurrency": concurrency,
    }


def _receive(pipe: Connection) -> None:
    """Answer every request after 50 ms, those to /hang never."""

    class Receiver(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport: Any = transport
            self.buffer = b""

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
                head = self.buffer[:end].lower()
                size = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
                if len(self.buffer) < end + 4 + size:
                    return
                self.buffer = self.buffer[end + 4 + size :]
                if b" /hang " not in head:
                    asyncio.get_running_loop().call_later(0.05, self.transport.write, _ANSWER)

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())
