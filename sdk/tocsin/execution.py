"""Carrying out a call of a flow or task, for the four kinds of function.

The drivers below are the only frames of ours in a user's traceback.
"""

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from enum import Enum
from functools import partial
from typing import Any

from tocsin.call import Call
from tocsin.limits import timed_out
from tocsin.states import State, StateType
from tocsin.traces import without_our_head


class Shape(Enum):
    """The four kinds of function."""

    SYNC = "sync"
    ASYNC = "async"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"


def shape_of(function: Callable[..., Any]) -> Shape:
    """Return which kind of function it is."""
    if inspect.isasyncgenfunction(function):
        return Shape.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(function):
        return Shape.GENERATOR
    if inspect.iscoroutinefunction(function):
        return Shape.ASYNC
    return Shape.SYNC


def run_sync(call: Call) -> Any:
    """Carry out a call of a function; return or raise what it does."""
    with call:
        delay = 0.0
        while True:
            try:
                if delay:
                    time.sleep(delay)
                if not call.has_begun:
                    call.prepare()
                known = call.recall()
                if known is not None:
                    return known[0]
                call.begin()
                call.report_begin()
                value = call.invoke()
                call.settle()
                return call.succeeded(value)
            except BaseException as error:  # noqa: BLE001 - every way out of a run is a state; then it is raised again
                again = call.failed(error)
                if again is None:
                    raise error.with_traceback(without_our_head(error.__traceback__))  # noqa: B904 - the same one
                delay = again
            finally:
                call.finish_hooks()


async def run_async(call: Call) -> Any:
    """Carry out a call of a coroutine function; return or raise what it does."""
    import asyncio

    with call:
        delay = 0.0
        while True:
            try:
                if delay:
                    await asyncio.sleep(delay)
                if not call.has_begun:
                    await call.prepare_async()
                known = call.recall()
                if known is not None:
                    return known[0]
                call.begin()
                call.report_begin()
                value = await call.invoke_async()
                await call.settle_async()
                return call.succeeded(value)
            except BaseException as error:  # noqa: BLE001 - every way out of a run is a state; then it is raised again
                again = call.failed(error)
                if again is None:
                    raise error.with_traceback(without_our_head(error.__traceback__))  # noqa: B904 - the same one
                delay = again
            finally:
                if call.pending_hooks:
                    await call.await_hooks()


def run_generator(call: Call) -> Generator[Any, Any, Any]:
    """Carry out a call of a generator function; it begins with the first value that is asked for.

    It is tried again only while it has not given a value. A consumer that stops early completes the run.
    """
    given = 0
    delay = 0.0
    while True:
        try:
            with call:
                if delay:
                    time.sleep(delay)
                if not call.has_begun:
                    call.prepare()
                call.begin()
                call.report_begin()
                started = time.monotonic()
                inner = call.definition.function(*call.args, **call.kwargs)
                step = partial(inner.send, None)
            while True:
                with call:
                    try:
                        value = step()
                    except StopIteration as stop:
                        call.settle()
                        return call.succeeded(stop.value)
                    _check_time(call, started)
                given += 1
                try:
                    step = partial(inner.send, (yield value))
                except GeneratorExit:
                    with call:
                        inner.close()
                        call.end(_stopped(given))
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it is thrown into the user's generator
                    step = partial(inner.throw, thrown)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - every way out of a run is a state; then it is raised again
            with call:
                again = None if given else call.failed(error)
                if given:
                    call.give_up(error)
            if again is None:
                raise error.with_traceback(without_our_head(error.__traceback__))  # noqa: B904 - the same one
            delay = again
        finally:
            call.finish_hooks()


async def run_async_generator(call: Call) -> AsyncGenerator[Any, Any]:  # noqa: C901 - one loop, as run_generator
    """Carry out a call of an async generator function; as `run_generator` does."""
    import asyncio

    given = 0
    delay = 0.0
    while True:
        try:
            with call:
                if delay:
                    await asyncio.sleep(delay)
                if not call.has_begun:
                    await call.prepare_async()
                call.begin()
                call.report_begin()
                deadline = None
                if call.definition.timeout is not None:
                    deadline = asyncio.get_running_loop().time() + call.definition.timeout
                inner = call.definition.function(*call.args, **call.kwargs)
                step = partial(inner.asend, None)
            while True:
                with call:
                    try:
                        value = await _next_before(call, deadline, step())
                    except StopAsyncIteration:
                        await call.settle_async()
                        call.succeeded(None)
                        return
                given += 1
                try:
                    step = partial(inner.asend, (yield value))
                except GeneratorExit:
                    with call:
                        await inner.aclose()
                        call.end(_stopped(given))
                    raise
                except BaseException as thrown:  # noqa: BLE001 - it is thrown into the user's generator
                    step = partial(inner.athrow, thrown)
        except GeneratorExit:
            raise
        except BaseException as error:  # noqa: BLE001 - every way out of a run is a state; then it is raised again
            with call:
                again = None if given else call.failed(error)
                if given:
                    call.give_up(error)
            if again is None:
                raise error.with_traceback(without_our_head(error.__traceback__))  # noqa: B904 - the same one
            delay = again
        finally:
            if call.pending_hooks:
                await call.await_hooks()


DRIVERS: dict[Shape, Callable[[Call], Any]] = {
    Shape.SYNC: run_sync,
    Shape.ASYNC: run_async,
    Shape.GENERATOR: run_generator,
    Shape.ASYNC_GENERATOR: run_async_generator,
}
"""What carries out a call, for each kind of function."""


def _stopped(given: int) -> State:
    return State(StateType.COMPLETED, message=f"stopped by its consumer after {given} values")


def _check_time(call: Call, started: float) -> None:
    seconds = call.definition.timeout
    if seconds is not None and time.monotonic() - started > seconds:
        raise timed_out(call.label, seconds)


async def _next_before(call: Call, deadline: float | None, step: Awaitable[Any]) -> Any:
    if deadline is None:
        return await step
    import asyncio

    limit = asyncio.timeout_at(deadline)
    try:
        async with limit:
            return await step
    except TimeoutError:
        if limit.expired():
            raise timed_out(call.label, call.definition.timeout or 0.0) from None
        raise
