"""The closures that expressions are made of, apart from paths and macros.

Each maker takes closures and returns one. The common shapes come first with a test of exact types and leave everything
else to the operators, so that the hot path pays for one comparison.
"""

from collections.abc import Callable
from typing import Any

from tocsin_events.expression import operators
from tocsin_events.expression.budget import Scope, charge
from tocsin_events.expression.functions import Function
from tocsin_events.expression.macros import as_failure
from tocsin_events.expression.values import FAILURES, Absent, Fault, spoken_type, to_key

Closure = Callable[[Any, Scope], Any]


def constant(value: Any) -> Closure:
    """Return the closure of a value that is written out."""
    return lambda _names, _scope: value


def variable(slot: int) -> Closure:
    """Return the closure of a macro variable."""
    return lambda _names, scope: scope[slot]


def equals(operand: Closure, value: Any) -> Closure:
    """Return ``operand == value`` for a scalar constant."""
    kind = value.__class__

    def run(names: Any, scope: Scope) -> Any:
        found = operand(names, scope)
        if found.__class__ is kind:
            return found == value
        return operators.equal(found, value, scope)

    return run


def differs(operand: Closure, value: Any) -> Closure:
    """Return ``operand != value`` for a scalar constant."""
    kind = value.__class__

    def run(names: Any, scope: Scope) -> Any:
        found = operand(names, scope)
        if found.__class__ is kind:
            return found != value
        return operators.not_equal(found, value, scope)

    return run


def one_of(operand: Closure, texts: frozenset[str]) -> Closure:
    """Return ``operand in [texts]``."""

    def run(names: Any, scope: Scope) -> Any:
        found = operand(names, scope)
        if found.__class__ is str:
            return found in texts
        return found if found.__class__ in FAILURES else False

    return run


def holds(text: str, container: Closure) -> Closure:
    """Return ``text in container`` for a constant text."""

    def run(names: Any, scope: Scope) -> Any:
        found = container(names, scope)
        if found.__class__ is list:
            scope[0] -= len(found) >> 3
            return text in found
        return operators.contains(text, found, scope)

    return run


def ordered(operator: str, operand: Closure, value: Any) -> Closure:
    """Return ``operand < value`` and its kin for a constant int or double."""
    general = operators.ordering(operator)
    kind = value.__class__

    def less(names: Any, scope: Scope) -> Any:
        found = operand(names, scope)
        return found < value if found.__class__ is kind else general(found, value, scope)

    def at_most(names: Any, scope: Scope) -> Any:
        found = operand(names, scope)
        return found <= value if found.__class__ is kind else general(found, value, scope)

    def greater(names: Any, scope: Scope) -> Any:
        found = operand(names, scope)
        return found > value if found.__class__ is kind else general(found, value, scope)

    def at_least(names: Any, scope: Scope) -> Any:
        found = operand(names, scope)
        return found >= value if found.__class__ is kind else general(found, value, scope)

    return {"<": less, "<=": at_most, ">": greater, ">=": at_least}[operator]


def operation(operator: operators.Operator, left: Closure, right: Closure) -> Closure:
    """Return any operator between two operands."""
    return lambda names, scope: operator(left(names, scope), right(names, scope), scope)


def negation(operand: Closure) -> Closure:
    """Return ``-operand``."""
    return lambda names, scope: operators.negate(operand(names, scope))


def inversion(operand: Closure) -> Closure:
    """Return ``!operand``."""

    def run(names: Any, scope: Scope) -> Any:
        found = operand(names, scope)
        if found is True:
            return False
        if found is False:
            return True
        return as_failure(found)

    return run


