"""``event: P``, ``for: w``: fires when a resource stays in a state for too long ("stuck in pending for ten minutes").

A matching event says that its resource entered the state; it leaves with another state event of the catalogue (for
outside kinds: with any other event). A key may stand for several resources: each has a clock of its own. What a
resource did is kept as a short history in the order of the events' own times, so the order of arrival matters little.
"""

from bisect import insort
from typing import Any, ClassVar

import msgspec
from pydantic import Field

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
from tocsin_events.catalogue import is_state_type, state_types_of
from tocsin_events.duration import format_duration
from tocsin_events.view import EventView

MOST_REMEMBERED = 1_000
"""How many undecided events a resource remembers; the oldest go first."""


class LastingTrigger(TriggerConfig):
    """Fires some time after a matching event unless the resource left that state first."""

    kind: ClassVar[str] = "lasting"
    marks: ClassVar[frozenset[str]] = frozenset({"event", "for"})
    by_subject: ClassVar[bool] = True

    event: Patterns
    where: ExpressionText | None = None
    for_: Duration = Field(alias="for")

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        keyed = wiring.keyed(self.for_each, by_subject=True)
        return _Lasting(
            entering=keyed.listen(self.event, self.where),
            any_state=keyed.listen(_state_patterns(self.event)),
            lasts=self.for_,
            grace=wiring.grace,
        )


class _Stays(msgspec.Struct, gc=False, array_like=True):
    """What one resource did: when it entered the state, when it left, which entries have fired."""

    entered: list[Ref] = msgspec.field(default_factory=list)
    left: list[Ref] = msgspec.field(default_factory=list)
    fired: list[Ref] = msgspec.field(default_factory=list)


class _Resources(Kept, gc=False, array_like=True):
    of: dict[str, _Stays] = msgspec.field(default_factory=dict)


class _Stay(msgspec.Struct):
    entries: list[Ref]
    fired: bool
    end: Ref | None = None

    @property
    def start(self) -> Ref:
        return self.entries[0]


