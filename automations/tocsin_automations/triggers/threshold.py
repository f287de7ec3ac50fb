"""``event: P``, ``count: n``, ``within: w``: fires when n matching events lie within w of each other.

A true sliding window by event time: what fires are the n most recent matching events, up to the one that came, that
lie within w; they are used up, older ones that did not take part stay.
"""

from bisect import insort
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tocsin_automations.decision import Outcome
from tocsin_automations.trigger import Fire, Kept, Ref, Sighting, Trigger, TriggerConfig, Verdict, Wiring
from tocsin_automations.words import Duration, ExpressionText, Patterns
from tocsin_events.duration import format_duration

MOST_EVENTS = 10_000
"""The largest ``count``."""


class ThresholdTrigger(TriggerConfig):
    """Fires at the n-th matching event such that the n most recent ones lie within a window."""

    kind: ClassVar[str] = "threshold"
    marks: ClassVar[frozenset[str]] = frozenset({"event", "count"})

    event: Patterns
    where: ExpressionText | None = None
    count: Annotated[int, Field(ge=1, le=MOST_EVENTS, strict=True)]
    within: Duration

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        bit = wiring.keyed(self.for_each).listen(self.event, self.where)
        return _Threshold(bit, self.count, self.within, wiring.grace)


class _Window(Kept, gc=False, array_like=True):
    refs: tuple[Ref, ...] = ()


class _Threshold(Trigger[_Window]):
    def __init__(self, bit: int, count: int, within: int, grace: int) -> None:
        self.bits = bit
        self.count = count
        self.within = within
        self.grace = grace
        self.horizon = within
        # The latest partner happened `within` later, came in the last instant that is not late, and was held.
        self._kept = 2 * (within + grace) + 1

    def fresh(self, at: int) -> _Window:
        return _Window()

    def state_type(self) -> Any:
        return _Window

    def observe(self, state: _Window, sighting: Sighting) -> Verdict:
        ref = sighting.ref
        if sighting.arrived > ref.time + self.within + self.grace:
            return Verdict(Outcome.LATE)
        refs = [old for old in state.refs if old.time + self._kept > sighting.now]
        insort(refs, ref)
        complete = self._complete(refs, ref)
        if complete is None:
            state.refs = tuple(refs)
            return self._pending(refs, ref)
        chosen = tuple(refs[complete : complete + self.count])
        del refs[complete : complete + self.count]
        state.refs = tuple(refs)
        return Verdict(Outcome.FIRED, signals=(Fire(chosen[-1].time, chosen[-1], chosen, self.count),))

    def due(self, state: _Window) -> int | None:
        return state.refs[-1].time + self._kept if state.refs else None

    def decides(self, state: _Window, at: int) -> bool:
        return False

    def expire(self, state: _Window, at: int) -> Verdict:
        state.refs = tuple(old for old in state.refs if old.time + self._kept > at)
        return Verdict(Outcome.NO_MATCH)

    def is_empty(self, state: _Window) -> bool:
        return not state.refs

    def reason(self, fire: Fire) -> str:
        return f"{self.count} events within {format_duration(self.within)}"

    def show(self, state: _Window | None, now: int) -> dict[str, Any]:
        refs = () if state is None else state.refs
        return {"have": len(refs), "need": self.count, "times": [ref.time for ref in refs]}

    def _complete(self, refs: list[Ref], new: Ref) -> int | None:
        """Return where the latest run of `count` events that has the new one and lies within the window begins."""
        place = refs.index(new)
        last = min(place, len(refs) - self.count)
        for start in range(last, max(place - self.count, -1), -1):
            if refs[start + self.count - 1].time - refs[start].time <= self.within:
                return start
        return None

    def _pending(self, refs: list[Ref], new: Ref) -> Verdict:
        inside = [ref for ref in refs if abs(ref.time - new.time) <= self.within and ref <= new]
        until = inside[0].time + self.within
        return Verdict(Outcome.PENDING, {"have": len(inside), "need": self.count, "until": until})
