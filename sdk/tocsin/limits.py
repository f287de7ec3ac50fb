"""Time limits on functions that can't be awaited.

In the main thread an alarm signal raises the error right in the function's code. In other threads the function runs in
a thread of its own, which is asked to stop when its time is up; Python can only do that between two instructions, so
a call that blocks in C (a socket without a timeout) goes on in the background, and its result is dropped.
"""

import contextvars
import ctypes
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any


class RunTimedOut(TimeoutError):  # noqa: N818 - it says what happened
    """A flow or task took longer than its ``timeout``."""

    __module__ = "tocsin"  # where users find it


def timed_out(what: str, seconds: float) -> RunTimedOut:
    """Return the error that says so."""
    return RunTimedOut(f"{what} took longer than its timeout of {seconds:g} s")


def call_within(seconds: float, what: str, function: Callable[[], Any]) -> Any:
    """Call a function and return its result, or raise what it raises.

    Raises:
        RunTimedOut: it took longer than ``seconds``.

    """
    if threading.current_thread() is threading.main_thread() and _alarm_is_free():
        return _call_with_alarm(seconds, what, function)
    return _call_in_thread(seconds, what, function)


def _alarm_is_free() -> bool:
    return (
        signal.getsignal(signal.SIGALRM) == signal.SIG_DFL and signal.getitimer(signal.ITIMER_REAL)[0] == 0.0
    )


def _call_with_alarm(seconds: float, what: str, function: Callable[[], Any]) -> Any:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise timed_out(what, seconds)

    signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        return function()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _call_in_thread(seconds: float, what: str, function: Callable[[], Any]) -> Any:
    context = contextvars.copy_context()
    outcome: list[tuple[bool, Any]] = []

    def work() -> None:
        try:
            outcome.append((True, context.run(function)))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
            outcome.append((False, error))

    thread = threading.Thread(target=work, name="tocsin-timeout", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        if thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(RunTimedOut)
            )
        raise timed_out(what, seconds)
    succeeded, value = outcome[0]
    if succeeded:
        return value
    raise value
