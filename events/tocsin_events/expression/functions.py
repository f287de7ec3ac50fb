"""The functions of the language: sizes, texts, times (CEL's standard definitions) and a few of cel-go's for texts.

A function gets the scope of the evaluation (to pay for its work) and its arguments, no failures among them.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from tocsin_events.expression.budget import MAX_PATTERN, Scope, charge
from tocsin_events.expression.conversions import CONVERSIONS
from tocsin_events.expression.values import Fault, spoken_type

Function = Callable[..., Any]

_PATTERN_MEMORY: Final = 1 << 20


def _undefined(name: str, *values: Any) -> Fault:
    return Fault(f"{name} is not defined for {' and '.join(spoken_type(value) for value in values)}")


def _size(scope: Scope, value: Any) -> Any:  # noqa: ARG001 - one signature for all functions
    if value.__class__ in (str, bytes, list, dict):
        return len(value)
    return _undefined("size", value)


def _text_test(name: str, test: Callable[[str, str], bool]) -> Function:
    def run(scope: Scope, text: Any, part: Any) -> Any:
        if text.__class__ is str and part.__class__ is str:
            charge(scope, (len(text) + len(part)) >> 8)
            return test(text, part)
        return _undefined(name, text, part)

    return run


def _text_change(name: str, change: Callable[[str], str]) -> Function:
    def run(scope: Scope, text: Any) -> Any:
        if text.__class__ is str:
            charge(scope, len(text) >> 6)
            return change(text)
        return _undefined(name, text)

    return run


_ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_ASCII_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def compile_pattern(pattern: str) -> Any:
    """Return RE2's program for a pattern: its search takes linear time whatever the pattern; a `Fault` if it is bad."""
    import re2

    compiled: Callable[..., Any] = re2.compile

    if len(pattern) > MAX_PATTERN:
        return Fault(f"a regular expression has more than {MAX_PATTERN} characters (budget)")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _PATTERN_MEMORY
    try:
        return compiled(pattern, options)
    except (re2.error, UnicodeEncodeError) as problem:
        reason = problem.args[0] if problem.args else "?"
        if isinstance(reason, bytes):
            reason = reason.decode(errors="replace")
        return Fault(f"{pattern[:60]!r} is no regular expression: {reason}")


@lru_cache(maxsize=256)
def _cached_pattern(pattern: str) -> Any:
    return compile_pattern(pattern)


def search(scope: Scope, text: Any, program: Any) -> Any:
    """Tell whether a compiled pattern is found in a text."""
    if text.__class__ is not str:
        return _undefined("matches", text, "")
    charge(scope, 1 + (len(text) >> 4))
    try:
        return program.search(text) is not None
    except UnicodeEncodeError:
        return Fault("the text has half a surrogate pair")


def _matches(scope: Scope, text: Any, pattern: Any) -> Any:
    if pattern.__class__ is not str or text.__class__ is not str:
        return _undefined("matches", text, pattern)
    charge(scope, 20 + len(pattern))
    program = _cached_pattern(pattern)
    return program if program.__class__ is Fault else search(scope, text, program)


def zone(name: str) -> Any:
    """Return the time zone of an IANA name or an offset such as ``+02:00``; a `Fault` where there is none."""
    if name[:1] in ("+", "-") or name[:1].isdigit():
        return _offset(name)
    if name in ("", "UTC", "Z"):
        return UTC if name else Fault("'' is no time zone")
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError):
        return Fault(f"{name[:60]!r} is no time zone; write an IANA name such as Europe/Berlin, or +02:00")


def _offset(name: str) -> Any:
    hours, colon, minutes = name.lstrip("+-").partition(":")
    if colon and len(hours) == 2 and len(minutes) == 2 and (hours + minutes).isdigit() and int(minutes) < 60:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if offset < timedelta(hours=24):
            return timezone(-offset if name.startswith("-") else offset)
    return Fault(f"{name[:60]!r} is no time zone; write an IANA name such as Europe/Berlin, or +02:00")


_FIELDS: Final[dict[str, Callable[[datetime], int]]] = {
    "getFullYear": lambda moment: moment.year,
    "getMonth": lambda moment: moment.month - 1,
    "getDate": lambda moment: moment.day,
    "getDayOfMonth": lambda moment: moment.day - 1,
    "getDayOfWeek": lambda moment: moment.isoweekday() % 7,
    "getDayOfYear": lambda moment: moment.timetuple().tm_yday - 1,
    "getHours": lambda moment: moment.hour,
    "getMinutes": lambda moment: moment.minute,
    "getSeconds": lambda moment: moment.second,
    "getMilliseconds": lambda moment: moment.microsecond // 1000,
}
_MILLISECOND: Final = timedelta(milliseconds=1)
_LENGTHS: Final[dict[str, Callable[[timedelta], int]]] = {
    "getHours": lambda length: _toward_zero(length, timedelta(hours=1)),
    "getMinutes": lambda length: _toward_zero(length, timedelta(minutes=1)),
    "getSeconds": lambda length: _toward_zero(length, timedelta(seconds=1)),
    "getMilliseconds": lambda length: _toward_zero(length, _MILLISECOND) % 1000,
}


def _toward_zero(length: timedelta, unit: timedelta) -> int:
    return length // unit if length >= timedelta(0) else -(-length // unit)


def _time_field(name: str) -> Function:
    field, length = _FIELDS[name], _LENGTHS.get(name)

    def run(scope: Scope, value: Any, zone_name: Any = None) -> Any:  # noqa: ARG001
        if value.__class__ is timedelta and length is not None and zone_name is None:
            return length(value)
        if value.__class__ is not datetime or zone_name.__class__ not in (str, type(None)):
            return _undefined(name, value)
        if zone_name is None:
            return field(value)
        where = zone(zone_name)
        if where.__class__ is Fault:
            return where
        try:
            return field(value.astimezone(where))
        except (OverflowError, ValueError):
            return Fault("a time is out of range")

    return run


def _of_one(convert: Callable[[Any], Any]) -> Function:
    def run(scope: Scope, value: Any) -> Any:
        if value.__class__ in (str, bytes):
            charge(scope, len(value) >> 6)
        return convert(value)

    return run


GLOBAL: Final[dict[tuple[str, int], Function]] = {
    ("size", 1): _size,
    ("matches", 2): _matches,
    **{(name, 1): _of_one(convert) for name, convert in CONVERSIONS.items()},
}
"""Functions that are written ``f(x)``, by name and number of arguments."""

MEMBER: Final[dict[tuple[str, int], Function]] = {
    ("size", 1): _size,
    ("matches", 2): _matches,
    ("contains", 2): _text_test("contains", lambda text, part: part in text),
    ("startsWith", 2): _text_test("startsWith", str.startswith),
    ("endsWith", 2): _text_test("endsWith", str.endswith),
    ("lowerAscii", 1): _text_change("lowerAscii", lambda text: text.translate(_ASCII_LOWER)),
    ("upperAscii", 1): _text_change("upperAscii", lambda text: text.translate(_ASCII_UPPER)),
    ("trim", 1): _text_change("trim", str.strip),
    **{(name, count): _time_field(name) for name in _FIELDS for count in (1, 2)},
}
"""Functions that are written ``x.f()``, by name and number of arguments, x counted."""
