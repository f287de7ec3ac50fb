"""The environment that templates run in: Jinja's immutable sandbox, with its open doors closed.

Jinja's own sandbox keeps templates from Python's internals but not from burning time and memory. Here every filter,
test and operator pays for its work (`tocsin_events.template.budget`), and what has a value is only what JSON has:
mappings are read by key, never by method, so a key named ``items`` is found.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache, wraps
from typing import Any, Final

from jinja2 import Undefined
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context

from tocsin_events.template import filters, syntax
from tocsin_events.template.budget import MAX_RANGE, NAME, Budget
from tocsin_events.template.missing import Lenient, Strict, settle, spoken

_MAX_BITS: Final = 1024
_LOOP: Final = frozenset(
    {
        "index",
        "index0",
        "revindex",
        "revindex0",
        "first",
        "last",
        "length",
        "previtem",
        "nextitem",
        "cycle",
        "changed",
    }
)
_TIME_FIELDS: Final = frozenset({"year", "month", "day", "hour", "minute", "second", "microsecond"})
_ARITHMETIC: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
_TAKES_MISSING: Final = frozenset({"default", "d", "defined", "undefined"})


class Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox with every operation guarded."""

    intercepted_binops = frozenset(_ARITHMETIC)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Return what a template may read under a name."""
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute) if attribute in _LOOP else self.undefined(name=f"loop.{attribute}")
        return read(self, obj, attribute, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Return what a template may read under a key: filters with ``attribute=`` come here."""
        return read(self, obj, argument, str(argument)[:60])

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805 - as in jinja2
        """Call one of the few things that may be called."""
        if isinstance(__obj, Undefined):
            return settle(__obj)
        if __obj is _range:
            return _range(__context, *args)
        if __obj is Namespace or (
            getattr(__obj, "__name__", "") == "cycle"
            and isinstance(getattr(__obj, "__self__", None), LoopContext)
        ):
            return __obj(*args, **kwargs)
        raise SecurityError("only filters can be called here")

    def call_filter(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """Call a filter that another one names as text, as ``map`` does; our own inner ones can't be named."""
        if name.startswith("~"):
            raise SecurityError(f"there is no filter {name[:60]!r}")
        return super().call_filter(name, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, where the result can't explode."""
        for one in (left, right):
            if isinstance(one, Undefined):
                return settle(one)
        budget: Budget = context[NAME]
        budget.charge(1)
        _check_growth(budget, operator, left, right)
        return _ARITHMETIC[operator](left, right)


def _check_growth(budget: Budget, operator: str, left: Any, right: Any) -> None:
    if isinstance(left, int | float) and isinstance(right, int | float):
        if operator in ("*", "**") and isinstance(left, int) and isinstance(right, int):
            times = max(right, 1) if operator == "**" else 1
            if left.bit_length() * times + (0 if operator == "**" else right.bit_length()) > _MAX_BITS:
                raise SecurityError("a number grows too large")
        return
    if operator == "*" and isinstance(left, int) and isinstance(right, str | list):
        left, right = right, left
    if operator == "*" and isinstance(left, str | list) and isinstance(right, int):
        budget.grow(len(left) * max(right, 0))
        if isinstance(left, list):
            budget.charge(len(left) * max(right, 0))
    elif operator == "+" and isinstance(left, str) and isinstance(right, str):
        budget.grow(len(left) + len(right))
    elif operator == "+" and isinstance(left, list) and isinstance(right, list):
        budget.charge(len(left) + len(right))
    elif not (
        isinstance(left, datetime | timedelta) and isinstance(right, datetime | timedelta | int | float)
    ):
        raise TypeError(f"{operator} is not defined for {filters.kind(left)} and {filters.kind(right)}")


def read(environment: Any, value: Any, key: Any, source: str) -> Any:
    """Return what a value has under a key, or something missing that knows its full name."""
    if isinstance(value, Undefined):
        return value
    if isinstance(value, Mapping):
        if isinstance(key, str | int | float | bool) and key in value:
            return value[key]
    elif isinstance(value, list | tuple | str) and isinstance(key, int):
        if -len(value) <= key < len(value):
            return value[key]
    elif isinstance(value, tuple) and key in ("grouper", "list"):
        return getattr(value, key, environment.undefined(name=source))  # what groupby gives
    elif isinstance(value, Namespace) and isinstance(key, str) and not key.startswith("_"):
        return getattr(value, key, environment.undefined(name=source))
    elif isinstance(value, datetime) and key in _TIME_FIELDS:
        return getattr(value, key)
    return environment.undefined(name=source)


@pass_context
def _range(context: Context, *bounds: int) -> list[int]:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise SecurityError(f"range() gives at most {MAX_RANGE} numbers")
    context[NAME].charge(len(numbers))
    return list(numbers)


@pass_context
def _select(context: Context, value: Any, key: str, source: str) -> Any:
    return read(context.environment, value, key, source)


@pass_context
def _item(context: Context, value: Any, key: Any, source: str) -> Any:
    return settle(key) if isinstance(key, Undefined) else read(context.environment, value, key, source)


@pass_context
def _cut(context: Context, value: Any, start: Any, stop: Any, step: Any) -> Any:
    if isinstance(value, Undefined):
        return settle(value)
    if not isinstance(value, str | list | tuple):
        raise TypeError(f"{filters.kind(value)} can't be cut")
    result = value[start:stop:step]
    context[NAME].charge(len(result) >> (8 if isinstance(value, str) else 0))
    return result


@pass_context
def _joined(context: Context, parts: list[Any]) -> str:
    budget: Budget = context[NAME]
    texts = [as_text(context, part) for part in parts]
    budget.grow(sum(map(len, texts)))
    return "".join(texts)


@pass_context
def _weighed(context: Context, value: Any) -> Any:
    context[NAME].weigh(value)
    return value


@pass_context
def _counted(context: Context, items: Any, cost: int) -> Iterator[Any]:
    if isinstance(items, Undefined):
        items = settle(items)
        context[NAME].problems.append(spoken(items))
        return iter(())
    if not isinstance(items, list | tuple | str | Mapping):
        raise TypeError(f"a loop goes over a list, not {filters.kind(items)}")
    return context[NAME].counted(items, cost)  # type: ignore[no-any-return]


@pass_context
def as_text(context: Context, value: Any) -> str:
    """Return a value as templates print it: JSON's forms, times in RFC 3339, None as nothing."""
    budget: Budget = context[NAME]
    budget.charge(1)
    if isinstance(value, Undefined):
        settle(value)
        budget.problems.append(spoken(value))
        return str(value)
    if not isinstance(value, str):
        budget.weigh(value)
        value = filters.text_of(value)
    # What a `set` block or a filter block collects is no output yet, and has to be paid for here.
    budget.charge(len(value) >> 6)
    return str(value)


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter or test that pays for what it looks at and for what it makes."""
    wants = getattr(function, "jinja_pass_arg", None)

    @pass_context
    @wraps(function)
    def run(context: Context, value: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(value, Undefined) and name not in _TAKES_MISSING:
            return settle(value)
        budget: Budget = context[NAME]
        budget.weigh([value, args, list(kwargs.values())])
        if wants is None:
            result = function(value, *args, **kwargs)
        else:
            first = {"context": context, "eval_context": context.eval_ctx}.get(
                wants.name, context.environment
            )
            result = function(first, value, *args, **kwargs)
        if isinstance(result, str):
            budget.grow(len(result))
        elif isinstance(result, Iterator):
            return list(budget.counted(result))
        return result

    if hasattr(run, "__wrapped__"):
        del run.__wrapped__
    return run


@cache
def environment(*, lenient: bool) -> Sandbox:
    """Return the environment of all templates; in a lenient one missing names print themselves."""
    made = Sandbox(
        undefined=Lenient if lenient else Strict,
        autoescape=False,
        optimized=False,
        cache_size=0,
        finalize=as_text,
        keep_trailing_newline=True,
    )
    made.globals = {"range": _range, "namespace": Namespace}
    made.filters = {name: _guarded(name, function) for name, function in filters.FILTERS.items()}
    made.tests = {name: _guarded(name, function) for name, function in filters.TESTS.items()}
    made.filters |= {
        syntax.SELECT: _select,
        syntax.ITEM: _item,
        syntax.CUT: _cut,
        syntax.JOINED: _joined,
        syntax.WEIGHED: _weighed,
        syntax.COUNTED: _counted,
    }
    return made
