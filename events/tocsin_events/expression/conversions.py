"""The functions that turn a value of one type into one of another (CEL's standard definitions).

Timestamps and durations are kept in whole microseconds; what is finer is cut off.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tocsin_events.expression.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    Fault,
    UInt,
    spoken_type,
    type_of,
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SHOWN: Final = 40
_INT: Final = re.compile(r"[+-]?[0-9]{1,30}")
_UINT: Final = re.compile(r"[0-9]{1,30}")
_DOUBLE: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[+-]?(?:inf|infinity)|nan", re.IGNORECASE
)
_TRUE: Final = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "false", "FALSE", "False"})
_TIMESTAMP: Final = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DURATION: Final = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:h|ms|us|µs|ns|m|s))+", re.ASCII)
_DURATION_PART: Final = re.compile(r"(\d+\.?\d*|\.\d+)(h|ms|us|µs|ns|m|s)", re.ASCII)
_NANOS: Final = {
    "h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000,
    "ms": 1_000_000, "us": 1000, "µs": 1000, "ns": 1,
}  # fmt: skip
_LONGEST: Final = timedelta(seconds=315_576_000_000)


def _refused(value: Any, wanted: str) -> Fault:
    if value.__class__ is str:
        shown = value if len(value) <= _SHOWN else value[:_SHOWN] + "…"
        return Fault(f"{shown!r} is no {wanted}")
    return Fault(f"{spoken_type(value)} can't become {wanted}")


def to_int(value: Any) -> Any:
    """``int(x)``: a double is cut towards zero, a timestamp gives its seconds since 1970."""
    match value:
        case bool():
            return _refused(value, "int")
        case int():
            number = int(value)
        case float():
            if not INT_MIN < value <= INT_MAX:
                return Fault(f"{written_double(value)} does not fit into an int")
            number = int(value)
        case str() if _INT.fullmatch(value):
            number = int(value)
        case datetime() if value.tzinfo is not None:
            number = (value - _EPOCH) // timedelta(seconds=1)
        case _:
            return _refused(value, "int")
    return number if INT_MIN <= number <= INT_MAX else Fault("a number does not fit into 64 bits")


def to_uint(value: Any) -> Any:
    """``uint(x)``."""
    match value:
        case bool():
            return _refused(value, "uint")
        case int():
            number = int(value)
        case float():
            if not 0 <= value <= UINT_MAX:
                return Fault(f"{written_double(value)} does not fit into a uint")
            number = int(value)
        case str() if _UINT.fullmatch(value):
            number = int(value)
        case _:
            return _refused(value, "uint")
    return UInt(number) if 0 <= number <= UINT_MAX else Fault("a number does not fit into 64 unsigned bits")


def to_double(value: Any) -> Any:
    """``double(x)``."""
    match value:
        case bool():
            return _refused(value, "double")
        case float():
            return value
        case int():
            return (
                float(value) if INT_MIN <= value <= UINT_MAX else Fault("a number does not fit into 64 bits")
            )
        case str() if len(value) <= 400 and _DOUBLE.fullmatch(value):
            return float(value)
        case _:
            return _refused(value, "double")


def to_bool(value: Any) -> Any:
    """``bool(x)``."""
    if value.__class__ is bool:
        return value
    if value.__class__ is str and value in _TRUE:
        return True
    if value.__class__ is str and value in _FALSE:
        return False
    return _refused(value, "bool")


def to_string(value: Any) -> Any:
    """``string(x)``."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return (
                str(int(value))
                if INT_MIN <= value <= UINT_MAX
                else Fault("a number does not fit into 64 bits")
            )
        case float():
            return written_double(value)
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return Fault("the bytes are no UTF-8 text")
        case datetime():
            return written_timestamp(value)
        case timedelta():
            return written_duration(value)
        case _:
            return _refused(value, "string")


def to_bytes(value: Any) -> Any:
    """``bytes(x)``."""
    if value.__class__ is bytes:
        return value
    if value.__class__ is str:
        try:
            return value.encode()
        except UnicodeEncodeError:
            return Fault("the text has half a surrogate pair")
    return _refused(value, "bytes")


