"""``python -m tocsin.run``: the worker's side of a run, in a process of its own.

It reads the run's order, one JSON object, from standard input (or from a descriptor: ``--fd N``), loads the flow, runs
it under the given identity, and reports every state as events.

Exit codes: 0 completed, 1 failed, crashed or timed out, 2 the flow could not be loaded or the order is none,
143 cancelled (by SIGTERM).
"""

import argparse
import asyncio
import inspect
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from tocsin import emitter
from tocsin.call import RunCancelled
from tocsin.discovery import find_bus, find_server
from tocsin.execution import DRIVERS, Shape
from tocsin.flows import FlowCall
from tocsin.loading import CannotLoad, load_flow
from tocsin.logging import BusHandler, set_up
from tocsin.runs import FlowRun, RunIdentity, new_flow_run
from tocsin.states import State, StateType
from tocsin.traces import format_trace

COMPLETED = 0
FAILED = 1
NOT_LOADED = 2
CANCELLED = 143

_FLUSH_SECONDS = 5.0


class FlowPlace(msgspec.Struct, frozen=True):
    """Where a flow is: ``entrypoint`` in the folder ``path``."""

    entrypoint: str
    name: str = ""
    path: str = "."


class Order(msgspec.Struct, frozen=True):
    """What is to be run. ``deployment``, ``worker`` and ``automation`` are resources, or their names."""

    run_id: str
    flow: FlowPlace
    name: str = ""
    deployment: dict[str, Any] | str | None = None
    worker: dict[str, Any] | str | None = None
    automation: dict[str, Any] | str | None = None
    parameters: dict[str, Any] = {}
    tags: tuple[str, ...] = ()
    attempt: int = 1
    cause: str | None = None
    hops: int = 0
    traceparent: str | None = None
    pool: str | None = None
    queue: str | None = None
    related: tuple[dict[str, Any], ...] = ()

    def identity(self) -> RunIdentity:
        """Return who the run is."""
        related = [
            _resource(kind, given)
            for kind, given in (
                ("deployment", self.deployment),
                ("worker", self.worker or os.environ.get("TOCSIN_WORKER")),
                ("work-pool", self.pool),
                ("work-queue", _queue(self.pool, self.queue)),
                ("automation", self.automation),
            )
            if given
        ]
        return RunIdentity(
            self.run_id,
            self.name or self.run_id,
            attempt=self.attempt,
            tags=self.tags,
            labels=self.deployment.get("labels", {}) if isinstance(self.deployment, dict) else {},
            related=(*related, *self.related),
            cause=self.cause,
            hops=self.hops,
            traceparent=self.traceparent,
            state=State(StateType.PENDING),
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out the order and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tocsin.run", description=__doc__)
    parser.add_argument(
        "--fd", type=int, default=0, help="the descriptor to read the order from (standard input)"
    )
    descriptor = parser.parse_args(arguments).fd
    signal.signal(signal.SIGTERM, _cancel)
    try:
        order = msgspec.json.decode(_read_all(descriptor), type=Order)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        sys.stderr.write(f"this is no order to run a flow: {problem}\n")
        return NOT_LOADED
    except RunCancelled:
        return CANCELLED
    # A worker sends what comes out of this process to the run's page: lines that go there anyway must not come twice.
    set_up(console="TOCSIN_WORKER" not in os.environ or not _reaches_bus())
    # In this process all logging belongs to the run, the user's own loggers', too.
    logging.getLogger().addHandler(_OthersToBus())
    return execute(order)


def execute(order: Order) -> int:
    """Run the flow of an order in this process and return the exit code."""
    identity = order.identity()
    try:
        flow = load_flow(order.flow.entrypoint, Path(order.flow.path))
    except CannotLoad as problem:
        run = _unstarted(order, identity)
        run.logger.error("%s", problem)  # noqa: TRY400 - a user's mistake, not ours: no traceback
        run.enter(State(StateType.FAILED, message=str(problem)), problem.__cause__ or problem)
        return NOT_LOADED
    except RunCancelled as problem:
        _unstarted(order, identity).enter(State(StateType.CANCELLED, message=str(problem)))
        return CANCELLED
    call = flow.begin(order.parameters, identity)
    try:
        _complete(call)
    except BaseException as error:  # noqa: BLE001 - the run's end is told by its state and the exit code
        if not isinstance(error, (RunCancelled, KeyboardInterrupt)):
            call.run.logger.error("%s", format_trace(error))  # noqa: TRY400 - without our frames
    return _exit_code(call.run.state)


def _complete(call: FlowCall) -> None:
    """Carry out the call to its end; generators are exhausted."""
    result = DRIVERS[call.definition.shape](call)
    if inspect.iscoroutine(result):
        asyncio.run(_awaited(result))
    elif inspect.isasyncgen(result):
        asyncio.run(_exhausted(result))
    elif inspect.isgenerator(result) and call.definition.shape is Shape.GENERATOR:
        for _ in result:
            pass


async def _awaited(coroutine: Any) -> Any:
    return await coroutine


async def _exhausted(values: Any) -> None:
    async for _ in values:
        pass


def _exit_code(state: State | None) -> int:
    match state.type if state else None:
        case StateType.COMPLETED | StateType.CACHED:
            return COMPLETED
        case StateType.CANCELLED:
            return CANCELLED
        case _:
            return FAILED


class _OthersToBus(BusHandler):
    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith("tocsin"):
            super().emit(record)


def _reaches_bus() -> bool:
    try:
        return find_bus() is not None or find_server() is not None
    except ValueError:
        return False


def _unstarted(order: Order, identity: RunIdentity) -> FlowRun:
    return new_flow_run(order.flow.name or order.flow.entrypoint, order.parameters, identity=identity)


def _cancel(_number: int, _frame: FrameType | None) -> None:
    # Once is enough: a second signal must not cut off what the first has started.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise RunCancelled("the run was asked to stop (SIGTERM)")


def _read_all(descriptor: int) -> bytes:
    parts = []
    while part := os.read(descriptor, 1 << 16):
        parts.append(part)
    return b"".join(parts)


def _resource(kind: str, given: dict[str, Any] | str) -> dict[str, Any]:
    if isinstance(given, str):
        given = {"id": given, "name": given.rpartition("/")[2]}
    return {"labels": {}, "tags": [], "name": given.get("id", ""), **given, "kind": kind, "role": kind}


def _queue(pool: str | None, queue: str | None) -> str | None:
    return f"{pool}/{queue}" if pool and queue else queue


if __name__ == "__main__":
    code = main()
    emitter.current().carrier.close(_FLUSH_SECONDS)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of a cancelled run may never end; the process does.
    os._exit(code)
