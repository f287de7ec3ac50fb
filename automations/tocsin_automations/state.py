"""What the engine knows between two steps, and how it is kept: a small header and one entry for each key.

A checkpoint holds only the entries that changed since the last one. Everything that `step` depends on is here, so a
restored state goes on exactly as the old one would have.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappush
from typing import Any, Final

import msgspec

from tocsin_automations.decision import Outcome
from tocsin_automations.limits import LimitState
from tocsin_automations.memory import Lately, Recent, Remembered, Seen
from tocsin_automations.rules import Part, Rule, Rules
from tocsin_automations.selector import Miss
from tocsin_automations.trigger import Kept
from tocsin_events.instant import SECOND
from tocsin_events.view import EventView

DUPLICATES_SPAN: Final = 3600 * SECOND
"""How long an event is remembered so that its duplicate changes nothing, in microseconds."""

_MOST_SEEN: Final = 500_000
_MOST_TRAILS: Final = 100_000
_MOST_LINEAGES: Final = 50_000
_MOST_VIEWS: Final = 2_000
_TRAIL: Final = 8

Timer = tuple[int, int, str]
"""When (microseconds), what about (a held event, or a part's or a rule's ``timer``), and the key."""

HELD: Final = 0
"""What a timer of an event that is held back is about."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Alert(msgspec.Struct, gc=False, array_like=True):
    """An open alert of a key: ``count`` firings since ``opened``; ``first`` is the id of the firing that opened it."""

    id: str
    opened: int
    count: int
    first: str


class Held(msgspec.Struct, array_like=True):
    """An event that waits in one part, with the keys and selectors that it passed; times in microseconds.

    ``body`` is the event as JSON: other than msgpack it takes whole numbers of any size.
    """

    part: str
    id: str
    follows: str | None
    subject: str | None
    time: int
    body: bytes
    hits: dict[str, int]
    arrived: int
    until: int


@dataclass(frozen=True)
class Changes:
    """What a checkpoint writes: the header, and the entries that changed (None: gone) by space and key."""

    header: bytes
    entries: dict[tuple[str, str], bytes | None]


class _Header(msgspec.Struct):
    now: int
    sequence: int
    revision: int
    fused: list[str]


