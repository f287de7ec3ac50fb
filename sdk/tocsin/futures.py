"""Tasks in the background: futures, and the threads of a flow run.

A task whose arguments hold futures is handed to a thread only when those are done, and a task that waits for one that
no thread has taken yet runs it itself. So tasks may submit tasks and wait for them without running out of threads.
"""

import contextvars
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for_futures
from contextlib import suppress
from typing import Any, Generic, TypeVar

from tocsin.runs import TaskRun
from tocsin.states import State, StateType

R = TypeVar("R")

_WORKERS_OUTSIDE_OF_FLOWS = 16
_in_pool: contextvars.ContextVar[bool] = contextvars.ContextVar("tocsin_in_pool", default=False)


class TaskFuture(Generic[R]):
    """A task that was submitted. ``await`` it in coroutines; elsewhere ask for its `result`.

    A failure that nobody looked at (`result`, `exception`, `state`, ``await``) fails the flow.
    """

    def __init__(self, run: TaskRun, waits: "Sequence[TaskFuture[Any]]" = ()) -> None:
        self.run = run
        self.was_looked_at = False
        self.done_future: Future[R] = Future()
        self._waits = waits
        self._lock = threading.Lock()
        self._is_claimed = False
        self._work: Callable[[], R] | None = None

    @property
    def name(self) -> str:
        """The name of the task run."""
        return self.run.name

    @property
    def state(self) -> State | None:
        """The state of the task run now."""
        self.was_looked_at = True
        return self.run.state

    def done(self) -> bool:
        """Tell whether it has ended."""
        return self.done_future.done()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, ``timeout`` seconds at most; tell whether it has."""
        self._must_not_block_loop()
        if timeout is None:
            self.help()
        return bool(wait_for_futures([self.done_future], timeout).done)

    def result(self, timeout: float | None = None) -> R:
        """Wait for the result and return it, or raise what the task raised.

        Raises:
            TimeoutError: it has not ended within ``timeout`` seconds.

        """
        error = self.exception(timeout)
        if error is not None:
            # With its own traceback each time: raising adds to it.
            raise error.with_traceback(getattr(error, "_tocsin_trace", error.__traceback__))
        return self.done_future.result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the end and return what the task raised, None if nothing.

        Raises:
            TimeoutError: it has not ended within ``timeout`` seconds.

        """
        if not self.wait(timeout):
            raise TimeoutError(f"{self.name} has not ended within {timeout:g} s")
        self.was_looked_at = True
        return self.done_future.exception()

    def __await__(self) -> Generator[Any, None, R]:
        import asyncio

        self.was_looked_at = True
        # A waiter that is cancelled leaves the task alone.
        return asyncio.shield(asyncio.wrap_future(self.done_future)).__await__()

    def __repr__(self) -> str:
        state = self.run.state
        return f"<TaskFuture {self.name} {state.type.value if state else 'new'}>"

    def start_with(self, work: Callable[[], R]) -> None:
        """Say what is to be done; then `perform` does it."""
        self._work = work

    def perform(self) -> None:
        """Do it, unless someone else has begun to."""
        if self._work is None or not self.claim():
            return
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever asks for the result
            self.fail(error)
        else:
            self.done_future.set_result(result)
        finally:
            self._work = None

    def fail(self, error: BaseException) -> None:
        """End with an exception."""
        with suppress(AttributeError, TypeError):
            error._tocsin_trace = error.__traceback__  # type: ignore[attr-defined]
        self.done_future.set_exception(error)

    def claim(self) -> bool:
        """Take it to be done; False if it is taken already."""
        with self._lock:
            if self._is_claimed:
                return False
            self._is_claimed = True
            return True

    def cancel_unless_begun(self) -> None:
        """End it as cancelled if nobody has begun."""
        if self.claim():
            from concurrent.futures import CancelledError

            self.run.enter(State(StateType.CANCELLED, message="the flow ended before it began"))
            self.was_looked_at = True
            self.done_future.set_exception(CancelledError(f"{self.name} was cancelled before it began"))

    def help(self) -> None:
        """In a thread of the pool, do the work here rather than wait for a thread that may never be free."""
        if not _in_pool.get() or self.done():
            return
        for other in self._waits:
            other.help()
            wait_for_futures([other.done_future])
        self.perform()

    def _must_not_block_loop(self) -> None:
        import sys

        asyncio = sys.modules.get("asyncio")
        if asyncio is None or self.done() or not getattr(self, "runs_on_loop", False):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        raise RuntimeError(
            f"{self.name} runs on this event loop, which waiting here would stop: await it instead"
        )


class FutureList(list[TaskFuture[R]], Generic[R]):
    """The futures of a `map`, in order."""

    def result(self, timeout: float | None = None) -> list[R]:
        """Wait for all and return their results, or raise what the first that failed raised.

        Raises:
            TimeoutError: they have not all ended within ``timeout`` seconds.

        """
        self.wait(timeout)
        return [future.result(0 if timeout is not None else None) for future in self]

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all have ended, ``timeout`` seconds at most; tell whether they have."""
        return not wait(self, timeout)[1]


def wait(
    futures: Iterable[TaskFuture[R]], timeout: float | None = None
) -> tuple[list[TaskFuture[R]], list[TaskFuture[R]]]:
    """Wait until futures have ended, ``timeout`` seconds at most; return those that have and those that have not."""
    futures = list(futures)
    if timeout is None:
        for future in futures:
            future.wait()
    else:
        wait_for_futures([future.done_future for future in futures], timeout)
    return [one for one in futures if one.done()], [one for one in futures if not one.done()]


def enter_pool() -> None:
    """Mark the calling context as that of a thread of a pool."""
    _in_pool.set(True)


def find_futures(args: Iterable[Any], kwargs: dict[str, Any]) -> list[TaskFuture[Any]]:
    """Return the futures among arguments, also one level down in lists, tuples and dicts."""
    return [
        one for value in (*args, *kwargs.values()) for one in _inside(value) if isinstance(one, TaskFuture)
    ]


def resolve(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with the futures in them replaced by their results; waits for them."""
    for value in (*args, *kwargs.values()):
        if any(isinstance(one, TaskFuture) for one in _inside(value)):
            break
    else:
        return args, kwargs
    return tuple(_replaced(value) for value in args), {
        name: _replaced(value) for name, value in kwargs.items()
    }


async def resolve_async(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return arguments with the futures in them replaced by their results; awaits them."""
    for future in find_futures(args, kwargs):
        await future
    return resolve(args, kwargs)


def _inside(value: Any) -> Iterable[Any]:
    kind = type(value)
    if kind in (list, tuple, FutureList):
        return value  # type: ignore[no-any-return]
    if kind is dict:
        return value.values()  # type: ignore[no-any-return]
    return (value,)


def _replaced(value: Any) -> Any:
    if isinstance(value, TaskFuture):
        return value.result()
    kind = type(value)
    if kind in (list, FutureList):
        return [one.result() if isinstance(one, TaskFuture) else one for one in value]
    if kind is tuple:
        return tuple(one.result() if isinstance(one, TaskFuture) else one for one in value)
    if kind is dict:
        return {key: one.result() if isinstance(one, TaskFuture) else one for key, one in value.items()}
    return value
