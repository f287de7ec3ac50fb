"""What flows and tasks have in common: options, the function behind them, and being a method."""

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, ParamSpec, Self, TypeVar

from tocsin.execution import Shape, shape_of
from tocsin.parameters import Parameters
from tocsin.retries import Delay, Delays, Retries, seconds
from tocsin.runs import Run
from tocsin.states import State, StateType

P = ParamSpec("P")
R = TypeVar("R")

Hook = Callable[[Any, Run, State], Any]
"""Called with the flow or task, its run, and the state it ended in."""

_HOOK_STATES: Mapping[str, tuple[StateType, ...]] = {
    "on_completion": (StateType.COMPLETED, StateType.CACHED),
    "on_failure": (StateType.FAILED, StateType.TIMED_OUT),
    "on_crash": (StateType.CRASHED,),
    "on_cancel": (StateType.CANCELLED,),
}


class Definition(Generic[P, R]):
    """A function made into a flow or task."""

    word = ""

    def __init__(
        self,
        function: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Sequence[str] = (),
        retries: int = 0,
        retry_delay: Delays = 0.0,
        retry_jitter: float = 0.0,
        retry_if: Callable[[BaseException], bool] | None = None,
        timeout: Delay | None = None,
        log_prints: bool = False,
        hooks: Mapping[str, Hook | Sequence[Hook]] | None = None,
    ) -> None:
        # @task above @classmethod gets the descriptor; below it, the function.
        self._wrapper: type | None = None
        if isinstance(function, (classmethod, staticmethod)):
            self._wrapper = type(function)
            function = function.__func__
        if not callable(function):
            raise TypeError(f"@{self.word} goes above a function, not a {type(function).__name__}")
        functools.update_wrapper(self, function)  # type: ignore[arg-type] # it only sets attributes
        self.function: Callable[..., Any] = function
        self.name = name or getattr(function, "__name__", type(function).__name__).replace("_", "-")
        self.description = inspect.cleandoc(description or function.__doc__ or "")
        self.tags = tuple(tags)
        self.retries = Retries(retries, retry_delay, retry_jitter, retry_if)
        self.timeout = None if timeout is None else seconds(timeout)
        if self.timeout == 0:
            raise ValueError("timeout is 0: leave it out for no limit")
        self.log_prints = log_prints
        self.hooks = _by_state(hooks or {})
        self.shape: Shape = shape_of(function)
        self._bound: tuple[Any, ...] = ()
        self._parameters: dict[int, Parameters] = {}

    @property
    def parameters(self) -> Parameters:
        """The parameters that a caller gives; without ``self`` on a bound method."""
        skip = len(self._bound)
        if skip not in self._parameters:
            self._parameters[skip] = Parameters(self.function, skip)
        return self._parameters[skip]

    def __get__(self, instance: Any, owner: type | None = None) -> Self:
        if self._wrapper is staticmethod:
            return self
        to = owner if self._wrapper is classmethod else instance
        if to is None:
            return self
        bound = copy.copy(self)
        bound._bound = (to,)
        return bound

    def __repr__(self) -> str:
        return f"<{self.word} {self.name!r}>"


def _by_state(hooks: Mapping[str, Hook | Sequence[Hook]]) -> dict[StateType, tuple[Hook, ...]]:
    by_state: dict[StateType, tuple[Hook, ...]] = {}
    for name, given in hooks.items():
        chosen = (given,) if callable(given) else tuple(given)
        for state in _HOOK_STATES[name] if chosen else ():
            by_state[state] = chosen
    return by_state