class State:
    """The engine's memory; made by `initial_state` or `restore`, changed by `step` alone.

    ``now`` is its clock (microseconds) and ``sequence`` the number of the last message that it took in:
    of the event ``latest``, where that is not forgotten.
    """

    def __init__(self, rules: Rules, now: int) -> None:
        self.now = now
        self.sequence = 0
        self.latest: EventView | None = None
        self.revision = rules.revision
        self.slots: list[dict[str, Kept]] = [{} for _ in rules.parts]
        self.limits: list[dict[str, LimitState]] = [{} for _ in rules.rules]
        self.alerts: list[dict[str, Alert]] = [{} for _ in rules.rules]
        self.heap: list[Timer] = []
        self.held: dict[str, Held] = {}
        self.fused: set[str] = set()
        self.active: dict[str, tuple[int, str]] = {}
        self.seen = Seen(DUPLICATES_SPAN, _MOST_SEEN)
        self.trails: Lately[Sequence[str]] = Lately(_MOST_TRAILS)
        self.lineages: Lately[Sequence[str]] = Lately(_MOST_LINEAGES)
        self.views: Recent[int, EventView] = Recent(_MOST_VIEWS)
        self.dirty: set[tuple[str, str]] = set()
        self.counts: dict[tuple[int, str, Outcome, str], int] = {}
        self.misses: list[dict[Miss, int]] = [{} for _ in rules.parts]
        self.types: dict[str, TypeCount] = {}
        self._rules = rules

    @property
    def rules(self) -> Rules:
        """The rules whose states these are."""
        return self._rules

    def take_changes(self) -> Changes:
        """Return what changed since the last time."""
        entries: dict[tuple[str, str], bytes | None] = {}
        spaces = self._spaces()
        for space, key in self.dirty:
            found = spaces.get(space, {}).get(key)
            entries[space, key] = None if found is None else _packed(found)
        self.dirty.clear()
        for space, memory in self._memories():
            entries.update({(space, key): body for key, body in memory.take()})
        header = _Header(self.now, self.sequence, self.revision, sorted(self.fused))
        return Changes(_encode(header), entries)

    def take_counters(self) -> dict[tuple[str, str, str, str], int]:
        """Return how often each (automation, part, outcome, reason) was decided since the last time."""
        counted: dict[tuple[str, str, str, str], int] = {}

        def add(number: int, role: str, outcome: Outcome, reason: str, count: int) -> None:
            key = self._rules.owners[number].name, role, outcome.value, reason
            counted[key] = counted.get(key, 0) + count

        parts = self._rules.parts
        for (number, role, outcome, reason), count in self.counts.items():
            add(number, role, outcome, reason, count)
        for number, misses in enumerate(self.misses):
            for miss, count in misses.items():
                add(number, parts[number].role, miss.outcome, miss.reason, count)
        for type_, counter in self.types.items():
            for number, source in self._rules.index.of_type(type_).skipped.items():
                skipped = counter.total - counter.looked.get(number, 0)
                if skipped > 0:
                    add(number, parts[number].role, Outcome.NO_MATCH, source, skipped)
        self.counts, self.types, self.misses = {}, {}, [{} for _ in self._rules.parts]
        return counted

    def schedule(self, part: Part, key: str, kept: Kept) -> None:
        """Put the next timer of a kept into the queue, unless one that is due earlier is there."""
        due = part.trigger.due(kept)
        if due is not None and (kept.queued is None or due < kept.queued):
            kept.queued = due
            heappush(self.heap, (due, part.timer, key))

    def schedule_limit(self, rule: Rule, key: str, limit: LimitState) -> None:
        """Put the next timer of a limit into the queue."""
        due = limit.due(rule.limits)
        if due is not None:
            heappush(self.heap, (due, rule.timer, key))

    def is_valid(self, timer: Timer) -> bool:
        """Tell whether a timer in the queue still means something."""
        due, about, key = timer
        match self._rules.about(about):
            case Part() as part:
                kept = self.slots[part.number].get(key)
                return kept is not None and kept.queued == due
            case Rule() as rule:
                limit = self.limits[rule.number].get(key)
                return limit is not None and limit.due(rule.limits) == due
            case None:
                return key in self.held

    def remember(self, number: int, view: EventView) -> None:
        """Keep an event in memory, under its number, for those that may fire on it later."""
        body = view.body
        self.views.put(number, view if body is None else Remembered(body, view.received, view.sequence))

    def recall(self, number: int) -> EventView | None:
        """Return an event by its number, if it is still in memory."""
        return self.latest if number == self.sequence else self.views.get(number)

    def requeue(self) -> None:
        """Make the queue of timers anew from the states."""
        self.heap = []
        for part, slots in zip(self._rules.parts, self.slots, strict=True):
            for key, kept in slots.items():
                kept.queued = part.trigger.due(kept)
                if kept.queued is not None:
                    self.heap.append((kept.queued, part.timer, key))
        for rule, limits in zip(self._rules.rules, self.limits, strict=True):
            for key, limit in limits.items():
                due = limit.due(rule.limits)
                if due is not None:
                    self.heap.append((due, rule.timer, key))
                self.active.update({active.firing: (rule.number, key) for active in limit.active})
        self.heap.extend((held.until, HELD, key) for key, held in self.held.items())
        heapify(self.heap)

    def begin(self, part: Part, at: int) -> None:
        """Let a part start: arm what it watches from the moment it is applied."""
        for key in part.trigger.standing:
            begun = part.trigger.begin(key, at)
            if begun is not None and key not in self.slots[part.number]:
                self.slots[part.number][key] = begun
                self.dirty.add((part.id, key))

    def load(self, entries: Mapping[tuple[str, str], bytes]) -> None:
        """Take over the entries of a checkpoint; those of parts that are no more are dropped."""
        by_space: dict[str, dict[str, bytes]] = {}
        for (space, key), body in entries.items():
            by_space.setdefault(space, {})[key] = body
        for part, slots in zip(self._rules.parts, self.slots, strict=True):
            for key, body in by_space.get(part.id, {}).items():
                slots[key] = part.trigger.load(_decode(body))
        for rule in self._rules.rules:
            for key, body in by_space.get(_limits(rule.name), {}).items():
                self.limits[rule.number][key] = msgspec.msgpack.decode(body, type=LimitState)
            for key, body in by_space.get(_alerts(rule.name), {}).items():
                self.alerts[rule.number][key] = msgspec.msgpack.decode(body, type=Alert)
        for key, body in by_space.get("held", {}).items():
            self.held[key] = msgspec.msgpack.decode(body, type=Held)
        for space, memory in self._memories():
            memory.restore(by_space.get(space, {}))
        self.requeue()

    def touch_limit(self, rule: Rule, key: str) -> LimitState:
        """Return the memory of the limits for a key, to be changed."""
        limit = self.limits[rule.number].get(key)
        if limit is None:
            limit = self.limits[rule.number][key] = LimitState()
        self.dirty.add((_limits(rule.name), key))
        return limit

    def drop_limit(self, rule: Rule, key: str) -> None:
        """Forget what the limits remember of a key."""
        self.limits[rule.number].pop(key, None)
        self.dirty.add((_limits(rule.name), key))

    def set_alert(self, rule: Rule, key: str, alert: Alert | None) -> None:
        """Open, update or close (None) the alert of a key."""
        if alert is None:
            self.alerts[rule.number].pop(key, None)
        else:
            self.alerts[rule.number][key] = alert
        self.dirty.add((_alerts(rule.name), key))

    def follow(self, view: EventView) -> None:
        """Remember that an event of a resource has come."""
        subject = view.subject
        if subject is not None:
            self.trails.put(subject, [*(self.trails.get(subject) or ())[-_TRAIL + 1 :], view.id])

    def _spaces(self) -> dict[str, Mapping[str, Any]]:
        spaces: dict[str, Mapping[str, Any]] = {"held": self.held}
        for part, slots in zip(self._rules.parts, self.slots, strict=True):
            spaces[part.id] = slots
        for rule in self._rules.rules:
            spaces[_limits(rule.name)] = self.limits[rule.number]
            spaces[_alerts(rule.name)] = self.alerts[rule.number]
        return spaces

    def _memories(self) -> Iterator[tuple[str, Seen | Lately[Sequence[str]]]]:
        yield "seen", self.seen
        yield "trail", self.trails
        yield "lineage", self.lineages


