"""The worker: takes runs from a pool's queues and executes each in a process of its own.

An order stays unacknowledged on the bus while its run lasts, and the run is claimed (`run_claims`). Every third of the
lease the claim is renewed and the bus is told that the order is in progress. A worker that can't renew kills its run
before anyone else may take it; a worker that dies leaves an order that the bus hands to another one, which says that
the run crashed, and executes it again where the deployment wants that.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import msgspec
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from tocsin_events.bus import Bus, BusAddress, BusUnavailable, run_subject
from tocsin_events.ending import end
from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id, message_key, new_id
from tocsin_server.run_claims import BUS_TROUBLE, AlreadyEnded, Claim, ClaimLost, HeldByOther, RunClaims
from tocsin_server.run_execution import Execution, ExecutionOptions, Verdict, publish
from tocsin_server.run_order import InvalidOrder, RunOrder, decode_order, state_event, worker_resource

log = structlog.get_logger(__name__)

MOST_ATTEMPTS: Final = 3
"""How often a run is executed at most where its deployment says ``on_crash: rerun``."""

_SOURCE: Final = "/workers"
_PULL_SECONDS: Final = 1.0
_PAUSE: Final = 1.0

OnDead = Callable[[str, str, bytes, Mapping[str, str]], Awaitable[object]]
"""Gets the reason, subject, body and headers of an order that can't be read."""


@dataclass(frozen=True)
class WorkerOptions:
    """How a worker works. Times are in seconds.

    ``environment`` is added to that of every run; it says where the server is. ``grace`` is how long runs may go on
    when the worker is stopped, ``kill_grace`` how long a run has between SIGTERM and SIGKILL.
    """

    pool: str = "default"
    limit: int = 10
    name: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}-{new_id()[-4:]}")
    lease: float = 30.0
    heartbeat: float = 30.0
    grace: float = 30.0
    kill_grace: float = 10.0
    environment: Mapping[str, str] = field(default_factory=dict)


def run_environment(bus: BusAddress, data_dir: str | None) -> dict[str, str]:
    """Return the environment that tells a run's process where the bus is and where events may wait for it."""
    first, *others = bus.servers
    if bus.user is not None:
        scheme, _, host = first.partition("://")
        first = f"{scheme}://{quote(bus.user, safe='')}:{quote(bus.password or '', safe='')}@{host}"
    found = {"TOCSIN_NATS_URL": ",".join((first, *others))}
    return found | ({"TOCSIN_DATA_DIR": data_dir} if data_dir else {})


