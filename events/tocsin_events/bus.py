"""The bus: NATS JetStream through FastStream's broker, with our own hot paths on its connection.

`Bus.connect` gives a connected bus, `Bus.prepare` makes the streams of `tocsin_events.streams`. Publishing returns when
JetStream has acknowledged; reading `EVENTS` is in order; work queues acknowledge after the effect.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, Self

import nats.errors
from faststream.nats import NatsBroker
from faststream.security import SASLPlaintext
from nats.aio.client import Client
from nats.js import JetStreamContext

from tocsin_events.address import BusAddress
from tocsin_events.prepare import BusNotUsable, prepare_streams
from tocsin_events.publish import BusFull, BusUnavailable, Outgoing, Publisher, PublishRefused
from tocsin_events.queue_consumer import DeadWork, Handler, OnDead, Poison, QueueConsumer, Retry, Terms, Work
from tocsin_events.reader import Delivered, GapFound, Reader
from tocsin_events.stream_state import (
    StreamState,
    durable_positions,
    first_arrived_at,
    stored_message,
    stream_state,
)
from tocsin_events.streams import (
    EVENTS,
    StreamLimits,
    action_subject,
    delivery_subject,
    event_filters,
    event_subject,
    event_type,
    log_subject,
    run_subject,
)

__all__ = [
    "Bus", "BusAddress", "BusFull", "BusNotUsable", "BusUnavailable", "DeadWork", "Delivered", "GapFound", "Poison",
    "PublishRefused", "Retry", "StreamLimits", "StreamState", "Work", "action_subject", "delivery_subject",
    "event_subject", "event_type", "log_subject", "run_subject",
]  # fmt: skip

_log = logging.getLogger(__name__)

_CONNECT_SECONDS: Final = 5.0
_RECONNECT_SECONDS: Final = 0.1
_MESSAGE_ID: Final = "Nats-Msg-Id"


class Bus:
    """One connection to the bus; it comes back by itself whenever it is lost."""

    def __init__(self, broker: NatsBroker, client: Client, errors: "_Errors") -> None:
        self.broker: Final = broker
        """FastStream's broker, for subscribers of low rate and the AsyncAPI document."""
        self.client: Final = client
        """The nats-py client that the broker connected."""
        self.js: Final[JetStreamContext] = client.jetstream(timeout=_CONNECT_SECONDS)
        """nats-py's JetStream context."""
        self._publisher = Publisher(client)
        self._listeners: set[Reader | QueueConsumer] = set()
        self._closing = False
        errors.bus = self

    @classmethod
    async def connect(cls, address: BusAddress, *, name: str = "tocsin") -> Self:
        """Return a bus that is connected.

        Raises:
            BusUnavailable: there is no NATS server at the address, or it does not let us in.

        """
        errors = _Errors()
        broker = NatsBroker(
            address.servers,
            name=name,
            security=SASLPlaintext(username=address.user, password=address.password or "")
            if address.user is not None
            else None,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_SECONDS,  # type: ignore[arg-type] # asyncio.sleep takes it
            connect_timeout=2,
            ping_interval=10,
            error_cb=errors.on_error,
            disconnected_cb=errors.on_disconnected,
            reconnected_cb=errors.on_reconnected,
            closed_cb=errors.on_closed,
            logger=None,
        )
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                client = await broker.connect()
        except (TimeoutError, nats.errors.Error, OSError) as problem:
            reason = errors.last or problem
            raise BusUnavailable(
                f"no connection to the NATS server at {address.url} ({_plain(reason)}): is it running, "
                "and are the address, user and password right?"
            ) from None
        # From now on no error may end the attempts to reconnect, as FastStream's own callback would have some do.
        client._error_cb = errors.on_error
        bus = cls(broker, client, errors)
        await bus._publisher.open()
        return bus

    async def close(self) -> None:
        """End the connection; what was published without acknowledgement is not waited for."""
        self._closing = True
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self.broker.stop()
        except (TimeoutError, nats.errors.Error, OSError):
            with contextlib.suppress(nats.errors.Error, OSError):
                await self.client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether the connection stands right now."""
        return self.client.is_connected

    async def prepare(self, limits: StreamLimits | None = None, *, after: int = 0) -> None:
        """Make the streams, or bring those that are there up to date.

        ``after`` is the last sequence of `EVENTS` that the log knows: a stream that has to be made anew starts behind
        it, so that a sequence never means two events.

        Raises:
            BusNotUsable: the server has no JetStream, no room, or streams of its own in our way.
            BusUnavailable: the connection is gone.

        """
        await prepare_streams(self.js, limits or StreamLimits(), after=after)

    # -- publishing ------------------------------------------------------------------------------------------------

    async def publish(self, body: bytes, *, type: str, key: str) -> int:  # noqa: A002 - the event's own word
        """Publish an event and return its stream sequence when JetStream has it.

        ``key`` is what makes it unique (`tocsin_events.identity.message_key`): published twice within ten minutes, it
        is kept once.

        Raises:
            BusUnavailable: the bus did not take it, now; `BusFull` if it has no room.
            PublishRefused: it never will.

        """
        return (await self._publisher.publish([(_subject(type), body, {_MESSAGE_ID: key})]))[0]

    async def publish_many(self, events: Sequence[tuple[str, str, bytes]]) -> list[int]:
        """Publish events, each ``(type, key, body)``, in order; return their sequences when all are acknowledged.

        Raises:
            BusUnavailable: not all were acknowledged. Publish all of them again: none will be there twice.
            PublishRefused: one of them is never taken.

        """
        return await self._publisher.publish(
            [(_subject(type_), body, {_MESSAGE_ID: key}) for type_, key, body in events]
        )

    async def publish_to(
        self, subject: str, body: bytes, *, key: str, headers: Mapping[str, str] | None = None
    ) -> int:
        """Publish a message to another stream's subject (runs, deliveries, logs); else as `publish`."""
        return (await self._publisher.publish([(subject, body, {**(headers or {}), _MESSAGE_ID: key})]))[0]

    async def publish_all_to(self, messages: Sequence[Outgoing]) -> list[int]:
        """Publish many messages, each ``(subject, body, headers)``, as `publish_many` does."""
        return await self._publisher.publish(messages)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read_events(
        self,
        start_sequence: int | None,
        *,
        patterns: Iterable[str] | None = None,
        batch: int = 500,
        heartbeat: float = 1.0,
    ) -> AsyncIterator[list[Delivered]]:
        """Yield events in order, each once: what has come, at once; an empty list after ``heartbeat`` quiet seconds.

        ``start_sequence`` is the first sequence to be read, which must still be on the bus; 0 is the oldest kept, None
        what comes from now on. ``patterns`` spares the others the way where the bus can tell them apart; the caller
        checks the type all the same. Outages end by themselves.

        Raises:
            GapFound: messages that were to be read are gone (while iterating).

        """
        return self.read(
            EVENTS, event_filters(patterns or ()), start_sequence, batch=batch, heartbeat=heartbeat
        )

    async def read(
        self,
        stream: str,
        subjects: Sequence[str],
        start_sequence: int | None,
        *,
        batch: int = 500,
        heartbeat: float = 1.0,
    ) -> AsyncIterator[list[Delivered]]:
        """Read subjects of any stream as `read_events` does; no subjects means all."""
        reader = Reader(self.client, self.js, stream, subjects, start_sequence, batch)
        self._listeners.add(reader)
        batches = reader.batches(heartbeat)
        try:
            async for messages in batches:
                yield messages
        finally:
            self._listeners.discard(reader)
            await batches.aclose()  # type: ignore[attr-defined]

    async def consume(
        self,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        handler: Handler,
        *,
        concurrency: int = 1,
        ack_wait: float = 30.0,
        max_deliver: int | None = 5,
        on_dead: OnDead | None = None,
        first: Any = "all",
    ) -> None:
        """Work through a stream until cancelled; see `tocsin_events.queue_consumer.Terms`.

        A message is acknowledged when the handler returned. `Retry` brings it back later, `Poison` sends it to
        ``on_dead`` at once, any other exception brings it back after 1, 2, 4… seconds, until ``max_deliver``.
        """
        terms = Terms(concurrency, ack_wait, max_deliver, on_dead, first)
        consumer = QueueConsumer(self.client, self.js, stream, durable, subjects, handler, terms)
        self._listeners.add(consumer)
        try:
            await consumer.run()
        finally:
            self._listeners.discard(consumer)

    # -- looking after streams -------------------------------------------------------------------------------------

    async def state(self, stream: str = EVENTS) -> StreamState:
        """Return what a stream holds; see `tocsin_events.stream_state` for this and the next three.

        Raises:
            BusUnavailable: the bus can't say.

        """
        return await stream_state(self.js, stream)

    async def message(self, sequence: int, stream: str = EVENTS) -> bytes | None:
        """Return the body of a message by its sequence; None if it is not kept."""
        found = await stored_message(self.js, stream, sequence)
        return None if found is None else found.data or b""

    async def first_arrived_at(self, state: StreamState, moment: int, stream: str = EVENTS) -> int:
        """Return the first sequence that arrived at or after a moment (microseconds)."""
        return await first_arrived_at(self.js, stream, state, moment)

    async def durable_positions(self, state: StreamState, stream: str = EVENTS) -> dict[str, int]:
        """Return up to which sequence each durable consumer is done."""
        return await durable_positions(self.js, stream, state.last)

    async def remove_before(self, sequence: int, stream: str = EVENTS) -> None:
        """Remove the messages of a stream before a sequence.

        Raises:
            BusUnavailable: the bus did not do it.

        """
        try:
            await self.js.purge_stream(stream, seq=sequence)
        except (nats.errors.Error, OSError) as problem:
            raise BusUnavailable(f"the bus can't trim {stream}: {_plain(problem)}") from problem

    def _connection_lost(self) -> None:
        self._publisher.disconnected()
        self._connection_changed("the connection to the bus is lost; trying to get it back")

    def _connection_changed(self, said: str) -> None:
        if not self._closing:
            _log.warning(said)
        for listener in self._listeners:
            listener.connection_changed()


class _Errors:
    """What the connection says about itself, from before there is a `Bus` on."""

    def __init__(self) -> None:
        self.last: Exception | None = None
        self.bus: Bus | None = None

    async def on_error(self, problem: Exception) -> None:
        if str(problem):
            self.last = problem
        _log.debug("bus connection: %s", _plain(problem))

    async def on_disconnected(self) -> None:
        if self.bus is not None:
            self.bus._connection_lost()

    async def on_closed(self) -> None:
        if self.bus is not None and not self.bus._closing:
            _log.error(
                "the bus ended the connection for good (%s): restart the service",
                _plain(self.last or OSError()),
            )

    async def on_reconnected(self) -> None:
        if self.bus is not None:
            self.bus._connection_changed("the connection to the bus is back")


def _subject(type_: str) -> str:
    try:
        return event_subject(type_)
    except ValueError as problem:
        raise PublishRefused(str(problem)) from problem


def _plain(problem: BaseException) -> str:
    return str(problem).removeprefix("nats: ").strip("'") or type(problem).__name__