class TypeCount:
    """How many events of a type came, and how many of them each part looked at."""

    __slots__ = ("looked", "total")

    def __init__(self) -> None:
        self.total = 0
        self.looked: dict[int, int] = {}


def initial_state(rules: Rules, at: int) -> State:
    """Return the state of rules that are applied at the clock ``at`` and have seen nothing yet."""
    state = State(rules, at)
    for rule in rules.rules:
        state.begin(rule.when, at)
    state.requeue()
    return state


def restore(rules: Rules, header: bytes, entries: Mapping[tuple[str, str], bytes | None]) -> State:
    """Return the state that `State.take_changes` wrote: its last header, and the entries of all checkpoints."""
    kept = msgspec.msgpack.decode(header, type=_Header)
    state = State(rules, kept.now)
    state.sequence = kept.sequence
    state.revision = kept.revision
    state.fused = set(kept.fused)
    state.load({place: body for place, body in entries.items() if body is not None})
    return state


def carry_over(old: State, rules: Rules, at: int) -> tuple[State, tuple[Part, ...]]:
    """Return the state of a new revision, with the windows, alerts, limits and timers of what did not change.

    The second value are the parts that start anew.
    """
    before = {part.id: old.slots[part.number] for part in old.rules.parts}
    state = State(rules, max(old.now, at))
    state.sequence, state.latest = old.sequence, old.latest
    state.fused = {
        name for name in old.fused if name in rules.by_name and rules.by_name[name].automation.enabled
    }
    state.seen, state.trails, state.lineages, state.views = old.seen, old.trails, old.lineages, old.views
    state.dirty = old.dirty
    state.held = {
        key: held for key, held in old.held.items() if held.part in {part.id for part in rules.parts}
    }
    started = []
    for part in rules.parts:
        kept = before.pop(part.id, None)
        if kept is not None:
            state.slots[part.number] = kept
            continue
        started.append(part)
        if part.role == "when":
            state.begin(part, state.now)
    for part_id, slots in before.items():
        state.dirty.update((part_id, key) for key in slots)
    for rule in old.rules.rules:
        _carry_rule(old, rule, state)
    state.requeue()
    return state, tuple(started)


def _carry_rule(old: State, rule: Rule, state: State) -> None:
    kept = state.rules.by_name.get(rule.name)
    if kept is None:
        state.dirty.update((_limits(rule.name), key) for key in old.limits[rule.number])
        state.dirty.update((_alerts(rule.name), key) for key in old.alerts[rule.number])
        return
    state.limits[kept.number] = old.limits[rule.number]
    state.alerts[kept.number] = old.alerts[rule.number]


def _packed(found: Any) -> bytes:
    if not isinstance(found, Kept):
        return _encode(found)
    queued, found.queued = found.queued, None
    body = _encode(found)
    found.queued = queued
    return body


def _limits(name: str) -> str:
    return f"limits/{name}"


def _alerts(name: str) -> str:
    return f"alerts/{name}"
