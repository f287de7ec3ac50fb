"""The HTTP client's sockets, straight on asyncio's transports.

The client brings its own, which go through streams, scopes and locks of another library: a fifth of all that a delivery
costs. What is here is what HTTP needs of a connection: bytes in, bytes out, TLS, a time limit, and whether it is still good.
"""

import asyncio
import ssl
from collections.abc import Iterable
from typing import Any, Final, cast

from httpcore2 import (
    AsyncNetworkBackend,
    AsyncNetworkStream,
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
)

_MOST_WAITING: Final = 256 * 1024
"""Bytes that may have come and not been read before no more are taken from the socket."""
_MUCH: Final = 64 * 1024


class Sockets(AsyncNetworkBackend):
    """Opens connections."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's own
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to an address."""
        loop = asyncio.get_running_loop()
        local = None if local_address is None else (local_address, 0)
        try:
            async with asyncio.timeout(timeout):
                transport, wire = await loop.create_connection(_Wire, host, port, local_addr=local)
        except TimeoutError as problem:
            raise ConnectTimeout(str(problem)) from problem
        except OSError as problem:
            raise ConnectError(str(problem)) from problem
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return _Stream(wire)


class _Wire(asyncio.Protocol):
    """What has come over a connection, and what it says of itself."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.came = bytearray()
        self.ended = False
        self.problem: Exception | None = None
        self.full = False
        """The other side doesn't take what is written as fast as it is."""
        self.paused = False
        self._waiting: asyncio.Future[bool] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.came += data
        if len(self.came) > _MOST_WAITING and not self.paused:
            self.paused = True
            self.transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self.ended = True
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended, self.full, self.problem = True, False, exc
        self._wake()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._wake()

    def take(self, most: int) -> bytes:
        """Return what has come, up to so many bytes."""
        data = bytes(self.came[:most])
        del self.came[:most]
        if self.paused and len(self.came) <= _MOST_WAITING and not self.transport.is_closing():
            self.paused = False
            self.transport.resume_reading()
        return data

    async def change(self, within: float | None) -> bool:
        """Wait until something happens; False where nothing did within so many seconds."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting = waiting
        timer = None if within is None else loop.call_later(within, _settle, waiting, False)
        try:
            return await waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiting is not None:
            _settle(self._waiting, True)


class _Stream(AsyncNetworkStream):
    """A connection. One task at a time reads or writes, as HTTP/1.1 does.

    What is written goes out when the answer is waited for, or is much: a request's head and body in one packet.
    """

    def __init__(self, wire: _Wire) -> None:
        self._wire = wire
        self._unsent = bytearray()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109 - the interface's own
        wire = self._wire
        if self._unsent:
            await self._send(timeout)
        while not wire.came and not wire.ended:
            if not await wire.change(timeout):
                raise ReadTimeout(f"nothing came for {timeout:g} s")
        if not wire.came and wire.problem is not None:
            raise ReadError(str(wire.problem)) from wire.problem
        return wire.take(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109 - the interface's own
        if self._wire.ended or self._wire.transport.is_closing():
            raise WriteError("the connection is closed")
        self._unsent += buffer
        if len(self._unsent) > _MUCH:
            await self._send(timeout)

    async def _send(self, within: float | None) -> None:
        wire, unsent = self._wire, bytes(self._unsent)
        self._unsent.clear()
        if wire.ended or wire.transport.is_closing():
            # What came before it closed may be the answer.
            return
        wire.transport.write(unsent)
        while wire.full:
            if not await wire.change(within):
                raise WriteTimeout(f"nothing was taken for {within:g} s")

    async def aclose(self) -> None:
        self._wire.transport.abort()
        # The transport closes its socket in the loop's next turn.
        await asyncio.sleep(0)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the interface's own
    ) -> AsyncNetworkStream:
        wire, loop = self._wire, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout):
                transport = await loop.start_tls(
                    wire.transport, wire, ssl_context, server_hostname=server_hostname
                )
        except BaseException as problem:
            wire.transport.abort()
            if isinstance(problem, TimeoutError):
                raise ConnectTimeout(f"no TLS within {timeout:g} s") from problem
            if isinstance(problem, OSError):
                raise ConnectError(str(problem)) from problem
            raise
        if transport is None:
            raise ConnectError("the connection was closed while TLS began")
        wire.transport = transport
        return self

    def get_extra_info(self, info: str) -> Any:
        wire = self._wire
        if info == "is_readable":
            return bool(wire.came) or wire.ended
        return wire.transport.get_extra_info(_EXTRA.get(info, info))


_EXTRA: Final = {"client_addr": "sockname", "server_addr": "peername"}


def _settle(waiting: "asyncio.Future[bool]", happened: bool) -> None:
    if not waiting.done():
        waiting.set_result(happened)
