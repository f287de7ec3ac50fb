"""The macros: ``all, exists, exists_one, filter, map`` over the elements of a list or the keys of a map."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from tocsin_events.expression.budget import BudgetExceededError, Scope, charge
from tocsin_events.expression.values import FAILURES, Absent, Fault, from_key, spoken_type

Closure = Callable[[Any, Scope], Any]


def as_failure(value: Any) -> Absent | Fault:
    """Return what is wrong with a value that should have been true or false."""
    if value.__class__ in FAILURES:
        return cast("Absent | Fault", value)
    return Fault(f"a condition is true or false, not {spoken_type(value)}")


def lower_macro(
    macro: str, source: Closure, slot: int, condition: Closure | None, body: Closure, cost: int
) -> Closure:
    """Return the closure of a macro; ``slot`` holds the element, ``cost`` is what one round takes of the budget."""

    def elements(names: Any, scope: Scope) -> Any:
        value = source(names, scope)
        if value.__class__ is list:
            return value
        if value.__class__ is dict:
            charge(scope, len(value))
            return [from_key(key) for key in value]
        return (
            value
            if value.__class__ in FAILURES
            else Fault(f"{macro} goes over a list or a map, not {spoken_type(value)}")
        )

    rounds = cost + 1
    match macro:
        case "all":
            return _quantified(elements, slot, body, rounds, absorbing=False)
        case "exists":
            return _quantified(elements, slot, body, rounds, absorbing=True)
        case "exists_one":
            return _exists_one(elements, slot, body, rounds)
        case "filter":
            return _filter(elements, slot, body, rounds)
        case _:
            return _map(elements, slot, condition, body, rounds)


def _quantified(elements: Closure, slot: int, body: Closure, cost: int, *, absorbing: bool) -> Closure:
    """Return ``all`` or ``exists``: like a chain of ``&&`` or ``||`` over the elements."""

    def run(names: Any, scope: Scope) -> Any:
        items = elements(names, scope)
        if items.__class__ in FAILURES:
            return items
        failure: Any = None
        for item in items:
            scope[0] -= cost
            if scope[0] < 0:
                raise BudgetExceededError
            scope[slot] = item
            value = body(names, scope)
            if value is absorbing:
                return absorbing
            if value is not neutral and failure.__class__ is not Absent:
                found = as_failure(value)
                if failure is None or found.__class__ is Absent:
                    failure = found
        return neutral if failure is None else failure

    neutral = not absorbing
    return run


def _kept(items: Iterable[Any], names: Any, scope: Scope, slot: int, condition: Closure, cost: int) -> Any:
    kept = []
    for item in items:
        charge(scope, cost)
        scope[slot] = item
        value = condition(names, scope)
        if value is True:
            kept.append(item)
        elif value is not False:
            return as_failure(value)
    return kept


def _exists_one(elements: Closure, slot: int, body: Closure, cost: int) -> Closure:
    def run(names: Any, scope: Scope) -> Any:
        items = elements(names, scope)
        if items.__class__ in FAILURES:
            return items
        kept = _kept(items, names, scope, slot, body, cost)
        return kept if kept.__class__ in FAILURES else len(kept) == 1

    return run


def _filter(elements: Closure, slot: int, body: Closure, cost: int) -> Closure:
    def run(names: Any, scope: Scope) -> Any:
        items = elements(names, scope)
        if items.__class__ in FAILURES:
            return items
        return _kept(items, names, scope, slot, body, cost)

    return run


def _map(elements: Closure, slot: int, condition: Closure | None, body: Closure, cost: int) -> Closure:
    def run(names: Any, scope: Scope) -> Any:
        items = elements(names, scope)
        if items.__class__ in FAILURES:
            return items
        results = []
        for item in items:
            charge(scope, cost)
            scope[slot] = item
            if condition is not None:
                wanted = condition(names, scope)
                if wanted is False:
                    continue
                if wanted is not True:
                    return as_failure(wanted)
            value = body(names, scope)
            if value.__class__ in FAILURES:
                return value
            results.append(value)
        return results

    return run
