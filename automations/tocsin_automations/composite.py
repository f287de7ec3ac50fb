"""What triggers of triggers share: the states of their children, and the firings of children that wait for others.

A child's firing is a *candidate*. Candidates are ordered as events are: by time, then by the number of the event that
completed them; what a timer fired comes before the events of its instant.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tocsin_automations.decision import Outcome
from tocsin_automations.trigger import Fire, Kept, Ref, Sighting, Trigger, Verdict

MOST_CANDIDATES = 1_000
"""How many firings of one child wait at most; the oldest go first."""

_RANK = {outcome: rank for rank, outcome in enumerate((
    Outcome.NO_MATCH, Outcome.NO_KEY, Outcome.LATE, Outcome.SATISFIED, Outcome.WAITING, Outcome.PENDING,
    Outcome.CONDITION_ERROR,
))}  # fmt: skip


class Composed(Kept, gc=False, array_like=True):
    """The state of a composite: of each child its own state (None: empty), and its candidates in order."""

    children: list[Any] = msgspec.field(default_factory=list)
    candidates: list[list[Fire]] = msgspec.field(default_factory=list)


class Composite(Trigger[Composed]):
    """A trigger of triggers; `_complete` says which candidates make it fire, given a new one."""

    def __init__(self, children: Sequence[Trigger[Any]], within: int | None, grace: int) -> None:
        self.children = tuple(children)
        self.within = within
        self.grace = grace
        self.ordered = any(child.ordered for child in self.children)
        self.horizon = max(child.horizon for child in self.children) + (within or 0)
        self.standing = tuple(dict.fromkeys(key for child in self.children for key in child.standing))
        for child in self.children:
            self.bits |= child.bits

    def fresh(self, at: int) -> Composed:
        """Return the state in which no child knows anything."""
        return Composed(children=[None] * len(self.children), candidates=[[] for _ in self.children])

    def begin(self, key: str, at: int) -> Composed | None:
        """Return the state with those children armed that watch the key from the start."""
        begun = [child.begin(key, at) for child in self.children]
        return (
            None
            if all(one is None for one in begun)
            else Composed(children=begun, candidates=[[] for _ in begun])
        )

    def state_type(self) -> Any:
        """Return the type of the state."""
        return Composed

    def load(self, raw: Any) -> Composed:
        """Return a stored state."""
        _, children, candidates = raw
        return Composed(
            children=[
                None if one is None else child.load(one)
                for child, one in zip(self.children, children, strict=True)
            ],
            candidates=msgspec.convert(candidates, list[list[Fire]]),
        )

    def observe(self, state: Composed, sighting: Sighting) -> Verdict:
        """Let the children see the event, and find out whether their firings complete the whole."""
        new: list[tuple[int, Fire]] = []
        outcome, detail = Outcome.NO_MATCH, {}
        late = False
        for number, child in enumerate(self.children):
            if not child.bits & sighting.hits:
                continue
            verdict = self._ask(state, number, sighting)
            for fire in verdict.fires:
                if self.within is not None and sighting.arrived > fire.time + self.within + self.grace:
                    late = True
                else:
                    new.append((number, fire))
            if not verdict.fires and _RANK.get(verdict.outcome, 0) > _RANK[outcome]:
                outcome, detail = verdict.outcome, dict(verdict.detail)
        fires = self._add(state, new, sighting.now)
        if fires:
            return Verdict(Outcome.FIRED, signals=fires)
        if new:
            return Verdict(Outcome.PENDING, self._progress(state, new[-1][1]))
        return Verdict(Outcome.LATE) if late else Verdict(outcome, detail)

    def due(self, state: Composed) -> int | None:
        """Return when the next child's timer is due, or when a candidate can be forgotten."""
        dues = [
            child.due(one)
            for child, one in zip(self.children, state.children, strict=True)
            if one is not None
        ]
        dues += [fires[0].time + self._kept for fires in state.candidates if fires]
        return min((due for due in dues if due is not None), default=None)

    def decides(self, state: Composed, at: int) -> bool:
        """Tell whether a child's timer may decide something."""
        for child, one in zip(self.children, state.children, strict=True):
            due = None if one is None else child.due(one)
            if due is not None and due <= at and child.decides(one, at):
                return True
        return False

    def expire(self, state: Composed, at: int) -> Verdict:
        """Let the children's timers act."""
        new: list[tuple[int, Fire]] = []
        for number, child in enumerate(self.children):
            inner = state.children[number]
            due = None if inner is None else child.due(inner)
            if due is not None and due <= at:
                new.extend((number, fire) for fire in child.expire(inner, at).fires)
                self._tidy(state, number)
        return Verdict(Outcome.FIRED, signals=self._add(state, new, at))

    def is_empty(self, state: Composed) -> bool:
        """Tell whether no child knows anything and no candidate waits."""
        return not any(state.candidates) and all(one is None for one in state.children)

    def settle(self, warm: Composed | None, fresh: Composed | None) -> Composed | None:
        """Return the state to start with, child by child."""
        if warm is None:
            return fresh
        before = [None] * len(self.children) if fresh is None else fresh.children
        warm.children = [
            child.settle(one, other)
            for child, one, other in zip(self.children, warm.children, before, strict=True)
        ]
        return warm

    def inner(self) -> tuple[Trigger[Any], ...]:
        """Return the children."""
        return self.children

    def show(self, state: Composed | None, now: int) -> dict[str, Any]:
        """Return the children's states, and when each fired last."""
        states: list[Any] = [None] * len(self.children) if state is None else state.children
        candidates: list[list[Fire]] = [[] for _ in self.children] if state is None else state.candidates
        return {
            "children": [
                {**child.show(one, now), "fired": [fire.time for fire in fires]}
                for child, one, fires in zip(self.children, states, candidates, strict=True)
            ]
        }

    def _complete(self, state: Composed, child: int, new: Fire) -> list[tuple[int, Fire]] | None:
        """Return the candidates, with their children, that make the whole fire, or None."""
        raise NotImplementedError

    def _progress(self, state: Composed, new: Fire) -> dict[str, Any]:
        have = sum(bool(fires) for fires in state.candidates)
        detail: dict[str, Any] = {"have": have, "need": len(self.children)}
        return detail if self.within is None else {**detail, "until": new.time + self.within}

    @property
    def _kept(self) -> int:
        # The latest partner happened `within` later, came in the last instant that is not late, and was held.
        return 2 * ((self.within or 0) + self.grace) + 1

    def _ask(self, state: Composed, number: int, sighting: Sighting) -> Verdict:
        child = self.children[number]
        if child.stateless:
            return child.observe(None, sighting)
        if state.children[number] is None:
            state.children[number] = child.fresh(sighting.now)
        verdict = child.observe(state.children[number], sighting)
        self._tidy(state, number)
        return verdict

    def _tidy(self, state: Composed, number: int) -> None:
        if self.children[number].is_empty(state.children[number]):
            state.children[number] = None

    def _add(self, state: Composed, new: list[tuple[int, Fire]], now: int) -> tuple[Fire, ...]:
        """Take in new candidates and return what fires; the events of a firing are used up."""
        for number, fire in new:
            fires = state.candidates[number]
            fires.append(fire)
            fires.sort(key=order)
            del fires[:-MOST_CANDIDATES]
        signals = []
        for number, fire in sorted(new, key=lambda one: order(one[1])):
            if fire not in state.candidates[number]:
                continue
            chosen = self._complete(state, number, fire)
            if chosen is not None:
                self._use_up(state, chosen)
                signals.append(merged([one for _, one in chosen]))
        for fires in state.candidates:
            fires[:] = [fire for fire in fires if fire.time + self._kept > now]
        return tuple(signals)

    def _use_up(self, state: Composed, chosen: list[tuple[int, Fire]]) -> None:
        used = {ref for _, fire in chosen for ref in fire.events}
        for number, fire in chosen:
            if fire in state.candidates[number]:
                state.candidates[number].remove(fire)
        for fires in state.candidates:
            fires[:] = [fire for fire in fires if used.isdisjoint(fire.events)]


def order(fire: Fire) -> tuple[int, int, int]:
    """Return the place of a candidate in the order of events."""
    last = fire.event
    if last is None or last.time != fire.time:
        return fire.time, 0, 0
    return fire.time, last.behind, last.sequence


def merged(fires: Sequence[Fire]) -> Fire:
    """Return several firings as one: at the time of the last, on all of their events."""
    last = max(fires, key=order)
    events: tuple[Ref, ...] = tuple(sorted({ref for fire in fires for ref in fire.events}))
    event = last.event if last.event is not None else (events[-1] if events else None)
    return Fire(last.time, event, events, len(events), last.value)


def distinct(fires: Iterable[Fire]) -> bool:
    """Tell whether no event takes part in two of the firings."""
    refs = [ref for fire in fires for ref in fire.events]
    return len(refs) == len(set(refs))
