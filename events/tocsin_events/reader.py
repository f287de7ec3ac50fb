"""Reading `EVENTS` in order, each message once, from a given place on; no acknowledgements.

A reader is an ephemeral pull consumer. When it is lost (the connection, the server, a gap in its numbers), another
one goes on after the last message that was handed over, so that whoever iterates sees neither gaps nor doubles.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo
from nats.js.errors import Error as JetStreamError

from tocsin_events.pull import Pull, numbers

_log = logging.getLogger(__name__)

_FORGOTTEN_AFTER: Final = 60.0
_RETRY_SECONDS: Final = 0.25


class Delivered(msgspec.Struct, frozen=True, gc=False):
    """A message from a stream: its sequence, its arrival at the bus in microseconds, and what it carries."""

    sequence: int
    received: int
    subject: str
    body: bytes
    headers: dict[str, str] | None = None


class GapFound(RuntimeError):  # noqa: N818 - it names what was found
    """Messages that were to be read are no longer on the bus; the message says which, and what to do."""


class Reader:
    """Reads one stream in order from ``start`` on.

    ``start`` is a sequence (exactly that message must still be there), 0 for the oldest that is kept, or None for
    what comes from now on.
    """

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        stream: str,
        filters: Sequence[str],
        start: int | None,
        batch: int,
    ) -> None:
        self._client, self._js = client, js
        self._stream, self._filters, self._batch = stream, list(filters), batch
        self._next = start
        self._pull: Pull | None = None
        self._consumer = ""
        self._consumed = 0

    async def batches(self, heartbeat: float) -> AsyncIterator[list[Delivered]]:
        """Yield what has come, at once, and an empty list when nothing came for ``heartbeat`` seconds.

        Raises:
            GapFound: a message that was to be read is gone.

        """
        loop = asyncio.get_running_loop()
        try:
            while True:
                deadline = loop.time() + heartbeat
                messages: list[Delivered] = []
                while not messages and (left := deadline - loop.time()) > 0:
                    pull = await self._ready(left)
                    if pull is not None:
                        messages = self._accept(pull, await pull.take(left))
                yield messages
        finally:
            await self._drop()

    def connection_changed(self) -> None:
        """Go on with a new consumer: the connection was lost or is back."""
        if self._pull is not None:
            self._pull.lose("the connection changed")

    async def _ready(self, patience: float) -> Pull | None:
        """Return a subscription with requests outstanding, or None after a moment without one."""
        pull = self._pull
        if pull is not None and pull.lost is not None:
            _log.info("reading %s goes on after sequence %s: %s", self._stream, self._next, pull.lost)
            await self._drop()
            pull = None
        try:
            if pull is None:
                if not self._client.is_connected:
                    await asyncio.sleep(min(_RETRY_SECONDS, patience))
                    return None
                pull = await self._open()
            if pull.outstanding <= self._batch:
                await pull.request(self._batch)
        except (Error, JetStreamError, OSError) as problem:
            _log.warning("reading %s is interrupted: %s", self._stream, problem)
            await asyncio.sleep(min(_RETRY_SECONDS, patience))
            return None
        return pull

    async def _open(self) -> Pull:
        info = await self._js.stream_info(self._stream)
        policy, first = self._place(info)
        config = ConsumerConfig(
            deliver_policy=policy,
            opt_start_seq=first,
            ack_policy=AckPolicy.NONE,
            filter_subjects=self._filters if len(self._filters) > 1 else None,
            filter_subject=self._filters[0] if len(self._filters) == 1 else None,
            inactive_threshold=_FORGOTTEN_AFTER,
            mem_storage=True,
            num_replicas=1,
        )
        made = await self._js.add_consumer(self._stream, config)
        pull = Pull(self._client, self._stream, made.name)
        await pull.open()
        self._pull, self._consumer, self._consumed = pull, made.name, 0
        return pull

    def _place(self, info: StreamInfo) -> tuple[DeliverPolicy, int | None]:
        first, last = info.state.first_seq, info.state.last_seq
        match self._next:
            case None:
                self._next = last + 1
            case 0:
                self._next = max(first, 1)
            case wanted if wanted < first:
                raise GapFound(
                    f"the bus no longer has the messages {wanted} to {first - 1} of {self._stream}, which were not read "
                    "yet: restore the bus's data folder; or accept the loss, and start once with --accept-gap. "
                    f"The oldest message that is left is {first}"
                )
            case wanted if wanted > last + 1:
                raise GapFound(
                    f"{self._stream} on the bus ends at {last}, yet {wanted - 1} was read before: the bus's data was "
                    "replaced or restored from an older copy. Restore the newer data, or remove the stream "
                    f"(`nats stream rm {self._stream}`) so that it starts anew after what was read"
                )
        return DeliverPolicy.BY_START_SEQUENCE, self._next

    def _accept(self, pull: Pull, messages: list[Msg]) -> list[Delivered]:
        accepted = []
        for message in messages:
            sequence, number, nanoseconds = numbers(message.reply)
            if number != self._consumed + 1:
                pull.lose(f"message {self._consumed + 1} of the consumer did not arrive")
                break
            self._consumed = number
            accepted.append(
                Delivered(sequence, nanoseconds // 1000, message.subject, message.data, message.headers)
            )
        if accepted:
            self._next = accepted[-1].sequence + 1
        return accepted

    async def _drop(self) -> None:
        pull, self._pull = self._pull, None
        if pull is None:
            return
        await pull.close()
        if self._client.is_connected:
            with contextlib.suppress(Error, JetStreamError, OSError):
                await self._client.publish(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}", b"")
