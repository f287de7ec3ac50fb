"""Tasks: the steps of a flow, called plainly or handed to threads with `submit` and `map`."""

import itertools
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, overload

from tocsin.call import Call
from tocsin.definitions import Definition, Hook, P, R
from tocsin.execution import DRIVERS, Shape
from tocsin.retries import Delay, Delays, seconds
from tocsin.runs import TaskRun, new_task_run
from tocsin.states import State, StateType

if TYPE_CHECKING:
    from tocsin.caching import Cache
    from tocsin.futures import FutureList, TaskFuture

T = TypeVar("T")

_FUTURES = "tocsin.futures"

CacheKey = str | Callable[[Mapping[str, Any]], str | None]
"""A fixed key, or a function of the arguments by name; None: don't cache this call."""


class Task(Definition[P, R], Generic[P, R]):
    """A function made into a task; calling it is a run, and returns or raises what the function does."""

    word = "task"

    def __init__(
        self,
        function: Callable[P, R],
        *,
        cache_key: CacheKey | None = None,
        cache_for: Delay | None = None,
        **options: Any,
    ) -> None:
        super().__init__(function, **options)
        self.cache_key = cache_key
        self.cache_for = None if cache_for is None else seconds(cache_for)
        self.is_cached = cache_key is not None or cache_for is not None
        if self.is_cached and self.shape in (Shape.GENERATOR, Shape.ASYNC_GENERATOR):
            raise ValueError(f"{self.name} is a generator: its values can't be cached, only a result can")
        self._numbers = itertools.count(1)
        self._resource: dict[str, Any] = {
            "kind": "task", "id": self.name, "name": self.name, "labels": {}, "tags": self.tags, "role": "task",
        }  # fmt: skip

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the task here and now. Futures among the arguments are waited for and replaced by their results."""
        result: R = DRIVERS[self.shape](TaskCall(self, (*self._bound, *args), kwargs, self.new_run()))
        return result

    @overload
    def submit(self: "Task[P, Coroutine[Any, Any, T]]", *args: Any, **kwargs: Any) -> "TaskFuture[T]": ...
    @overload
    def submit(self, *args: Any, **kwargs: Any) -> "TaskFuture[R]": ...
    def submit(self, *args: Any, **kwargs: Any) -> "TaskFuture[Any]":
        """Start the task in the background and return its future; futures may be among the arguments.

        It runs in a thread of the flow run; an async task submitted from a coroutine runs on that event loop. A
        generator's result is the list of its values.
        """
        from tocsin.futures import find_futures
        from tocsin.pool import pool_of

        run = self.new_run()
        run.enter(State(StateType.PENDING))
        call = TaskCall(self, (*self._bound, *args), kwargs, run)
        return pool_of(run.flow_run).submit(call, self.shape, find_futures(args, kwargs))

    @overload
    def map(self: "Task[P, Coroutine[Any, Any, T]]", *args: Any, **kwargs: Any) -> "FutureList[T]": ...
    @overload
    def map(self, *args: Any, **kwargs: Any) -> "FutureList[R]": ...
    def map(self, *args: Any, **kwargs: Any) -> "FutureList[Any]":
        """Submit the task once for each element of the arguments, which are gone through side by side.

        Lists, tuples, ranges, sets and iterators are gone through; text, mappings and anything else are given to
        each run as they are, and so is what is wrapped in `unmapped`.

        Raises:
            ValueError: nothing to go through, or of different lengths.

        """
        from tocsin.futures import FutureList

        columns = {key: _column(value) for key, value in [*enumerate(args), *kwargs.items()]}
        lengths = {len(column) for column in columns.values() if isinstance(column, list)}
        if len(lengths) != 1:
            problem = "nothing to go through" if not lengths else f"different lengths: {sorted(lengths)}"
            raise ValueError(f"{self.name}.map(): {problem}")
        futures: FutureList[Any] = FutureList()
        for row in range(lengths.pop()):
            values = {
                key: column[row] if isinstance(column, list) else column.value
                for key, column in columns.items()
            }
            positional = [values[number] for number in range(len(args))]
            futures.append(self.submit(*positional, **{key: values[key] for key in kwargs}))
        return futures

    def new_run(self) -> TaskRun:
        """Return a run of the task that has not begun."""
        return new_task_run(self.name, self._numbers, self.tags, self._resource, self.log_prints)


class unmapped(Generic[T]):  # noqa: N801 - reads as a word in a call: task.map(rows, unmapped(limits))
    """An argument that `Task.map` gives to each run as it is."""

    def __init__(self, value: T) -> None:
        self.value = value


class TaskCall(Call):
    """A task run in progress."""

    definition: Task[Any, Any]
    run: TaskRun

    def __init__(
        self, task: Task[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any], run: TaskRun
    ) -> None:
        super().__init__(task, args, kwargs)
        self.run = run
        self._cache: Cache | None = None
        self._key: str | None = None

    def prepare(self) -> None:
        """Wait for futures among the arguments."""
        # Where nobody has imported futures, there are none: a plain script need not load threads and pools.
        if _FUTURES in sys.modules:
            from tocsin.futures import resolve

            self.args, self.kwargs = resolve(self.args, self.kwargs)

    async def prepare_async(self) -> None:
        """Wait for futures among the arguments."""
        if _FUTURES in sys.modules:
            from tocsin.futures import resolve_async

            self.args, self.kwargs = await resolve_async(self.args, self.kwargs)

    def recall(self) -> tuple[Any] | None:
        """Return the result if it is in the cache."""
        task = self.definition
        if not task.is_cached:
            return None
        from tocsin.caching import default_cache

        self._cache = default_cache()
        self._key = self._cache_key()
        if self._key is None:
            return None
        found = self._cache.get(self._key)
        if found is not None:
            self.end(State(StateType.CACHED))
        return found

    def succeeded(self, value: Any) -> Any:
        """Enter the final state and keep the result where the task is cached."""
        result = super().succeeded(value)
        if self._cache is not None and self._key is not None and not isinstance(value, State):
            self._cache.put(self._key, value, self.definition.cache_for)
        return result

    def _cache_key(self) -> str | None:
        task = self.definition
        arguments = task.parameters.bind(self.args[len(task._bound) :], self.kwargs)
        if callable(task.cache_key):
            chosen = task.cache_key(arguments)
        elif task.cache_key is not None:
            chosen = task.cache_key
        else:
            from tocsin.caching import Cache

            chosen = Cache.key_of(arguments)
        return None if chosen is None else f"{task.function.__module__}.{task.function.__qualname__}:{chosen}"


class _TaskDecorator(Protocol):
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...
@overload
def task(
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
    cache_key: CacheKey | None = None,
    cache_for: float | str | timedelta | None = None,
    on_completion: Hook | Sequence[Hook] = (),
    on_failure: Hook | Sequence[Hook] = (),
    on_crash: Hook | Sequence[Hook] = (),
    on_cancel: Hook | Sequence[Hook] = (),
) -> _TaskDecorator: ...
def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a task, with or without options.

    As `flow` has them, and ``cache_key`` (a text, or a function of the arguments by name) with ``cache_for``: how long
    a result is taken again instead of running. With ``cache_for`` alone, the arguments are the key.
    """
    from tocsin.flows import with_hooks

    if function is None:
        return lambda function: Task(function, **with_hooks(options))
    return Task(function, **with_hooks(options))


def _column(value: Any) -> "list[Any] | unmapped[Any]":
    if isinstance(value, unmapped):
        return value
    from tocsin.futures import TaskFuture

    if isinstance(value, TaskFuture):
        value = value.result()
    if isinstance(value, (list, tuple, range, set, frozenset, Iterator)) or _is_view(value):
        return list(value)
    return unmapped(value)


def _is_view(value: Any) -> bool:
    return isinstance(value, Iterable) and type(value).__name__ in ("dict_keys", "dict_values", "dict_items")
