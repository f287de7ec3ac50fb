"""Replay: the engine over stored events, with the clock that they carry. For `why`, backtests and rule tests. Pure."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tocsin_automations.decision import Decision, Outcome
from tocsin_automations.engine import State, Tick, initial_state, step
from tocsin_automations.explain import PartWhy, conditions_met
from tocsin_automations.rules import Rules
from tocsin_automations.selector import key_values
from tocsin_events.view import EventView


@dataclass(frozen=True, slots=True)
class Why:
    """What an automation made of an event, part by part; empty where it doesn't listen to events of that type."""

    automation: str
    event: EventView
    at: int
    parts: tuple[PartWhy, ...]

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        if not self.parts:
            return [f"{self.automation} does not listen to {self.event.type}"]
        return [line for part in self.parts for line in part.lines()]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "automation": self.automation,
            "event": {"source": self.event.source, "id": self.event.id, "type": self.event.type},
            "parts": [part.to_json() for part in self.parts],
        }


def replay(
    rules: Rules,
    views: Iterable[EventView],
    *,
    start: int,
    until: int | None = None,
    state: State | None = None,
) -> Iterator[Decision]:
    """Yield every decision over a stream of events in the order of the bus, timers in between included.

    The rules are applied at ``start`` unless a ``state`` is given; timers go on until the clock ``until``.
    """
    state = initial_state(rules, start) if state is None else state
    for view in views:
        state, decisions = step(rules, state, view)
        yield from decisions
    if until is not None:
        state, decisions = step(rules, state, Tick(until))
        yield from decisions


def play(rules: Rules, state: State, views: Iterable[EventView]) -> State:
    """Return the state after events, whatever was decided."""
    for view in views:
        state, _ = step(rules, state, view)
    return state


def why(rules: Rules, state: State, view: EventView, name: str) -> tuple[State, Why]:
    """Return what an automation makes of an event that comes next, with its tree before; and the state after.

    Raises:
        KeyError: there is no such automation.

    """
    rule = rules.by_name[name]
    state, _ = step(rules, state, Tick(max(state.now, view.received)))
    asked = conditions_met(state, view, rule)
    state, decisions = step(rules, state, view)
    told = []
    for part, node, keys, reason in asked:
        mine = tuple(one for one in decisions if one.automation == name and one.part == part.role)
        # What the event itself led to comes before what it let go or set off.
        about = [one for one in mine if (one.source, one.event_id) == view.key]
        outcome, said = (about[0].outcome, about[0].reason) if about else _silent(part.role, keys, reason)
        told.append(PartWhy(part.role, outcome, said, tuple(key_values(key) for key in keys), node, mine))
    return state, Why(name, view, state.now, tuple(told))


def _silent(role: str, keys: Collection[str], reason: str) -> tuple[Outcome, str]:
    return Outcome.NO_MATCH, "no alert is open" if role == "until" and keys else reason
