"""Stories for the engine: events at times, told in the words of the domain, and what came of them.

Every story is told twice: once straight through, and once by an engine that is stopped and restored from its
checkpoints after every message. Both must decide the same, so each test is a test of restarts, too.
"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict

from tocsin_automations.automation import Automation
from tocsin_automations.decision import Decision
from tocsin_automations.engine import (
    Rules,
    State,
    Tick,
    initial_state,
    next_due,
    restore,
    step,
    switch,
    warm_up,
)
from tocsin_events.duration import format_duration, parse_duration
from tocsin_events.envelope import encode_event
from tocsin_events.instant import parse_rfc3339
from tocsin_events.view import EventView

START = parse_rfc3339("2026-01-01T00:00:00Z")


class _Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


class Kind:
    """A kind of action that takes anything."""

    model = _Anything

    def __init__(self, name: str, main: str) -> None:
        self.name = name
        self.main = main


KINDS = {name: Kind(name, main) for name, main in (("notify", "to"), ("run_deployment", "deployment"))}


def automation(name: str = "rule", **written: Any) -> Automation:
    """Return an automation from its fields in a file (`for_` and `if_` are `for` and `if`)."""
    return Automation.model_validate({"name": name, **written}, context={"action_kinds": KINDS})


def micros(text: str | int) -> int:
    """Return a duration in microseconds; a leading minus is allowed."""
    if isinstance(text, int):
        return text
    return -parse_duration(text[1:]) if text.startswith("-") else parse_duration(text)


def resource(path: str, **labels: str) -> dict[str, Any]:
    """Return the resource ``kind/id``."""
    kind, _, id_ = path.partition("/")
    return {"kind": kind, "id": id_, "name": id_, "labels": labels, "tags": []}


class Story:
    """Automations applied at the start, and what happens to them."""

    def __init__(self, *automations: Automation, at: str = "0s", start: int = START, **rule: Any) -> None:
        self.start = start
        self.automations = list(automations) or [automation(**rule)]
        self.revision = 1
        self.rules = Rules.build(self.automations, 1, start + micros(at))
        self.state = initial_state(self.rules, start + micros(at))
        self.entries: dict[tuple[str, str], bytes] = {}
        self.decisions: list[Decision] = []
        self.views: list[EventView] = []
        self._twin = self._stored(self.state)

    def event(
        self, type: str, at: str, *, arrives: str | None = None, id: str | None = None, about: str | None = None,  # noqa: A002 - the event's own words
        related: list[dict[str, Any]] | None = None, source: str = "test", **fields: Any,
    ) -> "Story":  # fmt: skip
        """Let an event happen; it arrives at once unless told otherwise."""
        number = len(self.views) + 1
        data = {key: value for key, value in fields.items() if key not in ("follows", "cause", "hops")}
        body = encode_event(
            id=id or f"e{number}",
            type=type,
            source=source,
            time=self.start + micros(at),
            resource=None if about is None else resource(about),
            related=related or (),
            payload=data or None,
            follows=fields.get("follows"),
            cause=fields.get("cause"),
            hops=fields.get("hops", 0),
        )
        view = EventView.decode(body, received=self.start + micros(arrives or at), sequence=number)
        self.views.append(view)
        return self._step(view)

    def until(self, at: str) -> "Story":
        """Move the clock on, one timer at a time, as the service does."""
        end = self.start + micros(at)
        while (due := next_due(self.state)) is not None and due <= end:
            self._step(Tick(due))
        return self._step(Tick(end))

    def jump(self, at: str) -> "Story":
        """Move the clock on in one go, as after a time in which the service was down."""
        return self._step(Tick(self.start + micros(at)))

    def apply(self, *automations: Automation, warm: bool = False) -> "Story":
        """Apply a new revision now, and play history to new and changed rules if wanted."""
        old = {part.id for part in self.rules.parts}
        self.revision += 1
        self.rules = Rules.build(automations, self.revision, self.state.now)
        self.state, decisions = switch(self.rules, self.state, self.state.now)
        if warm:
            names = {rule.name for rule in self.rules.rules if rule.when.id not in old}
            since = self.state.now - self.rules.horizon(names)
            self.state = warm_up(
                self.rules, self.state, [v for v in self.views if v.received >= since], names
            )
        self.decisions += decisions
        self._twin = self._stored(self.state)
        return self

    @property
    def fired(self) -> list[tuple[Any, ...]]:
        """All firings so far: when, (state,) key, events. State only where it is a resolution."""
        found = []
        for decision in self.decisions:
            firing = decision.firing
            if firing is None:
                continue
            state = () if firing.state == "firing" else (firing.state,)
            found.append(
                (self._told(firing.at), *state, *firing.key, [self.views[n - 1].id for n in firing.sequences])
            )
        return found

    @property
    def times(self) -> list[str]:
        """When it fired or resolved (with a ``!``)."""
        return [
            self._told(one.firing.at) + ("" if one.firing.state == "firing" else "!")
            for one in self.decisions
            if one.firing is not None
        ]

    @property
    def outcomes(self) -> list[str]:
        """What was decided about each event that concerned a `when`, in order."""
        return [
            one.outcome.value for one in self.decisions if one.event_id is not None and one.part == "when"
        ]

    @property
    def last(self) -> Decision:
        """The latest decision."""
        return self.decisions[-1]

    def ids(self) -> list[str]:
        """Return the ids of all firings."""
        return [one.firing.id for one in self.decisions if one.firing is not None]

    def _told(self, at: int) -> str:
        return format_duration(at - self.start)

    def _step(self, seen: EventView | Tick) -> "Story":
        self.state, decisions = step(self.rules, self.state, seen)
        restored = restore(self.rules, self._header, self.entries)
        twin, again = step(self.rules, restored, seen)
        assert [_plain(one) for one in again] == [_plain(one) for one in decisions], (
            "a restart changed the decisions"
        )
        self._twin = self._stored(twin)
        assert next_due(self.state) == next_due(twin), "a restart changed the timers"
        self.decisions += decisions
        return self

    def _stored(self, state: State) -> State:
        changes = state.take_changes()
        self._header = changes.header
        for place, body in changes.entries.items():
            if body is None:
                self.entries.pop(place, None)
            else:
                self.entries[place] = body
        return state


def _plain(decision: Decision) -> str:
    firing = decision.firing
    shown = None
    if firing is not None:
        shown = [firing.id, firing.at, firing.state, firing.sequences, firing.count, firing.value, firing.suppressed,
                 None if firing.alert is None else [firing.alert.id, firing.alert.opened, firing.alert.count],
                 firing.hops, firing.cancels]  # fmt: skip
    return json.dumps([decision.automation, decision.part, decision.outcome, decision.at, decision.event_id,
                       decision.key, decision.reason, shown])  # fmt: skip
