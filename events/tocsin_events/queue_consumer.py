"""Working through a stream: a durable consumer whose messages are acknowledged when their effect is done."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Literal

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import Error as JetStreamError

from tocsin_events.ending import end, end_all
from tocsin_events.pull import Pull, arrival

_log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 0.25
_LONGEST_DELAY: Final = 60.0


class Retry(Exception):  # noqa: N818 - it says what is wanted
    """What a handler raises to get its message again, ``after`` seconds from now."""

    def __init__(self, after: float, reason: str = "") -> None:
        super().__init__(reason or f"to be tried again in {after:g} s")
        self.after = after


class Poison(Exception):  # noqa: N818 - it names what was found
    """What a handler raises for a message that no further attempt can save; it goes to the dead letters at once."""


@dataclass(frozen=True, slots=True)
class Work:
    """A message to be worked on; ``attempt`` counts from 1, ``received`` is in microseconds."""

    stream: str
    subject: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    sequence: int = 0
    attempt: int = 1
    received: int = 0


@dataclass(frozen=True, slots=True)
class DeadWork:
    """A message that was given up, and why."""

    work: Work
    reason: str


Handler = Callable[[Work], Awaitable[None]]
OnDead = Callable[[DeadWork], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Terms:
    """How a queue is worked through.

    ``concurrency`` messages at a time; a message whose handler's process dies comes again after ``ack_wait``
    seconds. After ``max_deliver`` attempts (None: never) a message goes to ``on_dead``, and is only then removed;
    without ``on_dead`` nothing is ever given up. ``first`` is where a durable that is new begins.
    """

    concurrency: int = 1
    ack_wait: float = 30.0
    max_deliver: int | None = 5
    on_dead: OnDead | None = None
    first: Literal["all", "new"] = "all"


class QueueConsumer:
    """Works through the messages of some subjects of a stream, until it is cancelled."""

    def __init__(
        self,
        client: Client,
        js: JetStreamContext,
        stream: str,
        durable: str,
        subjects: Sequence[str],
        handler: Handler,
        terms: Terms,
    ) -> None:
        self._client, self._js = client, js
        self._stream, self._durable, self._subjects = stream, durable, list(subjects)
        self._handler, self._terms = handler, terms
        self._pull: Pull | None = None
        self._tasks: dict[asyncio.Task[None], Msg] = {}

    async def run(self) -> None:
        """Work until cancelled; then the handlers that are running are cancelled, and their messages come again."""
        alive = asyncio.create_task(self._keep_alive(), name=f"{self._durable}-alive")
        try:
            while True:
                pull = await self._ready()
                if pull is None:
                    continue
                for message in await pull.take(5.0):
                    task = asyncio.create_task(self._work(message), name=f"{self._durable}")
                    self._tasks[task] = message
                    task.add_done_callback(self._done)
        finally:
            try:
                # First the ear, then the handlers: what they give back must not be sent to us once more.
                if self._pull is not None:
                    await self._pull.close()
                await end_all(tuple(self._tasks), patience=None)
            finally:
                await end(alive)

    def connection_changed(self) -> None:
        """Ask anew: the connection was lost or is back."""
        if self._pull is not None:
            self._pull.lose("the connection changed")

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.pop(task, None)
        if self._pull is not None:
            self._pull.wake()

    async def _ready(self) -> Pull | None:
        pull = self._pull
        if pull is not None and pull.lost is not None:
            await pull.close()
            pull = self._pull = None
        try:
            if pull is None:
                if not self._client.is_connected:
                    await asyncio.sleep(_RETRY_SECONDS)
                    return None
                pull = await self._open()
            free = self._terms.concurrency - len(self._tasks) - pull.outstanding
            if free > 0:
                await pull.request(free)
        except (Error, JetStreamError, OSError) as problem:
            _log.warning("working through %s is interrupted: %s", self._stream, problem)
            if pull is not None:
                pull.lose(str(problem))
            await asyncio.sleep(_RETRY_SECONDS)
            return None
        return pull

    async def _open(self) -> Pull:
        config = ConsumerConfig(
            name=self._durable,
            durable_name=self._durable,
            deliver_policy=DeliverPolicy.ALL if self._terms.first == "all" else DeliverPolicy.NEW,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._terms.ack_wait,
            # Attempts are counted here: JetStream would leave a message that had its last one lying in the stream.
            max_deliver=-1,
            max_ack_pending=max(1000, self._terms.concurrency * 4),
            filter_subjects=self._subjects if len(self._subjects) > 1 else None,
            filter_subject=self._subjects[0] if len(self._subjects) == 1 else None,
        )
        await self._js.add_consumer(self._stream, config)
        pull = Pull(self._client, self._stream, self._durable)
        await pull.open()
        self._pull = pull
        return pull

    async def _work(self, message: Msg) -> None:
        meta = message.metadata
        work = Work(
            stream=self._stream,
            subject=message.subject,
            body=message.data,
            headers=message.headers or {},
            sequence=meta.sequence.stream,
            attempt=meta.num_delivered,
            received=arrival(message.reply),
        )
        limit = self._terms.max_deliver
        try:
            if limit is not None and work.attempt > 2 * limit:
                # Attempts that a stop of the service cut short do not count as failures; a message that kills its
                # process again and again does.
                await self._bury(message, work, f"{work.attempt - 1} attempts ended without an answer")
                return
            await self._handler(work)
            await self._answer(message.ack())
        except asyncio.CancelledError:
            with suppress(Error, OSError):
                await message.nak()
            raise
        except Poison as poison:
            await self._bury(message, work, str(poison))
        except Retry as again:
            await self._fail(message, work, again, again.after)
        except Exception as problem:  # noqa: BLE001 - whatever a handler does, its message is not lost
            _log.exception(
                "%s could not work on message %d of %s", self._durable, work.sequence, self._stream
            )
            await self._fail(message, work, problem, min(2.0 ** (work.attempt - 1), _LONGEST_DELAY))

    async def _fail(self, message: Msg, work: Work, problem: Exception, delay: float) -> None:
        limit = self._terms.max_deliver
        if limit is not None and work.attempt >= limit:
            await self._bury(message, work, f"{type(problem).__name__}: {problem}, at attempt {work.attempt}")
        else:
            await self._answer(message.nak(delay=delay))

    async def _bury(self, message: Msg, work: Work, reason: str) -> None:
        try:
            if self._terms.on_dead is None:
                await self._answer(message.nak(delay=_LONGEST_DELAY))
                return
            await self._terms.on_dead(DeadWork(work, reason))
        except Exception:  # noqa: BLE001 - a database that is down must not cost the message
            _log.exception("a dead letter of %s could not be kept; it comes again", self._stream)
            await self._answer(message.nak(delay=5.0))
            return
        await self._answer(message.term())

    async def _keep_alive(self) -> None:
        """Say of every message under way that it is, often enough that none is sent to anybody else."""
        while True:
            await asyncio.sleep(self._terms.ack_wait / 3)
            for task, message in tuple(self._tasks.items()):
                if not task.done():
                    await self._answer(message.in_progress())

    async def _answer(self, sending: Awaitable[None]) -> None:
        """Send an acknowledgement; one that is lost only makes the message come again."""
        try:
            await sending
        except (Error, OSError) as problem:
            _log.warning("an acknowledgement on %s was not sent: %s", self._stream, problem)
