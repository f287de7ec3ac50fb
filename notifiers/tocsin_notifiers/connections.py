"""Many connections to few addresses, without the cost of the client's pool.

That one looks at every connection it has on every request: with 256 idle ones that is most of the time that a request
takes. Here the connections that nobody uses lie in a heap for each address, the one used last on top, so that while there is
little to do the same few are used, and the others end.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, cast

import httpcore2
import httpx2

MOST_READ: Final = 1024 * 1024
"""How much of an answer is read, in bytes; what comes after it is cut off."""

_KEPT: Final = 60.0
_SCHEMES: Final = (b"http", b"https")
# The answer is kept as the bytes that came: an answer that unpacks to gigabytes unpacks nowhere.
_HOP_HEADERS: Final = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
_PROBLEMS: Final = (
    "ConnectTimeout",
    "ReadTimeout",
    "WriteTimeout",
    "PoolTimeout",
    "ConnectError",
    "ReadError",
    "WriteError",
    "LocalProtocolError",
    "RemoteProtocolError",
    "UnsupportedProtocol",
    "NetworkError",
    "TimeoutException",
    "ProtocolError",
)
"""The errors of the layer below, which the client knows by the same names; the narrow ones come first."""
_AS_THE_CLIENTS: Final = [(getattr(httpcore2, name), getattr(httpx2, name)) for name in _PROBLEMS]


class Connections(httpx2.AsyncBaseTransport):
    """Sends requests over ``backend``, at most so many at once; proxies are not used, and answers are cut at `MOST_READ`.

    A connection that nobody has used for ``kept`` seconds is not used again.
    """

    def __init__(
        self,
        backend: httpcore2.AsyncNetworkBackend,
        *,
        connections: int,
        verify: ssl.SSLContext | bool = True,
        kept: float = _KEPT,
    ) -> None:
        self._backend = backend
        self._kept = kept
        self._context = (
            verify if isinstance(verify, ssl.SSLContext) else httpx2.create_ssl_context(verify=verify)
        )
        self._places = asyncio.Semaphore(connections)
        self._idle: dict[tuple[bytes, bytes, int], list[httpcore2.AsyncHTTPConnection]] = {}
        self._cleared = time.monotonic()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and read the answer."""
        url = httpcore2.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        if url.scheme not in _SCHEMES:
            raise httpx2.UnsupportedProtocol(
                f"the address of a request must begin with http:// or https://: {url}"
            )
        asked = httpcore2.Request(
            method=request.method,
            url=url,
            headers=request.headers.raw,
            content=cast("AsyncIterable[bytes]", request.stream),
            extensions=request.extensions,
        )
        with _as_the_clients():
            await self._take_place(request.extensions.get("timeout", {}).get("pool"))
            try:
                return await self._sent(asked)
            finally:
                self._places.release()

    async def aclose(self) -> None:
        """Close the connections that nobody uses."""
        idle, self._idle = self._idle, {}
        for connection in (one for heap in idle.values() for one in heap):
            await connection.aclose()

    async def _take_place(self, within: float | None) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(within):
                await self._places.acquire()
        except TimeoutError as problem:
            raise httpcore2.PoolTimeout(f"no connection was free for {within:g} s") from problem

    async def _sent(self, asked: httpcore2.Request) -> httpx2.Response:
        connection = await self._connection(asked.url.origin)
        try:
            answer = await connection.handle_async_request(asked)
            try:
                body = await _read(answer)
            finally:
                await answer.aclose()
        except BaseException:
            # Whatever state it is in now: the next request opens another.
            await connection.aclose()
            raise
        if connection.is_available():
            self._idle.setdefault(_key(asked.url.origin), []).append(connection)
        await self._clear()
        headers = [pair for pair in answer.headers if pair[0].lower() not in _HOP_HEADERS]
        extensions = {name: one for name, one in answer.extensions.items() if name != "network_stream"}
        return httpx2.Response(answer.status, headers=headers, content=body, extensions=extensions)

    async def _connection(self, origin: httpcore2.Origin) -> httpcore2.AsyncHTTPConnection:
        """Return a connection that is good, the one used last, or a new one."""
        heap = self._idle.get(_key(origin), [])
        while heap:
            connection = heap.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore2.AsyncHTTPConnection(
            origin, ssl_context=self._context, keepalive_expiry=self._kept, network_backend=self._backend
        )

    async def _clear(self) -> None:
        """Close, now and then, what has not been used for long or was closed by the other side."""
        now = time.monotonic()
        if now - self._cleared < self._kept:
            return
        self._cleared = now
        expired = [one for heap in self._idle.values() for one in heap if one.has_expired()]
        gone = {id(one) for one in expired}
        for key, heap in list(self._idle.items()):
            # In place: somebody may be looking for a connection in it just now.
            heap[:] = [one for one in heap if id(one) not in gone]
            if not heap:
                del self._idle[key]
        for connection in expired:
            await connection.aclose()


def _key(origin: httpcore2.Origin) -> tuple[bytes, bytes, int]:
    return origin.scheme, origin.host, origin.port


async def _read(answer: httpcore2.Response) -> bytes:
    body = bytearray()
    async for part in cast("AsyncIterable[bytes]", answer.stream):
        body += part
        if len(body) >= MOST_READ:
            break
    return bytes(body[:MOST_READ])


@contextmanager
def _as_the_clients() -> Iterator[None]:
    try:
        yield
    except Exception as problem:
        for below, above in _AS_THE_CLIENTS:
            if isinstance(problem, below):
                made: Any = above(str(problem))
                raise made from problem
        raise