def chain(parts: list[Closure], *, absorbing: bool) -> Closure:
    """Return ``&&`` (absorbing False) or ``||`` (absorbing True).

    One part with the absorbing value decides, whatever fails beside it. Else a missing name comes before a fault, so
    that the outcome does not depend on the order of the parts, and the rule index may look at any of them first.
    """
    neutral = not absorbing

    def run(names: Any, scope: Scope) -> Any:
        failure: Any = None
        for part in parts:
            value = part(names, scope)
            if value is neutral:
                continue
            if value is absorbing:
                return absorbing
            if failure.__class__ is not Absent:
                found = as_failure(value)
                if failure is None or found.__class__ is Absent:
                    failure = found
        return neutral if failure is None else failure

    return run


def choice(condition: Closure, then: Closure, otherwise: Closure) -> Closure:
    """Return ``condition ? then : otherwise``."""

    def run(names: Any, scope: Scope) -> Any:
        value = condition(names, scope)
        if value is True:
            return then(names, scope)
        if value is False:
            return otherwise(names, scope)
        return as_failure(value)

    return run


def list_of(items: list[Closure]) -> Closure:
    """Return ``[items]``."""

    def run(names: Any, scope: Scope) -> Any:
        charge(scope, len(items))
        values = []
        for item in items:
            value = item(names, scope)
            if value.__class__ in FAILURES:
                return value
            values.append(value)
        return values

    return run


def map_of(entries: list[tuple[Closure, Closure]]) -> Closure:
    """Return ``{key: value}``."""

    def run(names: Any, scope: Scope) -> Any:
        charge(scope, len(entries))
        values: dict[Any, Any] = {}
        for key_closure, value_closure in entries:
            key = key_closure(names, scope)
            if key.__class__ is float:
                return Fault("double can't be the key of a map")
            key = to_key(key)
            if key.__class__ in FAILURES:
                return key
            value = value_closure(names, scope)
            if value.__class__ in FAILURES:
                return value
            if key in values:
                return Fault("a map has the same key twice")
            values[key] = value
        return values

    return run


def call(function: Function, args: list[Closure]) -> Closure:
    """Return a function of its arguments; the first that fails is the result."""
    if len(args) == 1:
        return _call_of_one(function, args[0])

    def run(names: Any, scope: Scope) -> Any:
        values = [arg(names, scope) for arg in args]
        for value in values:
            if value.__class__ in FAILURES:
                return value
        return function(scope, *values)

    return run


def _call_of_one(function: Function, arg: Closure) -> Closure:
    def run(names: Any, scope: Scope) -> Any:
        value = arg(names, scope)
        return value if value.__class__ in FAILURES else function(scope, value)

    return run


def index(container: Closure, key: Closure, source: str) -> Closure:
    """Return ``container[key]``; ``source`` is the container as it was written."""
    return lambda names, scope: element(container(names, scope), key(names, scope), source)


def element(container: Any, key: Any, source: str) -> Any:
    """Return ``container[key]``: `Absent` where there is no such key or the list is shorter."""
    kind = container.__class__
    if kind in FAILURES:
        return container
    if key.__class__ in FAILURES:
        return key
    if kind is dict:
        return _entry(container, key, source)
    if kind is list:
        return _item(container, key, source)
    if container is None:
        return Absent(f"{source}[{_shown(key)}]")
    return Fault(f"{source} is {spoken_type(container)} and has no elements")


def _entry(container: dict[Any, Any], key: Any, source: str) -> Any:
    found = to_key(key)
    if found.__class__ is Fault:
        return Absent(f"{source}[{_shown(key)}]") if key.__class__ is float else found
    return container[found] if found in container else Absent(f"{source}[{_shown(key)}]")


def _item(container: list[Any], key: Any, source: str) -> Any:
    place = to_key(key)
    if not isinstance(place, int):
        return Fault(f"a list has no element {spoken_type(key)}")
    if place < 0:
        return Fault(f"{source}[{_shown(place)}]: an index is not negative")
    return container[place] if place < len(container) else Absent(f"{source}[{_shown(place)}]")


def _shown(key: Any) -> str:
    return f'"{key[:60]}"' if key.__class__ is str else repr(key)[:60]
