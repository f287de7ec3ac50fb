"""``sequence: [t1, t2, …]``, ``within: w``: fires when its steps happened one after the other.

The order is that of the events' own times, whatever the order of arrival; other events in between don't matter. Of
all choices of events that fit, the one that starts latest is taken, so a late start is never spoilt by an early one.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any, ClassVar

from pydantic import Field

from tocsin_automations.composite import Composed, Composite, distinct, order
from tocsin_automations.trigger import AnyTrigger, Fire, Trigger, TriggerConfig, Wiring
from tocsin_automations.words import Duration
from tocsin_events.duration import format_duration

_MOST_TRIES = 10_000


class SequenceTrigger(TriggerConfig):
    """Fires when its steps happened in order, the first and the last within a time of each other."""

    kind: ClassVar[str] = "sequence"
    marks: ClassVar[frozenset[str]] = frozenset({"sequence"})

    sequence: Annotated[tuple[AnyTrigger, ...], Field(min_length=2, max_length=20)]
    within: Duration

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        inner = wiring.keyed(self.for_each).child()
        return _Sequence([step.compile(inner) for step in self.sequence], self.within, wiring.grace)

    def children(self) -> tuple[TriggerConfig, ...]:
        """Return the steps."""
        return self.sequence


class _Sequence(Composite):
    within: int

    def __init__(self, steps: list[Trigger[Any]], within: int, grace: int) -> None:
        super().__init__(steps, within, grace)
        self.ordered = True

    def reason(self, fire: Fire) -> str:
        return f"{len(self.children)} steps happened in order within {format_duration(self.within)}"

    def _complete(self, state: Composed, child: int, new: Fire) -> list[tuple[int, Fire]] | None:
        for before in islice(self._before(state, child, [new]), _MOST_TRIES):
            for chain in self._after(state, child, before, before[0].time + self.within):
                return list(enumerate(chain))
        return None

    def _progress(self, state: Composed, new: Fire) -> dict[str, Any]:
        """Tell how many of the first steps happened in order: a later step that came too early is none."""
        have, place = 0, (new.time - self.within, -1, 0)
        for fires in state.candidates:
            following = next((order(fire) for fire in fires if order(fire) > place), None)
            if following is None:
                break
            have, place = have + 1, following
        return {**super()._progress(state, new), "have": have}

    def _before(self, state: Composed, step: int, chain: list[Fire]) -> Iterator[list[Fire]]:
        """Yield the chains that lead to one, the latest-starting first."""
        if step == 0:
            yield chain
            return
        for fire in reversed(state.candidates[step - 1]):
            if fire.time < chain[-1].time - self.within:
                return
            if order(fire) < order(chain[0]) and distinct((fire, *chain)):
                yield from self._before(state, step - 1, [fire, *chain])

    def _after(self, state: Composed, step: int, chain: list[Fire], end: int) -> Iterator[list[Fire]]:
        """Yield the whole chains that go on from one and end in time, with the latest last step first."""
        behind = len(self.children) - 1 - step
        if behind == 0:
            yield chain
            return
        for tail in self._tails(state, step, len(self.children) - 1, order(chain[-1]), end):
            if distinct((*chain, *tail)):
                yield [*chain, *tail]

    def _tails(
        self, state: Composed, first: int, step: int, start: tuple[int, int, int], end: int
    ) -> Iterator[list[Fire]]:
        """Yield the choices of the steps after ``first`` up to ``step``, between a place and an end, latest first."""
        if step == first:
            yield []
            return
        for fire in reversed(state.candidates[step]):
            if fire.time > end:
                continue
            if order(fire) <= start:
                return
            for head in self._tails(state, first, step - 1, start, fire.time):
                if not head or order(head[-1]) < order(fire):
                    yield [*head, fire]
