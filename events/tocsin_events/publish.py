"""Publishing with many acknowledgements outstanding.

One inbox takes all acknowledgements of a connection; what they belong to is found by a number in their subject.
nats-py's ``publish`` waits for each acknowledgement (4 k/s), its ``publish_async`` costs 25 to 30 µs a message.
"""

import asyncio
import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, MaxPayloadError

ACK_SECONDS: Final = 5.0
"""How long an acknowledgement may take."""

_MOST_OUTSTANDING: Final = 4_000
_STORE_FULL: Final = frozenset({10047, 10077, 10023, 10028})
_NO_RESPONDERS: Final = "503"


class BusUnavailable(RuntimeError):  # noqa: N818 - it names the state
    """The bus could not take what was to be published, now: try again later; what is kept twice is kept once."""


class BusFull(BusUnavailable):
    """The bus keeps all that it may, because somebody has not read it yet: try again later."""


class PublishRefused(ValueError):  # noqa: N818 - it names what happened
    """The bus will never take this message; the message says why."""


Outgoing = tuple[str, bytes, Mapping[str, str]]
"""A message to be published: subject, body, headers."""


class Publisher:
    """Publishes over one connection and waits for JetStream's acknowledgements."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = client.new_inbox()
        self._numbers = itertools.count()
        self._waiting: dict[str, _Window] = {}
        self._slots = 0
        self._subscription: Any = None

    async def open(self) -> None:
        """Listen for acknowledgements."""
        self._subscription = await self._client.subscribe(
            f"{self._inbox}.*", cb=self._on_ack, pending_msgs_limit=0, pending_bytes_limit=0
        )

    async def publish(self, messages: Sequence[Outgoing]) -> list[int]:
        """Publish messages in order and return their stream sequences, when all are acknowledged.

        Raises:
            BusUnavailable: not all could be acknowledged; those that were stay published.
            BusFull: as above, because the stream is full.
            PublishRefused: a message is of a kind that is never taken.

        """
        window = _Window(len(messages))
        prefix = self._inbox + "."
        client, waiting = self._client, self._waiting
        try:
            for place, (subject, body, headers) in enumerate(messages):
                if not client.is_connected:
                    raise BusUnavailable(_GONE)
                token = f"{next(self._numbers):x}"
                window.places[token] = place
                waiting[token] = window
                await client.publish(subject, body, reply=prefix + token, headers=headers)  # type: ignore[arg-type]
                if len(window.places) >= _MOST_OUTSTANDING:
                    await window.shrink_to(_MOST_OUTSTANDING // 2)
            await window.shrink_to(0)
        except MaxPayloadError as problem:
            raise PublishRefused("the message is larger than the bus takes") from problem
        except Error as problem:
            raise BusUnavailable(f"the bus did not take the message: {problem}") from problem
        finally:
            for token in window.places:
                waiting.pop(token, None)
        return window.sequences

    def disconnected(self) -> None:
        """Tell all who wait that the connection is gone: their acknowledgements will never come."""
        for window in set(self._waiting.values()):
            window.fail(BusUnavailable(_GONE))

    async def _on_ack(self, message: Msg) -> None:
        token = message.subject[len(self._inbox) + 1 :]
        window = self._waiting.pop(token, None)
        if window is None:
            return
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            window.fail(
                BusUnavailable(
                    "no stream takes this subject: is JetStream on (nats-server -js), has the server prepared the bus?"
                )
            )
            return
        try:
            ack = _decode_ack(message.data)
        except msgspec.DecodeError as problem:
            window.fail(BusUnavailable(f"the bus answered with what is no acknowledgement: {problem}"))
            return
        if ack.error is not None:
            window.fail(_refusal(ack.error))
        else:
            window.acknowledged(token, ack.seq)


_GONE = "the bus is not connected; events stay with their senders until it is back"


class _Window:
    """Messages of one call that are on their way: what is outstanding, and what came back."""

    __slots__ = ("_below", "_changed", "_failure", "places", "sequences")

    def __init__(self, size: int) -> None:
        self.places: dict[str, int] = {}
        self.sequences = [0] * size
        self._failure: BusUnavailable | PublishRefused | None = None
        self._below = 0
        self._changed: asyncio.Future[None] | None = None

    def acknowledged(self, token: str, sequence: int) -> None:
        self.sequences[self.places.pop(token)] = sequence
        if len(self.places) <= self._below:
            self._wake()

    def fail(self, problem: BusUnavailable | PublishRefused) -> None:
        if self._failure is None:
            self._failure = problem
        self._wake()

    async def shrink_to(self, count: int) -> None:
        """Return when at most ``count`` acknowledgements are outstanding, or raise what went wrong."""
        while self._failure is None and (before := len(self.places)) > count:
            # The wait is for progress, not for the end: a slow disk may take its time over a large window.
            self._below = max(count, before - 500)
            self._changed = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(ACK_SECONDS):
                    await self._changed
            except TimeoutError:
                if len(self.places) == before:
                    raise BusUnavailable(
                        f"the bus has not acknowledged within {ACK_SECONDS:.0f} s: it is overloaded, or its disk is full"
                    ) from None
        if self._failure is not None:
            raise self._failure

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)


class _Problem(msgspec.Struct):
    code: int = 0
    err_code: int = 0
    description: str = ""


class _Ack(msgspec.Struct):
    seq: int = 0
    error: _Problem | None = None


_decode_ack = msgspec.json.Decoder(_Ack).decode


def _refusal(problem: _Problem) -> BusUnavailable | PublishRefused:
    if problem.err_code in _STORE_FULL or "maximum" in problem.description:
        return BusFull(
            f"the bus keeps all that it may ({problem.description}), and somebody has not read it yet: "
            "the event service.lagging names who is behind"
        )
    if problem.err_code in (10054, 10137):
        return PublishRefused(problem.description)
    return BusUnavailable(f"the bus refused the message: {problem.description}")
