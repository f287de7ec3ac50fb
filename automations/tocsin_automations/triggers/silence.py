"""``missing: P``, ``within: w`` without ``after``: fires when no matching event happened for w (a dead man's switch).

A silence is a gap between the times of events that is longer than w. The state of a key is the time from which the first
undecided one is measured, the first event of the unbroken run up to there (one before it may show an earlier gap), the
events that came already and happened after its end, and the end of the last decided one: what happened before that and
comes only now is late.
"""

from bisect import insort
from typing import Any, ClassVar, Literal, Self

import msgspec
from pydantic import model_validator

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
from tocsin_automations.triggers.deadline import check_keys, standing_keys
from tocsin_automations.words import Duration, ExpressionText, Keys, Patterns
from tocsin_events.duration import format_duration

MOST_REMEMBERED = 1_000
"""How many events behind the end of an undecided silence a key remembers; the newest go first."""


class SilenceTrigger(TriggerConfig):
    """Fires when no matching event happened for a time; armed by the first one, or from the start."""

    kind: ClassVar[str] = "silence"
    marks: ClassVar[frozenset[str]] = frozenset({"missing"})

    missing: Patterns
    where: ExpressionText | None = None
    within: Duration
    arm: Literal["first", "always"] = "first"
    keys: Keys = ()

    @model_validator(mode="after")
    def _armed_how(self) -> Self:
        check_keys(self.keys, self.for_each)
        if self.keys and self.arm != "always":
            raise ValueError("`keys` are for `arm: always`")
        if self.arm == "always" and self.for_each and not self.keys:
            raise ValueError("`arm: always` with for_each needs `keys`: the values that are expected")
        return self

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        keyed = wiring.keyed(self.for_each)
        if self.arm == "always" and keyed.values and not self.keys:
            raise ValueError("`arm: always` inside a trigger with for_each needs its own for_each and `keys`")
        standing = standing_keys(self.keys) if self.arm == "always" else ()
        return _Silence(keyed.listen(self.missing, self.where), self.within, standing, wiring.grace)


class _Since(Kept, gc=False, array_like=True):
    time: int | None = None
    event: Ref | None = None
    later: list[Ref] = msgspec.field(default_factory=list)
    decided: int | None = None
    first: Ref | None = None


class _Silence(Trigger[_Since]):
    natural = True
    ordered = True

    def __init__(self, bit: int, within: int, standing: tuple[str, ...], grace: int) -> None:
        self.bits = bit
        self.within = within
        self.horizon = within
        self.grace = grace
        self.standing = standing
        self._expected = frozenset(standing)

    def fresh(self, at: int) -> _Since:
        return _Since()

    def begin(self, key: str, at: int) -> _Since | None:
        return _Since(time=at) if key in self._expected else None

    def state_type(self) -> Any:
        return _Since

    def observe(self, state: _Since, sighting: Sighting) -> Verdict:
        ref = sighting.ref
        if self._expected and sighting.key not in self._expected:
            return Verdict(Outcome.NO_MATCH, {"why": "the key is not among those expected"})
        if sighting.arrived > ref.time + self.within + self.grace or ref.time <= (state.decided or 0):
            return Verdict(Outcome.LATE)
        outcome, why = self._take_in(state, ref)
        # Also where it arms nothing: a limit may have told the silence only after another event had ended it.
        return Verdict(outcome, {"until": self.due(state), **why}, (Recovery(ref),))

    def due(self, state: _Since) -> int | None:
        if state.time is not None:
            return state.time + self.within + self.grace
        # What came in the last instant that is not late may have been held.
        return None if state.decided is None else state.decided + self.within + 2 * self.grace + 1

    def decides(self, state: _Since, at: int) -> bool:
        return state.time is not None

    def expire(self, state: _Since, at: int) -> Verdict:
        if state.time is None:
            state.decided = None
            return Verdict(Outcome.NO_MATCH)
        last = state.event
        state.decided = state.time + self.within
        fire = Fire(state.decided, last, () if last is None else (last,), 0 if last is None else 1)
        if not state.later:
            state.time = state.event = state.first = None
            return Verdict(Outcome.FIRED, signals=(fire,))
        state.event = state.later.pop(0)
        state.time, state.first = state.event.time, state.event
        broken = Recovery(state.event)
        self._move_on(state)
        return Verdict(Outcome.FIRED, signals=(fire, broken))

    def is_empty(self, state: _Since) -> bool:
        return state.time is None and state.decided is None

    def settle(self, warm: _Since | None, fresh: _Since | None) -> _Since | None:
        return fresh if self.standing else warm

    def reason(self, fire: Fire) -> str:
        return f"nothing came for {format_duration(self.within)}"

    def show(self, state: _Since | None, now: int) -> dict[str, Any]:
        if state is None or state.time is None:
            return {"armed": False}
        return {"armed": True, "since": state.time, "until": state.time + self.within}

    def _take_in(self, state: _Since, ref: Ref) -> tuple[Outcome, dict[str, str]]:
        if state.time is None:
            state.time, state.event, state.first = ref.time, ref, ref
            return Outcome.WAITING, {}
        if ref.time > state.time + self.within:
            insort(state.later, ref)
            del state.later[MOST_REMEMBERED:]
            return Outcome.WAITING, {"why": "came after the silence had ended"}
        first = state.first
        if first is not None and state.event is not None and ref.time + self.within < first.time:
            state.later[:0] = [first] if first == state.event else [first, state.event]
            state.time, state.event, state.first = ref.time, ref, ref
            return Outcome.WAITING, {"why": "came before a silence that has ended"}
        if first is not None and ref < first:
            state.first = ref
        if state.event is None or ref > state.event:
            state.time, state.event = max(ref.time, state.time), ref
            self._move_on(state)
        return Outcome.SATISFIED, {}

    def _move_on(self, state: _Since) -> None:
        while state.later and state.time is not None and state.later[0].time <= state.time + self.within:
            state.event = state.later.pop(0)
            state.time = state.event.time