class WorkerService:
    """A worker; `run` works until it is cancelled or `stop` is called."""

    def __init__(self, bus: Bus, options: WorkerOptions, *, on_dead: OnDead | None = None) -> None:
        self._bus = bus
        self._options = options
        self._on_dead = on_dead
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._executions: set[Execution] = set()

    @property
    def name(self) -> str:
        """The worker's name, as its events carry it."""
        return self._options.name

    def stop(self) -> None:
        """Take no further run, and end when those under way have ended, at the latest after the grace period."""
        self._stopping.set()

    async def run(self) -> None:
        """Execute runs until cancelled or stopped; then let those under way end within the grace period."""
        work = asyncio.create_task(self._work())
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            self.stop()
            await asyncio.gather(work, return_exceptions=True)
            raise

    async def _work(self) -> None:
        claims = await RunClaims.open(self._bus.js)
        await self._tell_of_worker(self._options.name, "started")
        try:
            await self._pull(claims)
        finally:
            await self._drain()
            await self._tell_of_worker(self._options.name, "stopped")

    async def _pull(self, claims: RunClaims) -> None:
        subscription = await _subscribe(self._bus, self._options)
        slots = asyncio.Semaphore(self._options.limit)
        while not self._stopping.is_set():
            await slots.acquire()
            message = await _next(subscription)
            if message is None:
                slots.release()
                continue
            task = asyncio.create_task(self._handle(claims, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            task.add_done_callback(lambda _: slots.release())
        await subscription.unsubscribe()

    async def _drain(self) -> None:
        """Wait for the runs under way; end those that are still there after the grace period."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._options.grace)
        await asyncio.gather(*(one.stop(Verdict.STOPPED) for one in list(self._executions)))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _handle(self, claims: RunClaims, message: Msg) -> None:
        """Take one order to its end; an error leaves it to be handed out again."""
        try:
            order = decode_order(message.data)
        except InvalidOrder as problem:
            if self._on_dead is not None:
                await self._on_dead(str(problem), message.subject, message.data, dict(message.headers or {}))
            log.warning("order-unreadable", subject=message.subject, reason=str(problem))
            await message.term()
            return
        try:
            async with _in_progress(message, self._options.lease / 6):
                again = await self._take(claims, order, message)
            await (message.nak(delay=again) if again is not None else message.ack_sync())
        except (*BUS_TROUBLE, ClaimLost) as problem:
            log.warning("order-left-to-the-bus", run=order.run_id, reason=repr(problem))
        except Exception:
            log.exception("run-failed-in-worker", run=order.run_id)
            with contextlib.suppress(*BUS_TROUBLE):
                await message.nak(delay=self._options.lease)

    async def _take(self, claims: RunClaims, order: RunOrder, message: Msg) -> float | None:
        """Claim and execute a run; return in how many seconds the order shall come again, None for never."""
        try:
            claim = await claims.claim(order.run_id, order.attempt, self.name)
        except AlreadyEnded:
            return None
        except HeldByOther as held:
            found = held.claim
            order = msgspec.structs.replace(order, attempt=found.attempt)
            # An order comes again when nobody was in progress with it for the whole lease: its holder is gone.
            redelivered = message.metadata.num_delivered > 1 and found.worker != self.name
            if not redelivered and not await claims.is_abandoned(found, lease=self._options.lease):
                return self._options.lease
            claim = await claims.take_over(found, found.attempt, self.name)
            if not found.worker:
                verdict = Verdict.STOPPED
            else:
                await self._tell_of_lost(order, found.worker)
                verdict = Verdict.CRASHED
            return await self._after(claims, order, claim, verdict)
        if await claims.is_cancelled(order.run_id):
            await self._tell_of_cancelled(order)
            await claims.end(claim)
            return None
        return await self._execute(claims, order, claim)

    async def _execute(self, claims: RunClaims, order: RunOrder, claim: Claim) -> float | None:
        options = self._options
        execution = Execution(
            self._bus, claims, order, claim,
            ExecutionOptions(
                options.name, options.lease, options.heartbeat, options.kill_grace, dict(options.environment)
            ),
        )  # fmt: skip
        self._executions.add(execution)
        try:
            verdict = await execution.run()
        finally:
            self._executions.discard(execution)
        return await self._after(claims, order, execution.claim, verdict)

    async def _after(
        self, claims: RunClaims, order: RunOrder, claim: Claim, verdict: Verdict
    ) -> float | None:
        """Settle an attempt that is over: for good, or by a further one."""
        if verdict is Verdict.LOST:
            return self._options.lease
        crashed = verdict in (Verdict.CRASHED, Verdict.STOPPED)
        if not (crashed and order.on_crash == "rerun" and order.attempt < MOST_ATTEMPTS):
            await claims.end(claim)
            return None
        if self._stopping.is_set():
            await claims.release(claim)
            return 0.0
        if await claims.is_cancelled(order.run_id):
            await self._tell_of_cancelled(order)
            await claims.end(claim)
            return None
        order = msgspec.structs.replace(order, attempt=order.attempt + 1)
        claim = await claims.take_over(claim, order.attempt, self.name)
        return await self._execute(claims, order, claim)

    async def _tell_of_lost(self, order: RunOrder, worker: str) -> None:
        why = f"its worker {worker} was lost"
        error = {"type": "WorkerLost", "message": why, "traceback": ""}
        event = state_event(
            order, "crashed", time=_now(), message=why, worker=worker, previous="running", error=error
        )
        await publish(self._bus, event)
        await self._tell_of_worker(worker, "lost")

    async def _tell_of_cancelled(self, order: RunOrder) -> None:
        event = state_event(
            order, "cancelled", time=_now(), message="cancelled on request", previous="cancelling"
        )
        await publish(self._bus, event)

    async def _tell_of_worker(self, worker: str, what: str) -> None:
        pool = {
            "kind": "work-pool",
            "id": self._options.pool,
            "name": self._options.pool,
            "role": "work-pool",
        }
        id_ = derived_id("worker", worker, what)
        type_ = f"worker.{what}"
        body = encode_event(
            id=id_,
            type=type_,
            source=_SOURCE,
            time=_now(),
            resource=worker_resource(worker),
            related=[pool],
            payload={"limit": self._options.limit},
        )
        try:
            await self._bus.publish(body, type=type_, key=message_key(_SOURCE, id_))
        except BusUnavailable as problem:
            log.warning("worker-not-announced", what=what, reason=str(problem))


async def _subscribe(bus: Bus, options: WorkerOptions) -> JetStreamContext.PullSubscription:
    """Return the subscription that all workers of a pool share."""
    durable = f"worker-{options.pool}"
    config = ConsumerConfig(
        durable_name=durable,
        filter_subject=run_subject(options.pool, "_").rpartition(".")[0] + ".*",
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=options.lease,
        max_ack_pending=10_000,
        max_deliver=-1,
    )
    await bus.js.add_consumer("RUNS", config)
    return await bus.js.pull_subscribe_bind(durable, "RUNS")


async def _next(subscription: JetStreamContext.PullSubscription) -> Msg | None:
    """Return the next order, None where none came in a second."""
    try:
        return (await subscription.fetch(1, timeout=_PULL_SECONDS))[0]
    except TimeoutError:
        return None
    except BUS_TROUBLE as problem:
        log.warning("worker-waits-for-bus", reason=repr(problem))
        await asyncio.sleep(_PAUSE)
        return None


@contextlib.asynccontextmanager
async def _in_progress(message: Msg, every: float) -> AsyncIterator[None]:
    """Tell the bus, again and again, that an order is being worked on."""

    async def tell() -> None:
        while True:
            await asyncio.sleep(every)
            with contextlib.suppress(*BUS_TROUBLE):
                await message.in_progress()

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        await end(task)


def _now() -> int:
    return time.time_ns() // 1000
