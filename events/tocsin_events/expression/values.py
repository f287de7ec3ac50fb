"""The values of expressions, and how Python stands for CEL's types.

| CEL | Python | | CEL | Python |
|---|---|---|---|---|
| null | None | | string, bytes | str, bytes |
| bool | bool | | list, map | list, dict |
| int | int | | timestamp | datetime (UTC) |
| uint | `UInt` | | duration | timedelta |
| double | float | | type | `TypeValue` |

Errors are values, too: `Absent` and `Fault` flow through an evaluation like any other value, so that the logic
operators can absorb them without a raised exception. Types are told apart by exact class, which keeps Python's
``True == 1`` out. JSON's keys are strings; where a map literal has a bool as key, `BoolKey` stands for it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1


class Failure:
    """An evaluation that gave no value; it is falsy."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Absent(Failure):
    """The evaluation ended in a name or key that is not there; ``name`` is its full path."""

    name: str

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.name} is missing"


@dataclass(frozen=True, slots=True)
class Fault(Failure):
    """The evaluation went wrong: a type error, an overflow, a division by zero, an exceeded budget."""

    reason: str

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return self.reason


class UInt(int):
    """CEL's unsigned integer: a number that is no `int` of CEL's."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TypeValue:
    """A type as a value: what ``type(x)`` gives."""

    name: str


@dataclass(frozen=True, slots=True)
class BoolKey:
    """A bool as the key of a map: Python would take it for the number."""

    value: bool


NUMBERS: Final = frozenset({int, UInt, float})
SCALARS: Final = frozenset({str, int, bool, float, type(None), UInt, bytes, datetime, timedelta, TypeValue})
FAILURES: Final = frozenset({Absent, Fault})

_TYPE_NAMES: Final = {
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    type(None): "null_type",
    datetime: "google.protobuf.Timestamp",
    timedelta: "google.protobuf.Duration",
    TypeValue: "type",
}

TYPES: Final = {name: TypeValue(name) for name in _TYPE_NAMES.values()}
"""Every type by its name in the language."""

_SPOKEN: Final = {
    "null_type": "null",
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Duration": "duration",
}


def type_of(value: Any) -> TypeValue | Fault:
    """Return the type of a value as a value."""
    name = _TYPE_NAMES.get(value.__class__)
    return Fault(f"{spoken_type(value)} is no type of the language") if name is None else TYPES[name]


def spoken_type(value: Any) -> str:
    """Return the name of a value's type as messages say it."""
    name: str = _TYPE_NAMES.get(value.__class__) or str(value.__class__.__name__)
    return _SPOKEN.get(name, name)


def to_key(value: Any) -> Any:
    """Return a value as the key of a map; a `Fault` where it can't be one."""
    kind = value.__class__
    if kind is str or kind is int or kind is UInt:
        return value
    if kind is bool:
        return BoolKey(value)
    if kind is float and value.is_integer():
        return int(value)
    if kind in FAILURES:
        return value
    return Fault(f"{spoken_type(value)} can't be the key of a map")


def from_key(key: Any) -> Any:
    """Return the value that a map's key stands for."""
    return key.value if key.__class__ is BoolKey else key


def plain(value: Any) -> Any:
    """Return a value as plain Python: `UInt` as int, `TypeValue` as its name, keys as they were written."""
    kind = value.__class__
    if kind is UInt:
        return int(value)
    if kind is TypeValue:
        return value.name
    if kind is list:
        return [plain(one) for one in value]
    if kind is dict:
        return {plain(from_key(key)): plain(one) for key, one in value.items()}
    return value