def to_timestamp(value: Any) -> Any:
    """``timestamp(x)``: from RFC 3339, or from seconds since 1970."""
    match value:
        case datetime():
            return value
        case bool() | UInt():
            return _refused(value, "timestamp")
        case int():
            try:
                return _EPOCH + timedelta(seconds=value)
            except OverflowError:
                return Fault("a time is out of range")
        case str():
            return _read_timestamp(value)
        case _:
            return _refused(value, "timestamp")


def _read_timestamp(text: str) -> Any:
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return _refused(text, "timestamp (write it as 2026-03-01T06:00:00Z)")
    moment, fraction, offset = match.groups()
    try:
        return datetime.fromisoformat(
            f"{moment.upper()}{(fraction or '')[:7]}{offset.upper().replace('Z', '+00:00')}"
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        return _refused(text, "timestamp")


def to_duration(value: Any) -> Any:
    """``duration(x)``: from a text such as ``1h30m`` or ``1.5s``."""
    if value.__class__ is timedelta:
        return value
    if value.__class__ is not str:
        return _refused(value, "duration")
    if value in ("0", "+0", "-0"):
        return timedelta(0)
    if len(value) > 200 or not _DURATION.fullmatch(value):
        return _refused(value, "duration (write it as 1h30m or 90s)")
    nanos = sum(_nanos(number, _NANOS[unit]) for number, unit in _DURATION_PART.findall(value))
    try:
        length = timedelta(microseconds=nanos // 1000)
    except OverflowError:
        return Fault("a duration is out of range")
    if length > _LONGEST:
        return Fault("a duration is out of range")
    return -length if value.startswith("-") else length


def _nanos(number: str, unit: int) -> int:
    whole, _, fraction = number.partition(".")
    fraction = fraction[:18]
    scale: int = 10 ** len(fraction)
    return int(whole or "0") * unit + int(fraction or "0") * unit // scale


def written_double(value: float) -> str:
    """Return a double in its shortest form, as CEL writes it: ``1e+06``, ``0.5``, ``3``."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    digits, _, exponent = f"{abs(value)!r}".lower().partition("e")
    whole, _, fraction = digits.partition(".")
    point = len(whole) + int(exponent or "0")
    figures = (whole + fraction).strip()
    stripped = figures.lstrip("0")
    point -= len(figures) - len(stripped)
    figures = stripped.rstrip("0")
    if not figures:
        return sign + "0"
    scale = point - 1
    if scale < -4 or scale >= 21:
        mantissa = figures[0] + ("." + figures[1:] if len(figures) > 1 else "")
        return f"{sign}{mantissa}e{'-' if scale < 0 else '+'}{abs(scale):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{figures}"
    if point >= len(figures):
        return sign + figures + "0" * (point - len(figures))
    return f"{sign}{figures[:point]}.{figures[point:]}"


def written_timestamp(value: datetime) -> str:
    """Return a timestamp as RFC 3339 in UTC, with as many decimals as it needs."""
    text = value.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    decimals = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return f"{text}{decimals}Z"


def written_duration(value: timedelta) -> str:
    """Return a duration in seconds, ``5400s``."""
    micros = value // _MICROSECOND
    seconds, rest = divmod(abs(micros), 1_000_000)
    decimals = f".{rest:06d}".rstrip("0") if rest else ""
    return f"{'-' if micros < 0 else ''}{seconds}{decimals}s"


def identity(value: Any) -> Any:
    """``dyn(x)``."""
    return value


CONVERSIONS: Final[dict[str, Callable[[Any], Any]]] = {
    "int": to_int,
    "uint": to_uint,
    "double": to_double,
    "bool": to_bool,
    "string": to_string,
    "bytes": to_bytes,
    "timestamp": to_timestamp,
    "duration": to_duration,
    "type": type_of,
    "dyn": identity,
}
"""Every conversion by its name; none is called with a failure."""
