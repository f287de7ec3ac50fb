"""Decisions: what the engine made of an event, and the firings that come of it."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

from tocsin_events.instant import to_rfc3339
from tocsin_events.view import EventView


class Outcome(StrEnum):
    """Everything that a part of an automation can make of an event: a closed list."""

    FIRED = "fired"
    NO_MATCH = "no_match"
    NO_KEY = "no_key"
    PENDING = "pending"
    WAITING = "waiting"
    SATISFIED = "satisfied"
    RESOLVED = "resolved"
    HELD = "held"
    COOLDOWN = "cooldown"
    DEBOUNCED = "debounced"
    BATCHED = "batched"
    RATE_LIMITED = "rate_limited"
    CONCURRENCY_SKIPPED = "concurrency_skipped"
    DUPLICATE = "duplicate"
    LATE = "late"
    PAUSED = "paused"
    LOOP = "loop"
    CONDITION_ERROR = "condition_error"


class AlertRef(msgspec.Struct, frozen=True, gc=False):
    """The alert that a firing opened, updated or closed; ``opened`` in microseconds, ``count`` its firings."""

    id: str
    opened: int
    count: int


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """An automation fires, or closes its alert: what its actions act on.

    ``id`` is derived from what caused it, so the same history always gives the same id. ``at`` is the engine's
    clock in microseconds. ``sequences`` are the numbers on the bus of the events that made it, in event-time order,
    and ``last`` the number of the event that the templates call ``event``. The engine keeps no bodies of old events:
    ``events`` and ``event`` hold those that it still had in memory, ``missing`` names the rest, and `with_events`
    adds them. ``cancels`` are earlier firings whose runs this one replaces (``concurrency: {mode: restart}``).
    """

    id: str
    automation: str
    revision: int
    key: tuple[Any, ...]
    at: int
    state: Literal["firing", "resolved"] = "firing"
    sequences: tuple[int, ...] = ()
    last: int | None = None
    events: tuple[EventView, ...] = ()
    event: EventView | None = None
    count: int = 0
    value: int | float | None = None
    suppressed: int = 0
    alert: AlertRef | None = None
    hops: int = 0
    reason: str = ""
    explain: Callable[["Firing"], Mapping[str, Any]] | None = None
    cancels: tuple[str, ...] = ()

    @property
    def tree(self) -> Mapping[str, Any]:
        """The tree of the trigger with the value of each part, as JSON values, for the events that are there."""
        return {} if self.explain is None else self.explain(self)

    @property
    def missing(self) -> tuple[int, ...]:
        """The numbers of the events whose bodies the engine no longer had."""
        wanted = dict.fromkeys(self.sequences if self.last is None else (*self.sequences, self.last))
        if len(self.events) == len(self.sequences) and (self.last is None or self.event is not None):
            return ()
        had = {view.sequence for view in self.events} | ({self.last} if self.event is not None else set())
        return tuple(number for number in wanted if number not in had)

    def with_events(self, found: Mapping[int, EventView]) -> "Firing":
        """Return the firing completed by events found elsewhere, by their number on the bus."""
        had = {view.sequence: view for view in self.events} | dict(found)
        events = tuple(had[number] for number in self.sequences if number in had)
        event = self.event
        if event is None and self.last is not None:
            event = had.get(self.last)
        return msgspec.structs.replace(self, events=events, event=event)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What one part of an automation (``when`` or ``until``) made of an event or of a timer.

    ``event_id`` and ``source`` are None where a timer decided. ``detail`` has the numbers behind ``reason``: ``have``
    and ``need``, ``until`` (an instant in microseconds), ``why``.
    """

    automation: str
    part: Literal["when", "until"]
    outcome: Outcome
    at: int
    event_id: str | None = None
    source: str | None = None
    key: tuple[Any, ...] | None = None
    detail: Mapping[str, Any] = {}
    firing: Firing | None = None

    @property
    def reason(self) -> str:
        """The outcome in a few words."""
        return describe(self.outcome, self.detail)


def describe(outcome: Outcome, detail: Mapping[str, Any]) -> str:
    """Return an outcome and the numbers behind it in a few words."""
    if "why" in detail:
        return str(detail["why"])
    return _SENTENCES[outcome](detail)


def _pending(detail: Mapping[str, Any]) -> str:
    if "have" not in detail:
        return "waits for more"
    end = f", until {to_rfc3339(detail['until'])}" if "until" in detail else ""
    return f"{detail['have']} of {detail['need']}{end}"


def _timed(words: str) -> Callable[[Mapping[str, Any]], str]:
    def say(detail: Mapping[str, Any]) -> str:
        return f"{words} until {to_rfc3339(detail['until'])}" if "until" in detail else words

    return say


def _plain(words: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda _detail: words


_SENTENCES: Final[Mapping[Outcome, Callable[[Mapping[str, Any]], str]]] = {
    Outcome.FIRED: _plain("fired"),
    Outcome.NO_MATCH: _plain("does not match"),
    Outcome.NO_KEY: _plain("has no value for for_each"),
    Outcome.PENDING: _pending,
    Outcome.WAITING: _timed("waits"),
    Outcome.SATISFIED: _plain("is what was waited for"),
    Outcome.RESOLVED: _plain("closed the alert"),
    Outcome.HELD: _timed("waits for the event that it follows, at most"),
    Outcome.COOLDOWN: _timed("held back by the cooldown"),
    Outcome.DEBOUNCED: _timed("debounced"),
    Outcome.BATCHED: _timed("collected in a batch"),
    Outcome.RATE_LIMITED: _plain("held back by the rate limit"),
    Outcome.CONCURRENCY_SKIPPED: _plain("runs of an earlier firing have not ended"),
    Outcome.DUPLICATE: _plain("was seen before"),
    Outcome.LATE: _plain("arrived after its window and the grace had ended"),
    Outcome.PAUSED: _plain("the automation is paused"),
    Outcome.LOOP: _plain("was caused by this automation itself, too many hops deep"),
    Outcome.CONDITION_ERROR: _plain("the condition went wrong"),
}
