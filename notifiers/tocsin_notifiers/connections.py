"""Many connections to few addresses, without the cost of one large pool.

The client's pool looks at every connection it has on every request: with 256 idle ones that is most of the time that a
request takes. So requests are spread over small pools, the least busy one first; while there is little to do, that is
always the first, whose connections are thus kept warm.
"""

import ssl
from typing import Any, Final

import httpx2
from httpcore2 import AsyncNetworkBackend

MOST_READ: Final = 1024 * 1024
"""How much of an answer is read, in bytes; what comes after it is cut off."""

_IN_A_POOL: Final = 4
_KEPT: Final = 60.0
# The answer is kept as the bytes that came: an answer that unpacks to gigabytes unpacks nowhere.
_HOP_HEADERS: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})


class SpreadTransport(httpx2.AsyncBaseTransport):
    """Sends requests through small pools over ``backend``; proxies are not used, and answers are cut at `MOST_READ`."""

    def __init__(
        self, backend: AsyncNetworkBackend, *, connections: int, verify: ssl.SSLContext | bool = True
    ) -> None:
        context = verify if isinstance(verify, ssl.SSLContext) else httpx2.create_ssl_context(verify=verify)
        self._pools = [_pool(backend, context) for _ in range(max(1, connections // _IN_A_POOL))]
        self._under_way = [0] * len(self._pools)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request through the least busy pool, and read the answer."""
        place = min(range(len(self._pools)), key=self._under_way.__getitem__)
        self._under_way[place] += 1
        try:
            answer = await self._pools[place].handle_async_request(request)
            try:
                body = await _read(answer)
            finally:
                await answer.aclose()
        finally:
            self._under_way[place] -= 1
        headers = [
            (name, value)
            for name, value in answer.headers.raw
            if name.decode("latin-1").lower() not in _HOP_HEADERS
        ]
        return httpx2.Response(
            answer.status_code, headers=headers, content=body, extensions=answer.extensions
        )

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.aclose()


async def _read(answer: httpx2.Response) -> bytes:
    body = bytearray()
    assert isinstance(answer.stream, httpx2.AsyncByteStream)
    async for part in answer.stream:
        body += part
        if len(body) >= MOST_READ:
            break
    return bytes(body[:MOST_READ])


def _pool(backend: AsyncNetworkBackend, context: ssl.SSLContext) -> httpx2.AsyncHTTPTransport:
    limits = httpx2.Limits(
        max_connections=_IN_A_POOL, max_keepalive_connections=_IN_A_POOL, keepalive_expiry=_KEPT
    )
    transport = httpx2.AsyncHTTPTransport(trust_env=False, limits=limits, verify=context)
    # httpx2 has no parameter for the backend of its pool, so it is set where httpcore2 keeps it.
    pool: Any = transport._pool
    pool._network_backend = backend
    return transport
