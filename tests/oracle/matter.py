"""What the oracle's triggers are made of: events in their order, conditions, keys, and what a trigger gives."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tocsin_events.view import EventView

SECOND = 1_000_000
_UNITS = {"ms": SECOND // 1000, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND, "d": 86_400 * SECOND}


def micros(text: str) -> int:
    """A duration such as ``90s`` or ``1h30m``."""
    parts = re.findall(r"(\d+)(ms|[smhd])", text)
    assert "".join(number + unit for number, unit in parts) == text, text
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


@dataclass(frozen=True, eq=False)
class Seen:
    """An event as an automation sees it: when it happened, and the place in which it came.

    ``behind`` is how many events of the same time it follows that came after it.
    """

    view: EventView
    time: int
    place: int
    behind: int = 0

    @property
    def order(self) -> tuple[int, int, int]:
        """Order is event time, then `follows`, then arrival."""
        return self.time, self.behind, self.place

    def __deepcopy__(self, memo: dict[int, Any]) -> "Seen":
        """An event is the same one in a trigger that is copied."""
        return self


@dataclass(frozen=True, eq=False)
class Fire:
    """A trigger fired: at which event time, on which events."""

    time: int
    events: tuple[Seen, ...]
    suppressed: int = 0


@dataclass(frozen=True)
class Back:
    """The natural opposite came."""


Key = tuple[Any, ...]
Signals = list[tuple[Key, "Fire | Back"]]


def in_order(events: Sequence[Seen]) -> tuple[Seen, ...]:
    """Each event once, in order."""
    return tuple(sorted(set(events), key=lambda seen: seen.order))


def fits_pattern(patterns: Any, type_: str) -> bool:
    """NATS patterns: tokens, ``*`` is one, a trailing ``>`` one or more."""
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        wanted, had = pattern.split("."), type_.split(".")
        if wanted[-1] == ">" and len(had) >= len(wanted):
            wanted, had = wanted[:-1], had[: len(wanted) - 1]
        if len(wanted) == len(had) and all(w in ("*", h) for w, h in zip(wanted, had, strict=True)):
            return True
    return False


SUBJECT = "the resource itself"
_NONE = object()


def value_of(path: str, view: EventView) -> Any:
    """The value of a path such as ``data.k``; `_NONE` where there is none."""
    if path == SUBJECT:
        return _NONE if view.subject is None else view.subject
    first, *rest = path.split(".")
    found: Any = {"data": view.data, "resource": view.resource}[first]
    for name in rest:
        if not isinstance(found, Mapping) or name not in found:
            return _NONE
        found = found[name]
    return found


def holds(condition: str | None, view: EventView) -> bool:
    """Whether ``path == constant`` or ``path >= constant`` is true; false where the path ends in nothing."""
    if condition is None:
        return True
    path, sign, constant = condition.split(" ")
    found = value_of(path, view)
    if found is _NONE:
        return False
    wanted: Any = constant[1:-1] if constant.startswith('"') else int(constant)
    return bool(found == wanted if sign == "==" else found >= wanted)


def matches(patterns: Any, condition: str | None, seen: Seen) -> bool:
    """Whether an event has a wanted type and fulfils the condition."""
    return fits_pattern(patterns, seen.view.type) and holds(condition, seen.view)


def number_of(path: str, view: EventView) -> float | None:
    """The number at a path, None where there is none."""
    found = value_of(path, view)
    return None if found is _NONE or isinstance(found, bool) or not isinstance(found, int | float) else found


@dataclass(frozen=True)
class Setting:
    """What a trigger needs to know of where it stands."""

    grace: int
    applied: int
    for_each: tuple[str, ...] = ()
    nested: bool = False
    marks: dict[str, Any] = field(default_factory=dict)

    def inside(self, spec: Mapping[str, Any], *, nested: bool | None = None) -> "Setting":
        """The setting of a trigger with perhaps a `for_each` of its own."""
        own = spec.get("for_each", ())
        own = (own,) if isinstance(own, str) else tuple(own)
        return Setting(
            self.grace, self.applied, own or self.for_each, self.nested if nested is None else nested
        )

    def key(self, view: EventView) -> Key | None:
        """The values of `for_each`; None where one has no value."""
        values = tuple(value_of(path, view) for path in self.for_each)
        return None if any(value is _NONE for value in values) else values


@dataclass(frozen=True, order=True)
class Told:
    """A firing or a resolution: when by the clock, for which key, on which events (ids, in order).

    ``cancels`` are the firings whose runs it ends: when, and on which events.
    """

    at: int
    key: str
    state: str
    events: tuple[str, ...]
    suppressed: int = 0
    cancels: tuple[tuple[int, tuple[str, ...]], ...] = ()


Cause = tuple[str, Told]
"""A firing, with the name of its rule."""


@dataclass(frozen=True)
class Origin:
    """What lies behind an event or a firing: so many firings, of these rules."""

    hops: int = 0
    rules: frozenset[str] = frozenset()
