"""What the operators do, by the exact types of their operands (CEL's standard definitions).

Every function takes values, failures among them, and returns a value or a failure; none raises anything but
`BudgetExceededError`.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin_events.expression.budget import Scope, charge
from tocsin_events.expression.values import (
    FAILURES,
    INT_MAX,
    INT_MIN,
    NUMBERS,
    SCALARS,
    UINT_MAX,
    Fault,
    UInt,
    spoken_type,
    to_key,
)

Operator = Callable[[Any, Any, Scope], Any]

_OVERFLOW: Final = Fault("a number does not fit into 64 bits")
_DIVISION_BY_ZERO: Final = Fault("division by zero")
_MODULUS_BY_ZERO: Final = Fault("modulus by zero")
_OUT_OF_TIME: Final = Fault("a time or duration is out of range")
_LONGEST: Final = timedelta(microseconds=2**63 // 1000)
"""CEL counts durations in nanoseconds of 64 bits."""
_LONG_TEXT: Final = 1024


def _int(value: int) -> Any:
    return value if INT_MIN <= value <= INT_MAX else _OVERFLOW


def _uint(value: int) -> Any:
    return UInt(value) if 0 <= value <= UINT_MAX else _OVERFLOW


def _in_time(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def run(left: Any, right: Any) -> Any:
        try:
            result = operation(left, right)
        except OverflowError:
            return _OUT_OF_TIME
        if result.__class__ is timedelta and abs(result) > _LONGEST:
            return _OUT_OF_TIME
        return result

    return run


def _truncated(left: int, right: int) -> int:
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _int_quotient(left: int, right: int) -> Any:
    return _int(_truncated(left, right)) if right else _DIVISION_BY_ZERO


def _int_remainder(left: int, right: int) -> Any:
    if not right:
        return _MODULUS_BY_ZERO
    if right == -1 and left == INT_MIN:
        return _OVERFLOW
    return left - right * _truncated(left, right)


def _double_quotient(left: float, right: float) -> Any:
    if right:
        return left / right
    if not left or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


_plus: Final = _in_time(lambda left, right: left + right)
_minus: Final = _in_time(lambda left, right: left - right)

_TABLES: Final[dict[str, dict[tuple[type, type], Callable[[Any, Any], Any]]]] = {
    "+": {
        (int, int): lambda left, right: _int(left + right),
        (UInt, UInt): lambda left, right: _uint(int(left) + int(right)),
        (float, float): lambda left, right: left + right,
        (str, str): lambda left, right: left + right,
        (bytes, bytes): lambda left, right: left + right,
        (list, list): lambda left, right: left + right,
        (datetime, timedelta): _plus,
        (timedelta, datetime): _plus,
        (timedelta, timedelta): _plus,
    },
    "-": {
        (int, int): lambda left, right: _int(left - right),
        (UInt, UInt): lambda left, right: _uint(int(left) - int(right)),
        (float, float): lambda left, right: left - right,
        (datetime, timedelta): _minus,
        (datetime, datetime): _minus,
        (timedelta, timedelta): _minus,
    },
    "*": {
        (int, int): lambda left, right: _int(left * right),
        (UInt, UInt): lambda left, right: _uint(int(left) * int(right)),
        (float, float): lambda left, right: left * right,
    },
    "/": {
        (int, int): _int_quotient,
        (UInt, UInt): lambda left, right: UInt(left // right) if right else _DIVISION_BY_ZERO,
        (float, float): _double_quotient,
    },
    "%": {
        (int, int): _int_remainder,
        (UInt, UInt): lambda left, right: UInt(left % right) if right else _MODULUS_BY_ZERO,
    },
}  # fmt: skip


_GROWING: Final = {str: 6, bytes: 6, list: 0}
"""What ``+`` makes longer, and the size (as a power of two) that costs one step."""


def arithmetic(operator: str) -> Operator:
    """Return the function of ``+ - * / %``."""
    table = _TABLES[operator]

    def run(left: Any, right: Any, scope: Scope) -> Any:
        operation = table.get((left.__class__, right.__class__))
        if operation is None:
            return no_overload(operator, left, right)
        if (shift := _GROWING.get(left.__class__)) is not None:
            charge(scope, (len(left) + len(right)) >> shift)
        return operation(left, right)

    return run


def negate(value: Any) -> Any:
    """Return ``-value``."""
    kind = value.__class__
    if kind is int:
        return _int(-value)
    if kind is float:
        return -value
    return value if kind in FAILURES else Fault(f"- is not defined for {spoken_type(value)}")


def no_overload(operator: str, left: Any, right: Any) -> Any:
    """Return the failure of an operator that has no meaning for its operands, or the operand that failed."""
    if left.__class__ in FAILURES:
        return left
    if right.__class__ in FAILURES:
        return right
    return Fault(f"{operator} is not defined for {spoken_type(left)} and {spoken_type(right)}")


def equal(left: Any, right: Any, scope: Scope) -> Any:
    """Return ``left == right``: numbers by their value whatever their type, other types never across."""
    kind, other = left.__class__, right.__class__
    if kind is other:
        if kind in SCALARS:
            if (kind is str or kind is bytes) and len(left) > _LONG_TEXT:
                charge(scope, len(left) >> 10)
            return left == right
        if kind is list:
            return _equal_lists(left, right, scope)
        if kind is dict:
            return _equal_maps(left, right, scope)
    if kind in FAILURES:
        return left
    if other in FAILURES:
        return right
    if kind in NUMBERS and other in NUMBERS:
        left, right = _comparable(left, right)
        return left == right
    return False


def _comparable(left: Any, right: Any) -> tuple[Any, Any]:
    """Return two numbers as CEL compares them: beside a double, a 64-bit integer is taken as a double, too."""
    if left.__class__ is float and -UINT_MAX <= right <= UINT_MAX:
        return left, float(right)
    if right.__class__ is float and -UINT_MAX <= left <= UINT_MAX:
        return float(left), right
    return left, right


def _equal_lists(left: list[Any], right: list[Any], scope: Scope) -> bool:
    if len(left) != len(right):
        return False
    charge(scope, len(left))
    return all(equal(one, other, scope) is True for one, other in zip(left, right, strict=True))


def _equal_maps(left: dict[Any, Any], right: dict[Any, Any], scope: Scope) -> bool:
    if len(left) != len(right):
        return False
    charge(scope, len(left))
    return all(key in right and equal(one, right[key], scope) is True for key, one in left.items())


def not_equal(left: Any, right: Any, scope: Scope) -> Any:
    """Return ``left != right``."""
    result = equal(left, right, scope)
    return (not result) if result.__class__ is bool else result


_ORDERED: Final = frozenset({str, bool, bytes, datetime, timedelta})


def ordering(operator: str) -> Operator:
    """Return the function of ``< <= > >=``."""
    compare: Callable[[Any, Any], bool] = {
        "<": lambda left, right: left < right,
        "<=": lambda left, right: left <= right,
        ">": lambda left, right: left > right,
        ">=": lambda left, right: left >= right,
    }[operator]

    def run(left: Any, right: Any, scope: Scope) -> Any:
        kind, other = left.__class__, right.__class__
        if kind is other:
            if kind in NUMBERS:
                return compare(left, right)
        elif kind in NUMBERS and other in NUMBERS:
            return compare(*_comparable(left, right))
        if kind is other and kind in _ORDERED:
            if (kind is str or kind is bytes) and len(left) > _LONG_TEXT:
                charge(scope, len(left) >> 10)
            return compare(left, right)
        return no_overload(operator, left, right)

    return run


def contains(item: Any, container: Any, scope: Scope) -> Any:
    """Return ``item in container``: an element of a list, or a key of a map."""
    if item.__class__ in FAILURES:
        return item
    kind = container.__class__
    if kind is dict:
        key = to_key(item)
        if key.__class__ is Fault:
            return False if item.__class__ is float else no_overload("in", item, container)
        return key in container
    if kind is list:
        if item.__class__ is str:
            charge(scope, len(container) >> 3)
            return item in container
        charge(scope, len(container))
        return any(equal(item, one, scope) is True for one in container)
    return no_overload("in", item, container)


def binary(operator: str) -> Operator:
    """Return the function of any operator between two operands."""
    match operator:
        case "==":
            return equal
        case "!=":
            return not_equal
        case "in":
            return contains
        case "<" | "<=" | ">" | ">=":
            return ordering(operator)
        case _:
            return arithmetic(operator)
