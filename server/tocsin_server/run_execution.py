"""One run in a worker's hands: its process, its lease, its end."""

import asyncio
import os
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from tocsin_events.bus import Bus, BusUnavailable, log_subject
from tocsin_events.ending import end_all
from tocsin_events.identity import new_id
from tocsin_events.instant import to_rfc3339
from tocsin_server.run_claims import BUS_TROUBLE, Claim, ClaimLost, RunClaims
from tocsin_server.run_order import RunEvent, RunOrder, encode_order, heartbeat_event, state_event
from tocsin_server.run_process import Ending, RunProcess, child_environment

log = structlog.get_logger(__name__)

_SOURCE: Final = "/workers"
_RETRY: Final = 0.5
_LINES_WAITING: Final = 10_000


class Verdict(StrEnum):
    """How an execution ended, as far as the worker can tell."""

    REPORTED = "reported"
    """The flow's own process told of its end."""
    CRASHED = "crashed"
    """It ended without a word."""
    CANCELLED = "cancelled"
    """Somebody asked for its end."""
    STOPPED = "stopped"
    """The worker is being stopped."""
    LOST = "lost"
    """The claim could not be kept; whoever has it now tells of the run."""


@dataclass(frozen=True)
class ExecutionOptions:
    """Times in seconds; ``environment`` is added to the process's own."""

    worker: str
    lease: float
    heartbeat: float
    kill_grace: float
    environment: dict[str, str]


async def publish(bus: Bus, event: RunEvent) -> None:
    """Publish an event of a run, however long the bus takes to be back."""
    while True:
        try:
            await bus.publish(event.body, type=event.type, key=event.key)
            return
        except BusUnavailable:
            await asyncio.sleep(_RETRY)


class Execution:
    """Executes one attempt of a run, for as long as its claim can be kept."""

    def __init__(
        self,
        bus: Bus,
        claims: RunClaims,
        order: RunOrder,
        claim: Claim,
        options: ExecutionOptions,
    ) -> None:
        self._bus = bus
        self._claims = claims
        self._order = order
        self.claim = claim
        self._options = options
        self._verdict: Verdict | None = None
        self._ending: Ending | None = None
        self._process: RunProcess | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue(_LINES_WAITING)

    async def run(self) -> Verdict:
        """Execute the flow in a process of its own and return how that ended; crashes are told of."""
        order = self._order
        await publish(self._bus, state_event(order, "pending", time=_now(), worker=self._options.worker))
        try:
            self._process = await self._start()
        except OSError as problem:
            await self._tell_of_crash(f"the run's process can't be started: {problem}", ())
            return Verdict.CRASHED
        writer = asyncio.create_task(self._write_lines())
        keepers = [asyncio.create_task(self._keep_claim()), asyncio.create_task(self._beat())]
        try:
            self._ending = await self._process.wait()
        finally:
            await end_all(keepers, patience=2.0)
            await self._lines.put(None)
            await writer
        return await self._judge(self._ending)

    async def stop(self, verdict: Verdict) -> None:
        """End the process; ``verdict`` says why."""
        if self._verdict is None:
            self._verdict = verdict
        if self._process is None:
            return
        if verdict is Verdict.STOPPED and self._order.on_crash == "rerun":
            # On SIGTERM the flow would say that it was cancelled; it shall be executed again elsewhere.
            self._process.signal(signal.SIGKILL)
        else:
            await self._process.terminate(self._options.kill_grace)

    async def _start(self) -> RunProcess:
        order = self._order
        environment = child_environment(
            os.environ, {**self._options.environment, **order.env, "TOCSIN_WORKER": self._options.worker}
        )
        return await RunProcess.start(
            encode_order(order),
            directory=Path(order.flow.path),
            environment=environment,
            listener=self._hear,
        )

    def _hear(self, stream: str, line: str) -> None:
        record = {
            "time": to_rfc3339(_now()),
            "level": "info" if stream == "stdout" else "warning",
            "logger": stream,
            "message": line,
        }
        try:
            self._lines.put_nowait(msgspec.json.encode(record))
        except asyncio.QueueFull:
            return  # the bus can't follow; the flow goes on, and what it printed is lost

    async def _write_lines(self) -> None:
        subject = log_subject(self._order.run_id)
        while (line := await self._lines.get()) is not None:
            try:
                await self._bus.publish_to(subject, line, key=new_id())
            except BusUnavailable as problem:
                log.warning("log-line-lost", run=self._order.run_id, reason=str(problem))

    async def _keep_claim(self) -> None:
        """Renew the claim; kill the run when that has failed for so long that somebody else may soon take it."""
        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            await asyncio.sleep(self._options.lease / 6)
            try:
                self.claim = await self._claims.renew(self.claim)
                renewed = loop.time()
                if self._verdict is None and await self._claims.is_cancelled(self._order.run_id):
                    # Not waited for: the claim is renewed until the process has ended.
                    self._stopping = asyncio.create_task(self.stop(Verdict.CANCELLED))
            except ClaimLost:
                log.warning("claim-lost", run=self._order.run_id)
                self._kill(Verdict.LOST)
            except BUS_TROUBLE as problem:
                log.warning("claim-not-renewed", run=self._order.run_id, reason=str(problem))
                if loop.time() - renewed > self._options.lease / 2:
                    self._kill(Verdict.LOST)

    def _kill(self, verdict: Verdict) -> None:
        self._verdict = self._verdict or verdict
        if self._process is not None:
            self._process.signal(signal.SIGKILL)

    async def _beat(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(self._options.heartbeat)
            number += 1
            worker = self._options.worker
            await publish(
                self._bus,
                heartbeat_event(self._order, number=number, time=_now(), source=_SOURCE, worker=worker),
            )

    async def _judge(self, ending: Ending) -> Verdict:
        if self._verdict is Verdict.LOST:
            return Verdict.LOST
        if ending.reported:
            return Verdict.REPORTED
        if self._verdict is Verdict.CANCELLED:
            await self._tell("cancelled", "cancelled on request", None)
            return Verdict.CANCELLED
        why = (
            "the worker was stopped" if self._verdict is Verdict.STOPPED else "the run's process ended early"
        )
        await self._tell_of_crash(f"{why}: {ending}", ending.last_lines)
        return self._verdict or Verdict.CRASHED

    async def _tell_of_crash(self, message: str, last_lines: tuple[str, ...]) -> None:
        error = {"type": "Crashed", "message": message, "traceback": "\n".join(last_lines)[-4000:]}
        await self._tell("crashed", message, error)

    async def _tell(self, state: str, message: str, error: dict[str, Any] | None) -> None:
        event = state_event(
            self._order, state, time=_now(), message=message, worker=self._options.worker,
            previous="running", error=error,
        )  # fmt: skip
        await publish(self._bus, event)


def _now() -> int:
    return time.time_ns() // 1000
