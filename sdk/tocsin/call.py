"""One run of a flow or task in progress: what each outcome means, and the states and hooks that follow from it.

`Call` decides; the drivers in execution.py carry it out for each kind of function.
"""

import inspect
import random
import sys
from collections.abc import Awaitable
from contextlib import ExitStack, suppress
from contextvars import Token
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tocsin.limits import RunTimedOut, call_within, timed_out
from tocsin.logging import logger, prints_logged, set_up
from tocsin.runs import Run, enter_run, leave_run
from tocsin.states import UNSUCCESSFUL, State, StateType
from tocsin.traces import place, summarize

if TYPE_CHECKING:
    from tocsin.definitions import Definition

_DEBUG = 10
_REPORTED = "_tocsin_reported"

_RUNNING = State(StateType.RUNNING)
_COMPLETED = State(StateType.COMPLETED)


class RunCancelled(BaseException):
    """The run is to end now: its process was asked to (SIGTERM). Not an `Exception`, so that code lets it through."""


class Call:
    """One run of a flow or task in progress. Used as a context: inside, the run is the current one."""

    def __init__(
        self, definition: "Definition[Any, Any]", args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self.definition = definition
        self.args = args
        self.kwargs = kwargs
        self.has_begun = False
        self.pending_hooks: list[Awaitable[Any]] = []
        self._failures = 0
        self._token: Token[Run | None] | None = None
        self._prints: ExitStack | None = None

    run: Run

    def __enter__(self) -> Self:
        set_up()
        self._token = enter_run(self.run)
        if self.run.log_prints:
            self._prints = ExitStack()
            self._prints.enter_context(prints_logged())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            leave_run(self._token)
            self._token = None
        if self._prints is not None:
            self._prints.close()
            self._prints = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.definition.word} {self.definition.name!r}"

    def prepare(self) -> None:
        """Make the arguments ready; what it raises fails the run."""

    async def prepare_async(self) -> None:
        """Make the arguments ready without blocking the event loop."""
        self.prepare()

    def recall(self) -> tuple[Any] | None:
        """Return the result if it is known already."""
        return None

    def begin(self) -> None:
        """Enter the running state."""
        if self._failures:
            self.run.attempt += 1
        self.has_begun = True
        self.run.enter(_RUNNING)

    def invoke(self) -> Any:
        """Call the function."""
        seconds = self.definition.timeout
        if seconds is None:
            return self.definition.function(*self.args, **self.kwargs)
        return call_within(seconds, self.label, partial(self.definition.function, *self.args, **self.kwargs))

    async def invoke_async(self) -> Any:
        """Call the coroutine function."""
        seconds = self.definition.timeout
        if seconds is None:
            return await self.definition.function(*self.args, **self.kwargs)
        import asyncio

        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self.definition.function(*self.args, **self.kwargs)
        except TimeoutError:
            if limit.expired():
                raise timed_out(self.label, seconds) from None
            raise

    def settle(self) -> None:
        """Wait for what the run has started."""

    async def settle_async(self) -> None:
        """Wait for what the run has started, without blocking the event loop."""

    def abandon(self) -> None:
        """Stop what the run has started and not yet begun, as it has failed."""

    def succeeded(self, value: Any) -> Any:
        """Enter the final state after a return; return what the caller gets."""
        state = _COMPLETED
        if isinstance(value, State):
            if not value.is_final:
                raise ValueError(
                    f"{self.label} returned the state {value.type.value}, which is not a final one"
                )
            state = value
        self.end(state)
        return value

    def failed(self, error: BaseException) -> float | None:
        """Enter the state that follows an exception; return the delay before the next attempt, None if there is none."""
        self.abandon()
        self._failures += 1
        state = outcome_of(error)
        delay = self._delay(state, error)
        if delay is None:
            self.end(state, error)
            return None
        retries = self.definition.retries
        self.run.enter(State(StateType.RETRYING, message=state.message), error)
        self.run.logger.warning(
            "attempt %d of %d failed, the next one in %.3g s: %s",
            self._failures, retries.times + 1, delay, summarize(error),
        )  # fmt: skip
        return delay

    def give_up(self, error: BaseException) -> None:
        """Enter the final state that an exception means, where another attempt is out of the question."""
        self.abandon()
        self.end(outcome_of(error), error)

    def end(self, state: State, error: BaseException | None = None) -> None:
        """Enter a final state, say so, and call the hooks."""
        self.run.enter(state, error)
        self._report(state, error)
        for hook in self.definition.hooks.get(state.type, ()):
            try:
                result = hook(self.definition, self.run, self.run.state or state)
                if inspect.isawaitable(result):
                    self.pending_hooks.append(result)
            except Exception:
                self.run.logger.exception("the hook %s failed", getattr(hook, "__qualname__", hook))

    async def await_hooks(self) -> None:
        """Await the hooks that are coroutines."""
        hooks, self.pending_hooks = self.pending_hooks, []
        for hook in hooks:
            try:
                await hook
            except Exception:
                self.run.logger.exception("a hook failed")

    def finish_hooks(self) -> None:
        """Run the hooks that are coroutines, in an event loop of their own."""
        if not self.pending_hooks:
            return
        import asyncio
        import threading

        # In a thread: there may be an event loop in this one.
        thread = threading.Thread(target=lambda: asyncio.run(self.await_hooks()), name="tocsin-hooks")
        thread.start()
        thread.join()

    def report_begin(self) -> None:
        """Say that the run has begun, where that is worth a line."""

    def level_of_success(self) -> int:
        """Return the log level for a run that ended well."""
        return _DEBUG

    def _delay(self, state: State, error: BaseException) -> float | None:
        if not self.has_begun or state.type not in (StateType.FAILED, StateType.TIMED_OUT):
            return None
        try:
            return self._delay_of_retry(error)
        except Exception:
            # retry_if or retry_delay is the user's code, too; the error that led here matters more than its own.
            self.run.logger.exception("retry_if or retry_delay failed, so there is no further attempt")
            return None

    def _delay_of_retry(self, error: BaseException) -> float | None:
        chance = random.SystemRandom().random() if self.definition.retries.jitter else 0.0
        return self.definition.retries.delay_after(self._failures, error, chance)

    def _report(self, state: State, error: BaseException | None) -> None:
        level = logger.getEffectiveLevel()
        if state.type not in UNSUCCESSFUL:
            wanted = self.level_of_success()
            if wanted >= level:
                self.run.logger.log(wanted, "%s in %.3g s", state.name.lower(), self.run.duration)
            return
        # The innermost run shows the error; those around it only that they ended with it.
        shown = error is not None and getattr(error, _REPORTED, False)
        message = "" if shown or not state.message else f": {state.message}"
        where = place(error) if error is not None and not shown else ""
        self.run.logger.error(
            "%s after %.3g s%s%s",
            state.name.lower(),
            self.run.duration,
            message,
            f" ({where})" if where else "",
        )
        if error is not None:
            with suppress(AttributeError, TypeError):
                setattr(error, _REPORTED, True)


def outcome_of(error: BaseException) -> State:
    """Return the state that an exception means."""
    match error:
        case RunTimedOut():
            return State(StateType.TIMED_OUT, message=str(error))
        case KeyboardInterrupt():
            return State(StateType.CANCELLED, message="interrupted")
        case RunCancelled() | GeneratorExit():
            return State(StateType.CANCELLED, message=str(error))
        case Exception():
            return State(StateType.FAILED, message=summarize(error))
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and isinstance(error, asyncio.CancelledError):
        return State(StateType.CANCELLED, message=str(error))
    return State(StateType.CRASHED, message=summarize(error))