class _Lasting(Trigger[_Resources]):
    natural = True
    ordered = True

    def __init__(self, *, entering: int, any_state: int, lasts: int, grace: int) -> None:
        self.bits = entering | any_state
        self.entering = entering
        self.lasts = lasts
        self.grace = grace
        # What matters to an end is an entry that came in the last instant of its grace, and was held.
        self.kept = 2 * grace + 1
        self.horizon = lasts

    def fresh(self, at: int) -> _Resources:
        return _Resources()

    def state_type(self) -> Any:
        return _Resources

    def observe(self, state: _Resources, sighting: Sighting) -> Verdict:
        subject = sighting.view.subject
        if subject is None:
            return Verdict(Outcome.NO_KEY, {"why": "the event is about no resource"})
        entering = bool(sighting.hits & self.entering)
        if not entering and not _is_state(sighting.view):
            return Verdict(Outcome.NO_MATCH, {"why": "it says nothing about the state"})
        stays = state.of.setdefault(subject, _Stays())
        before = self._stays(stays)
        _keep(stays.entered if entering else stays.left, sighting.ref)
        signals = [*self._decided(stays, sighting.now)]
        after = self._stays(stays)
        if not entering and any(stay.fired for stay in _open(before)) and not self._any_fired(state):
            signals.append(Recovery(sighting.ref))
        verdict = self._say(sighting.ref, entering, before, after, tuple(signals))
        self._forget(state, subject, sighting.now)
        return verdict

    def due(self, state: _Resources) -> int | None:
        return min((due for stays in state.of.values() for due in self._dues(stays)), default=None)

    def decides(self, state: _Resources, at: int) -> bool:
        undecided = (
            stay for stays in state.of.values() for stay in self._stays(stays) if self._is_undecided(stay)
        )
        return any(stay.start.time + self.lasts + self.grace <= at for stay in undecided)

    def expire(self, state: _Resources, at: int) -> Verdict:
        signals: list[Fire | Recovery] = []
        for subject, stays in list(state.of.items()):
            signals.extend(self._decided(stays, at))
            self._forget(state, subject, at)
        if signals and self._any_fired(state):
            signals = [signal for signal in signals if isinstance(signal, Fire)]
        return Verdict(Outcome.FIRED if signals else Outcome.NO_MATCH, signals=tuple(signals))

    def is_empty(self, state: _Resources) -> bool:
        return not state.of

    def reason(self, fire: Fire) -> str:
        return f"the resource stayed in that state for {format_duration(self.lasts)}"

    def show(self, state: _Resources | None, now: int) -> dict[str, Any]:
        shown = {}
        for subject, stays in (state.of if state is not None else {}).items():
            for stay in _open(self._stays(stays)):
                shown[subject] = {
                    "since": stay.start.time,
                    "until": stay.start.time + self.lasts,
                    "fired": stay.fired,
                }
        return {"in_state": shown}

    def _stays(self, stays: _Stays) -> list[_Stay]:
        """Return the stays in the state, in order; only the last one may be without an end."""
        marks = [(ref, True) for ref in stays.entered] + [(ref, False) for ref in stays.left]
        marks.sort()
        found: list[_Stay] = []
        inside: _Stay | None = None
        for ref, entering in marks:
            if not entering:
                if inside is not None:
                    inside.end = ref
                inside = None
            elif inside is None:
                inside = _Stay([ref], ref in stays.fired)
                found.append(inside)
            else:
                inside.entries.append(ref)
                inside.fired = inside.fired or ref in stays.fired
        return found

    def _is_undecided(self, stay: _Stay) -> bool:
        return not stay.fired and (stay.end is None or stay.end.time > stay.start.time + self.lasts)

    def _decided(self, stays: _Stays, at: int) -> list[Fire | Recovery]:
        signals: list[Fire | Recovery] = []
        for stay in self._stays(stays):
            end = stay.start.time + self.lasts
            if self._is_undecided(stay) and end + self.grace <= at:
                insort(stays.fired, stay.start)
                signals.append(Fire(end, stay.start, (stay.start,), 1))
                if stay.end is not None:
                    signals.append(Recovery(stay.end))
        return signals

    def _any_fired(self, state: _Resources) -> bool:
        return any(stay.fired for stays in state.of.values() for stay in _open(self._stays(stays)))

    def _say(
        self,
        ref: Ref,
        entering: bool,
        before: list[_Stay],
        after: list[_Stay],
        signals: tuple[Fire | Recovery, ...],
    ) -> Verdict:
        opened = _open(after)
        if entering and opened:
            until = opened[0].start.time + self.lasts + self.grace
            why = {} if opened[0].start == ref else {"why": "the resource is in that state already"}
            return Verdict(Outcome.WAITING, {"until": until, **why}, signals)
        if entering:
            return Verdict(Outcome.SATISFIED, {"why": "the resource had left the state already"}, signals)
        if len(opened) < len(_open(before)):
            return Verdict(Outcome.SATISFIED, {"why": "the resource left the state"}, signals)
        return Verdict(Outcome.NO_MATCH, {"why": "the resource was not in that state"}, signals)

    def _dues(self, stays: _Stays) -> list[int]:
        """Return when something is to be decided, else when something can be forgotten."""
        found = self._stays(stays)
        undecided = [stay.start.time + self.lasts + self.grace for stay in found if self._is_undecided(stay)]
        if undecided:
            return undecided
        return [stays.left[0].time + self._left_kept(stays)] if stays.left else []

    def _left_kept(self, stays: _Stays) -> int:
        """Return how long an end is kept: without an entry, only while an entry may overtake it within the grace."""
        return self.lasts + self.kept if stays.entered else self.kept

    def _forget(self, state: _Resources, subject: str, now: int) -> None:
        stays = state.of[subject]
        if any(due <= now for due in self._dues(stays)):
            old = now - self.lasts - self.kept
            needed: set[Ref] = set()
            for stay in self._stays(stays):
                # An entry that comes only now may lie within a stay: how old its end is counts, not its beginning.
                if stay.end is None or stay.end.time > old or self._is_undecided(stay):
                    needed.add(stay.start)
                    needed.update(ref for ref in stay.entries if ref in stays.fired)
                    if stay.end is not None:
                        needed.add(stay.end)
            stays.entered = [ref for ref in stays.entered if ref in needed or ref.time > old]
            old = now - self._left_kept(stays)
            stays.left = [ref for ref in stays.left if ref in needed or ref.time > old]
            stays.fired = [ref for ref in stays.fired if ref in stays.entered]
        if not (stays.entered or stays.left):
            del state.of[subject]


def _open(stays: list[_Stay]) -> list[_Stay]:
    return [stay for stay in stays if stay.end is None]


def _keep(refs: list[Ref], ref: Ref) -> None:
    insort(refs, ref)
    if len(refs) > MOST_REMEMBERED:
        del refs[1]


def _is_state(view: EventView) -> bool:
    """Tell whether an event says which state its resource is in."""
    kind = "" if view.resource is None else view.resource["kind"]
    return is_state_type(view.type) if state_types_of(kind) else True


def _state_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the patterns of all events that may end a state that such events begin."""
    found: list[str] = []
    for pattern in patterns:
        types = sorted(state_types_of(pattern.split(".")[0]))
        if not types:
            return (">",)
        found.extend(types)
    return tuple(dict.fromkeys(found))
