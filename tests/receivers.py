"""Receivers on loopback that stand for the services out there: they record what they get and answer as told."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """What a receiver got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Answer:
    """What a receiver says: ``delay`` in seconds first; ``reset`` cuts the connection in mid-answer."""

    status: int = 200
    body: bytes = b"ok"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    reset: bool = False


@dataclass
class Receiver:
    """An HTTP server that records requests. ``answer`` decides on each; change it at any time."""

    url: str = ""
    answer: Callable[[Request], Answer] = lambda request: Answer()
    requests: list[Request] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def received(self, count: int, *, within: float = 60) -> list[Request]:
        """Wait until so many requests have come, and return all."""
        async with asyncio.timeout(within):
            while len(self.requests) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.requests

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                request = await _read(reader)
                if request is None:
                    return
                self.requests.append(request)
                self.changed.set()
                said = self.answer(request)
                if said.delay:
                    await asyncio.sleep(said.delay)
                if said.reset:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhalf")
                    writer.transport.abort()
                    return
                head = [f"HTTP/1.1 {said.status} {'OK' if said.status < 400 else 'No'}"]
                head += [f"{name}: {value}" for name, value in said.headers.items()]
                head += [f"content-length: {len(said.body)}", "", ""]
                writer.write("\r\n".join(head).encode() + said.body)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def receiver(
    answer: Callable[[Request], Answer] | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    """A receiver on a free port of loopback."""
    one = Receiver()
    if answer is not None:
        one.answer = answer
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await one.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    one.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield one
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, path, headers, body)
