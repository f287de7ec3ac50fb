"""The threads of a flow run, and the tasks that were submitted to them.

A task whose arguments hold futures is handed to a thread only when those are done, so that no thread waits for one.
"""

import contextvars
import sys
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_futures
from functools import cache
from typing import TYPE_CHECKING, Any

from tocsin.call import Call
from tocsin.execution import DRIVERS, Shape
from tocsin.futures import TaskFuture, enter_pool
from tocsin.runs import FlowRun, TaskRun

if TYPE_CHECKING:
    import asyncio

_WORKERS_OUTSIDE_OF_FLOWS = 16


class TaskPool:
    """The threads and submitted tasks of one flow run."""

    def __init__(self, workers: int, *, settles: bool = True) -> None:
        self._workers = workers
        # Outside of flows nobody waits for all tasks at the end, and nothing of them is to be kept.
        self._settles = settles
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._futures: list[TaskFuture[Any]] = []
        self._loop_tasks: set[asyncio.Task[Any]] = set()

    def submit(self, call: Call, shape: Shape, waits: Sequence[TaskFuture[Any]]) -> TaskFuture[Any]:
        """Start a call when the futures it waits for are done."""
        assert isinstance(call.run, TaskRun)
        future: TaskFuture[Any] = TaskFuture(call.run, waits)
        if self._settles:
            self._futures.append(future)
        if shape in (Shape.ASYNC, Shape.ASYNC_GENERATOR) and (loop := _running_loop()) is not None:
            self._submit_to_loop(loop, future, call, shape)
            return future
        context = contextvars.copy_context()
        context.run(enter_pool)
        future.start_with(lambda: context.run(_WORK[shape], call))
        _when_done(waits, lambda: self._hand_over(future))
        return future

    def settle(self) -> None:
        """Wait until all have ended; tasks that they submit meanwhile, too."""
        for future in self._each():
            future.help()
            wait_for_futures([future.done_future])
        self._close()

    async def settle_async(self) -> None:
        """Wait until all have ended, without blocking the event loop."""
        import asyncio

        for future in self._each():
            await asyncio.wait([asyncio.wrap_future(future.done_future)])
        self._close()

    def raise_unhandled(self) -> None:
        """Raise the error of the first task that failed and that nobody looked at."""
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.was_looked_at and future.done_future.exception() is not None:
                future.result()

    def abandon(self) -> None:
        """Cancel what has not begun, and don't wait for the rest."""
        for future in self._futures:
            future.cancel_unless_begun()
        for task in tuple(self._loop_tasks):
            task.cancel()
        self._futures = []
        self._close()

    def _each(self) -> Generator[TaskFuture[Any], None, None]:
        number = 0
        while number < len(self._futures):
            yield self._futures[number]
            number += 1

    def _hand_over(self, future: TaskFuture[Any]) -> None:
        try:
            with self._lock:
                if self._executor is None:
                    self._executor = ThreadPoolExecutor(self._workers, thread_name_prefix="tocsin-task")
                self._executor.submit(future.perform)
        except RuntimeError:  # the interpreter is about to end and takes no more work
            future.cancel_unless_begun()

    def _submit_to_loop(
        self, loop: "asyncio.AbstractEventLoop", future: TaskFuture[Any], call: Call, shape: Shape
    ) -> None:
        future.claim()
        future.runs_on_loop = True  # type: ignore[attr-defined]
        work = _collect(call) if shape is Shape.ASYNC_GENERATOR else DRIVERS[shape](call)
        task: asyncio.Task[Any] = loop.create_task(work)
        # Also outside of flows: the event loop itself holds tasks only weakly.
        self._loop_tasks.add(task)
        task.add_done_callback(self._loop_tasks.discard)

        def ended(task: "asyncio.Task[Any]") -> None:
            if task.cancelled():
                future.fail(CancelledError(f"{future.name} was cancelled"))
            elif (error := task.exception()) is not None:
                future.fail(error)
            else:
                future.done_future.set_result(task.result())

        task.add_done_callback(ended)

    def _close(self) -> None:
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False)


def pool_of(flow_run: FlowRun | None) -> TaskPool:
    """Return the pool of a flow run; outside of flows, the process's."""
    if flow_run is None:
        return _pool_outside_of_flows()
    if flow_run.pool is None:
        flow_run.pool = TaskPool(flow_run.max_workers)
    return flow_run.pool


@cache
def _pool_outside_of_flows() -> TaskPool:
    return TaskPool(_WORKERS_OUTSIDE_OF_FLOWS, settles=False)


def _when_done(futures: Sequence[TaskFuture[Any]], then: Callable[[], None]) -> None:
    """Call ``then`` once, when all futures have ended; at once if there are none."""
    lock = threading.Lock()
    left = len(futures)
    if not left:
        then()
        return

    def one_less(_: Future[Any]) -> None:
        nonlocal left
        with lock:
            left -= 1
            is_last = left == 0
        if is_last:
            then()

    for future in futures:
        future.done_future.add_done_callback(one_less)


def _running_loop() -> "asyncio.AbstractEventLoop | None":
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return None
    try:
        return asyncio.get_running_loop()  # type: ignore[no-any-return]
    except RuntimeError:
        return None


async def _collect(call: Call) -> list[Any]:
    return [value async for value in DRIVERS[Shape.ASYNC_GENERATOR](call)]


def _run_coroutine(call: Call) -> Any:
    import asyncio

    return asyncio.run(DRIVERS[Shape.ASYNC](call))


def _run_async_generator(call: Call) -> list[Any]:
    import asyncio

    return asyncio.run(_collect(call))


_WORK: dict[Shape, Callable[[Call], Any]] = {
    Shape.SYNC: DRIVERS[Shape.SYNC],
    Shape.ASYNC: _run_coroutine,
    Shape.GENERATOR: lambda call: list(DRIVERS[Shape.GENERATOR](call)),
    Shape.ASYNC_GENERATOR: _run_async_generator,
}
