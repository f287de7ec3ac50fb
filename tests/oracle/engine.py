"""The engine over the same histories, told in the oracle's words."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from engine_story import automation
from oracle.matter import Cause, Told
from tocsin_automations.decision import Decision, Firing
from tocsin_automations.engine import Rules, State, Tick, initial_state, restore, step
from tocsin_events.view import EventView


def rules_of(rules: Mapping[str, Mapping[str, Any]], at: int, revision: int = 1, **options: Any) -> Rules:
    """Rules from automations as in a file, by name."""
    return Rules.build([automation(name, **rule) for name, rule in rules.items()], revision, at, **options)


class Life:
    """An engine that can be told to stop and come back from its checkpoints."""

    def __init__(self, rules: Rules, applied: int) -> None:
        self.rules = rules
        self.state = initial_state(rules, applied)
        self.entries: dict[tuple[str, str], bytes] = {}
        self.header = b""
        self.decisions: list[Decision] = []

    def step(self, seen: EventView | Tick) -> None:
        """Take in a message."""
        self.state, decisions = step(self.rules, self.state, seen)
        self.decisions += decisions

    def restart(self) -> None:
        """Write a checkpoint, and go on from what all checkpoints together hold."""
        self.save()
        self.state = self.restored()

    def restored(self) -> State:
        """The state that all checkpoints together hold."""
        return restore(self.rules, self.header, self.entries)

    def save(self) -> State:
        """Write a checkpoint."""
        changes = self.state.take_changes()
        self.header = changes.header
        for place, body in changes.entries.items():
            if body is None:
                self.entries.pop(place, None)
            else:
                self.entries[place] = body
        return self.state


def messages(views: Sequence[EventView], ticks: Iterable[int], end: int) -> list[EventView | Tick]:
    """Events and ticks in the order of the bus; a tick comes before an event of the same instant."""
    timed: list[tuple[int, int, EventView | Tick]] = [(view.received, 1, view) for view in views]
    timed += [(at, 0, Tick(at)) for at in (*ticks, end)]
    if timed:
        timed = [one for one in timed if one[0] <= end]
    return [seen for _, _, seen in sorted(timed, key=lambda one: one[:2])]


def live(
    rule: Mapping[str, Any], seen: Iterable[EventView | Tick], applied: int, *, restarts: bool = False
) -> list[Decision]:
    """All decisions of an engine with one rule."""
    life = Life(rules_of({"rule": rule}, applied), applied)
    for one in seen:
        life.step(one)
        if restarts:
            life.restart()
    return life.decisions


def told(decisions: Iterable[Decision], ids: Mapping[int, str], *, bare: bool = False) -> list[Told]:
    """What the engine fired and resolved, as the oracle says it."""
    firings = {one.firing.id: one.firing for one in decisions if one.firing is not None}
    said = [_as_told(firing, firings, ids) for firing in firings.values()]
    return sorted(replace(one, events=()) if bare else one for one in said)


def _as_told(firing: Firing, firings: Mapping[str, Firing], ids: Mapping[int, str]) -> Told:
    def events(firing: Firing) -> tuple[str, ...]:
        return tuple(ids[number] for number in firing.sequences)

    if firing.state != "firing":
        return Told(firing.at, repr(firing.key), firing.state, ())
    cancels = tuple((firings[id_].at, events(firings[id_])) for id_ in firing.cancels)
    return Told(firing.at, repr(firing.key), firing.state, events(firing), firing.suppressed, cancels)


def caused(
    rules: Mapping[str, Mapping[str, Any]],
    seen: Iterable[EventView | Tick],
    picks: Mapping[int, int],
    ids: Mapping[int, str],
    applied: int,
) -> tuple[dict[str, list[Told]], dict[int, Cause]]:
    """What rules fired where some events are caused by earlier firings, and by which.

    ``picks`` chooses among the firings so far, by the number of the event. The events get what causes them.
    """
    life = Life(rules_of(rules, applied), applied)
    causes: dict[int, Cause] = {}
    for one in seen:
        if isinstance(one, EventView) and one.sequence in picks:
            life.step(Tick(one.received))
            firings = sorted(_firings(life.decisions, ids), key=lambda firing: firing[0])
            if firings:
                causes[one.sequence], firing = firings[picks[one.sequence] % len(firings)]
                one.cause, one.hops = firing.id, firing.hops
        life.step(one)
    by_rule = {name: [one for one in life.decisions if one.automation == name] for name in rules}
    return {name: told(decisions, ids) for name, decisions in by_rule.items()}, causes


def _firings(decisions: Sequence[Decision], ids: Mapping[int, str]) -> Iterator[tuple[Cause, Firing]]:
    for name in {one.automation for one in decisions}:
        mine = [one for one in decisions if one.automation == name]
        found = [one.firing for one in mine if one.firing is not None and one.firing.state == "firing"]
        for firing in found:
            yield (name, _as_told(firing, {other.id: other for other in found}, ids)), firing


def plain(decisions: Iterable[Decision]) -> list[str]:
    """Decisions as text that can be compared: everything but the bodies of events."""
    lines = []
    for one in decisions:
        firing = one.firing
        shown = firing and [
            firing.id, firing.at, firing.state, firing.key, firing.sequences, firing.last, firing.count, firing.value,
            firing.suppressed, firing.alert and [firing.alert.id, firing.alert.opened, firing.alert.count],
            firing.hops, firing.reason, firing.cancels,
        ]  # fmt: skip
        lines.append(
            json.dumps(
                [one.automation, one.part, one.outcome, one.at, one.event_id, one.key, one.reason, shown]
            )
        )
    return lines
