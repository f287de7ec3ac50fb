"""A pull subscription to a JetStream consumer: the core that the reader and the work queues share.

nats-py's own ``fetch`` costs 30 to 50 µs a message. This keeps requests outstanding ahead of the reader, so that the
server streams, and hands over whatever has come: some 7 µs a message.
"""

import asyncio
import json
from typing import Any, Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error

EXPIRES: Final = 20.0
"""How long one request waits at the server, in seconds."""

HEARTBEAT: Final = 2.0
"""How often the server says that a waiting request still stands, in seconds."""

_MAX_BYTES: Final = 32 * 1024 * 1024
_NANOSECOND: Final = 1_000_000_000


def numbers(reply: str) -> tuple[int, int, int]:
    """Return stream sequence, consumer sequence and arrival in nanoseconds, from a delivery's reply subject.

    ``$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<ns>.<pending>``; newer servers put
    ``<domain>.<account>`` before the stream and a token behind (nats-server, ADR-15).
    """
    parts = reply.split(".")
    base = 5 if len(parts) == 9 else 7
    return int(parts[base]), int(parts[base + 1]), int(parts[base + 2])


def arrival(reply: str) -> int:
    """Return when a delivered message came to the bus, in microseconds, from its reply subject."""
    return numbers(reply)[2] // 1000


class Pull:
    """Requests to one consumer and the messages that came, until `lost` says that it has to be made anew."""

    def __init__(self, client: Client, stream: str, consumer: str) -> None:
        self._client = client
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._messages: list[Msg] = []
        self._came = asyncio.Event()
        self._subscription: Any = None
        self._heard = 0.0
        self.outstanding = 0
        self.lost: str | None = None

    async def open(self) -> None:
        """Listen for what the server sends."""
        self._subscription = await self._client.subscribe(
            self._inbox, cb=self._on_message, pending_msgs_limit=0, pending_bytes_limit=0
        )
        self._heard = asyncio.get_running_loop().time()

    async def close(self) -> None:
        """Listen no more."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._client.is_closed:
            try:
                await subscription.unsubscribe()
            except Error:
                return

    async def request(self, count: int) -> None:
        """Ask for more messages."""
        wanted = {
            "batch": count,
            "expires": int(EXPIRES * _NANOSECOND),
            "idle_heartbeat": int(HEARTBEAT * _NANOSECOND),
            "max_bytes": _MAX_BYTES,
        }
        self.outstanding += count
        await self._client.publish(self._next, json.dumps(wanted).encode(), reply=self._inbox)

    async def take(self, timeout: float) -> list[Msg]:  # noqa: ASYNC109 - the wait is the promise, not a failure
        """Return what has come, at once if there is something, else within ``timeout`` seconds; it may be nothing."""
        if not self._messages and self.lost is None and timeout > 0:
            self._came.clear()
            try:
                async with asyncio.timeout(timeout):
                    await self._came.wait()
            except TimeoutError:
                self._check_heartbeat()
        messages, self._messages = self._messages, []
        return messages

    def lose(self, reason: str) -> None:
        """Say that the consumer or the connection to it is gone; who waits in `take` wakes up."""
        self.lost = reason
        self._came.set()

    def wake(self) -> None:
        """Let who waits in `take` go on."""
        self._came.set()

    async def _on_message(self, message: Msg) -> None:
        if message.subject != self._inbox:
            self.outstanding -= 1
            self._messages.append(message)
            self._came.set()
            return
        self._heard = asyncio.get_running_loop().time()
        self._on_status(message.headers or {})

    def _on_status(self, headers: dict[str, str]) -> None:
        status, said = headers.get("Status", ""), headers.get("Description", "")
        unfilled = headers.get("Nats-Pending-Messages", "")
        if unfilled.isdigit():
            # The request has ended: in time (408), or with its share of bytes (409).
            self.outstanding -= int(unfilled)
            self._came.set()
        elif status == "409" and "Completed" in said:
            self._came.set()
        elif status != "100":
            self.lose(f"{status} {said}".strip())

    def _check_heartbeat(self) -> None:
        silent = asyncio.get_running_loop().time() - self._heard
        if self.outstanding > 0 and silent > 3 * HEARTBEAT + 1:
            self.lose(f"no heartbeat for {silent:.0f} s")
