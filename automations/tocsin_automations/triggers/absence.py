"""``missing: P``, ``after: P0``, ``within: w``: fires when what should have followed an event did not.

The state of a key is a short history: the ``after`` events (those whose clock has not been decided and those that
fired) and the awaited ones, kept for as long as something that arrives late could still need them. What is open is
found by going through it in the order of the events' own times, so the order of arrival doesn't matter.
"""

from bisect import insort
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from tocsin_automations.decision import Outcome
from tocsin_automations.trigger import (
    Fire,
    Kept,
    Recovery,
    Ref,
    Sighting,
    Trigger,
    TriggerConfig,
    Verdict,
    Wiring,
)
from tocsin_automations.words import Duration, ExpressionText, Patterns
from tocsin_events.duration import format_duration

MOST_REMEMBERED = 1_000
"""How many events of each sort a key remembers; the oldest go first."""


class AbsenceTrigger(TriggerConfig):
    """Fires a time after an ``after`` event unless a ``missing`` event of the same key came in between."""

    kind: ClassVar[str] = "absence"
    marks: ClassVar[frozenset[str]] = frozenset({"missing", "after"})

    missing: Patterns
    where: ExpressionText | None = None
    after: Patterns
    after_where: ExpressionText | None = None
    within: Duration
    restart: bool = True

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        keyed = wiring.keyed(self.for_each)
        return _Absence(
            awaited=keyed.listen(self.missing, self.where),
            after=keyed.listen(self.after, self.after_where),
            within=self.within,
            restart=self.restart,
            grace=wiring.grace,
        )


class _History(Kept, gc=False, array_like=True):
    opened: list[Ref] = msgspec.field(default_factory=list)
    fired: list[Ref] = msgspec.field(default_factory=list)
    awaited: list[Ref] = msgspec.field(default_factory=list)


_AWAITED, _FIRED, _OPENED = range(3)


class _Absence(Trigger[_History]):
    natural = True
    ordered = True

    def __init__(self, *, awaited: int, after: int, within: int, restart: bool, grace: int) -> None:
        self.bits = awaited | after
        self.awaited = awaited
        self.after = after
        self.within = within
        self.restart = restart
        self.grace = grace
        self.horizon = within

    def fresh(self, at: int) -> _History:
        return _History()

    def state_type(self) -> Any:
        return _History

    def observe(self, state: _History, sighting: Sighting) -> Verdict:
        self._forget(state, sighting.now)
        ref = sighting.ref
        came: tuple[Recovery, ...] = ()
        outcome: Outcome = Outcome.NO_MATCH
        detail: dict[str, Any] = {}
        if sighting.hits & self.awaited:
            came = (Recovery(ref),)
            outcome, detail = self._await(state, ref)
        if sighting.hits & self.after:
            _keep(state.opened, ref)
            fires = self._decided(state, sighting.now)
            if outcome is not Outcome.SATISFIED or fires:
                outcome, detail = self._after(state, ref)
            return Verdict(outcome, detail, (*came, *fires))
        return Verdict(outcome, detail, came)

    def due(self, state: _History) -> int | None:
        undecided = self._undecided(state)
        if undecided:
            return undecided[0].time + self.within + self.grace
        ends = [refs[-1].time + kept for refs, kept in self._kept(state) if refs]
        return max(ends, default=None)

    def decides(self, state: _History, at: int) -> bool:
        return any(ref.time + self.within + self.grace <= at for ref in self._undecided(state))

    def expire(self, state: _History, at: int) -> Verdict:
        signals = self._decided(state, at)
        self._forget(state, at)
        return Verdict(Outcome.FIRED if signals else Outcome.NO_MATCH, signals=signals)

    def is_empty(self, state: _History) -> bool:
        return not (state.opened or state.fired or state.awaited)

    def reason(self, fire: Fire) -> str:
        return f"what should have followed did not come within {format_duration(self.within)}"

    def show(self, state: _History | None, now: int) -> dict[str, Any]:
        undecided = [] if state is None else self._undecided(state)
        awaited = [] if state is None else state.awaited
        return {
            "open": [{"since": ref.time, "until": ref.time + self.within} for ref in undecided],
            "awaited": [ref.time for ref in awaited],
        }

    def _await(self, state: _History, ref: Ref) -> tuple[Outcome, dict[str, Any]]:
        before = self._undecided(state)
        _keep(state.awaited, ref)
        if len(self._undecided(state)) < len(before):
            return Outcome.SATISFIED, {}
        if any(old.time < ref.time <= old.time + self.within for old in state.fired):
            return Outcome.LATE, {}
        return Outcome.NO_MATCH, {"why": "nothing waits for it"}

    def _after(self, state: _History, ref: Ref) -> tuple[Outcome, dict[str, Any]]:
        undecided = self._undecided(state)
        if ref in undecided:
            return Outcome.WAITING, {"until": ref.time + self.within + self.grace}
        if any(ref < one and one.time <= ref.time + self.within for one in state.awaited):
            return Outcome.SATISFIED, {"why": "what it waits for had come already"}
        if undecided:
            until = undecided[-1].time + self.within + self.grace
            return Outcome.WAITING, {"until": until, "why": "the clock of another event runs"}
        return Outcome.NO_MATCH, {"why": "the clock of another event ran"}

    def _decided(self, state: _History, at: int) -> tuple[Fire | Recovery, ...]:
        """Fire what is undecided no longer at a clock; what was awaited and came too late closes it at once."""
        signals: list[Fire | Recovery] = []
        for ref in self._undecided(state):
            end = ref.time + self.within
            if end + self.grace > at:
                break
            state.opened.remove(ref)
            insort(state.fired, ref)
            signals.append(Fire(end, ref, (ref,), 1))
            signals.extend(Recovery(one) for one in state.awaited if one > ref)
        return tuple(signals)

    def _undecided(self, state: _History) -> list[Ref]:
        """Return the ``after`` events whose clock neither an awaited event nor another ``after`` has stopped."""
        found: list[Ref] = []
        opened: Ref | None = None
        has_fired = False
        for ref, sort in _in_order(state):
            if opened is not None and ref.time > opened.time + self.within:
                if not has_fired:
                    found.append(opened)
                opened = None
            if sort == _AWAITED:
                opened = opened if has_fired else None
            elif sort == _FIRED or opened is None or self.restart:
                opened, has_fired = ref, sort == _FIRED
        if opened is not None and not has_fired:
            found.append(opened)
        return found

    def _kept(self, state: _History) -> tuple[tuple[list[Ref], int], ...]:
        # One that came in the last instant of its grace may have been held before it is looked at.
        once = self.within + 2 * self.grace + 1
        return (state.opened, once), (state.awaited, once), (state.fired, once + self.within)

    def _forget(self, state: _History, now: int) -> None:
        undecided = None
        for refs, kept in self._kept(state):
            if not refs or refs[0].time + kept > now:
                continue
            undecided = self._undecided(state) if undecided is None else undecided
            refs[:] = [ref for ref in refs if ref.time + kept > now or ref in undecided]


def _keep(refs: list[Ref], ref: Ref) -> None:
    insort(refs, ref)
    if len(refs) > MOST_REMEMBERED:
        del refs[0]


def _in_order(state: _History) -> Iterator[tuple[Ref, int]]:
    """Return the events by time; one that is both first closes what is open and then opens its own."""
    marked = [(ref, _AWAITED) for ref in state.awaited]
    marked += [(ref, _FIRED) for ref in state.fired]
    marked += [(ref, _OPENED) for ref in state.opened]
    marked.sort()
    return iter(marked)
