"""Outgoing HTTP: the one client for whatever goes to addresses that users name.

Each connection goes to an address that the guard has judged, nothing follows a redirect, environment variables name no proxy, and
an answer is read as the bytes that came, up to a limit: one that unpacks to gigabytes unpacks nowhere.
"""

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from tocsin_notifiers.address_guard import AddressGuard, AddressRefused

MOST_READ: Final = 1024 * 1024
"""How much of an answer is read, in bytes; what comes after it is cut off."""

_CONNECTIONS: Final = 512
_KEPT: Final = 60.0
_HEADERS: Final = {"user-agent": "tocsin", "accept-encoding": "identity"}


class NoAnswer(Exception):  # noqa: N818 - it names what happened
    """The other side could not be reached, was too slow or broke off; later it may be different."""


class Unsendable(Exception):  # noqa: N818 - it names what was asked
    """The request can never be made: its address is none, or one that may not be reached, or a header is malformed."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back. ``headers`` are found in whatever case they are asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text; what is not UTF-8 in it is replaced."""
        return self.body.decode(errors="replace")


class HttpClient:
    """Sends requests to addresses that ``guard`` permits, and keeps connections alive between them.

    ``tls`` says whom to trust; by default whom the system trusts. Nothing is opened before the first request.
    """

    def __init__(self, guard: AddressGuard, *, tls: ssl.SSLContext | None = None) -> None:
        self.guard = guard
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Return the client, which is closed at the end of the block."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        within: float | None = None,
    ) -> HttpAnswer:
        """Send a request and return the answer, whatever its status; ``within`` is in seconds.

        Raises:
            NoAnswer: there was none, or none in time.
            Unsendable: there can be none, now or later.

        """
        if not url.lower().startswith(("http://", "https://")):
            raise Unsendable("the address must begin with https:// or http://")
        try:
            async with self._opened().request(
                method,
                url,
                data=body or None,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=within),
            ) as answer:
                return HttpAnswer(answer.status, answer.headers, await _read(answer.content))
        except aiohttp.InvalidURL as problem:
            # The address itself is not repeated: there may be a secret in it.
            raise Unsendable("the address is no URL") from problem
        except TimeoutError as problem:
            raise NoAnswer("no answer in time") from problem
        except aiohttp.ClientResponseError as problem:
            raise NoAnswer(f"the answer is no HTTP: {problem.message}") from problem
        except (aiohttp.ClientError, OSError) as problem:
            refusal = _refusal_in(problem)
            if refusal is not None:
                raise Unsendable(str(refusal)) from problem
            raise NoAnswer(str(problem) or type(problem).__name__) from problem
        except ValueError as problem:
            raise Unsendable("the address or a header has characters that HTTP doesn't allow") from problem

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            import httpx2

            connector = aiohttp.TCPConnector(
                limit=_CONNECTIONS,
                keepalive_timeout=_KEPT,
                resolver=_JudgedAddresses(self.guard),
                socket_factory=self._socket,
                ssl=self._tls or httpx2.create_ssl_context(),
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                headers=_HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Return the socket for a connection: the one place that all of them pass, names and numbers alike."""
        family, kind, protocol, _, where = address
        if not self.guard.permits(str(where[0])):
            raise AddressRefused(str(where[0]))
        return socket.socket(family, kind, protocol)


class _JudgedAddresses(AbstractResolver):
    """Resolves names; one of which any address is refused has none."""

    def __init__(self, guard: AddressGuard) -> None:
        self._guard = guard

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the interface's own
    ) -> list[ResolveResult]:
        """Return the addresses of a host, all of them judged."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await self._guard.resolve(host, port)
        ]

    async def close(self) -> None:
        """Do nothing: nothing is kept open."""


async def _read(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for part in content.iter_any():
        body += part
        if len(body) >= MOST_READ:
            break
    return bytes(body[:MOST_READ])


def _refusal_in(problem: BaseException) -> AddressRefused | None:
    cause: BaseException | None = problem
    while cause is not None and not isinstance(cause, AddressRefused):
        cause = cause.__cause__ or cause.__context__
    return cause
