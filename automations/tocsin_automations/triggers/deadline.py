"""``missing: P``, ``by: {cron, timezone}``, ``within: w``: fires at each deadline that nothing came before.

A matching event counts for a deadline if it happened in the ``within`` (elapsed time) before it.
"""

from bisect import insort
from typing import Any, ClassVar, Self

import msgspec
from pydantic import model_validator

from tocsin_automations.calendar import Calendar, Cron, CronTimetable
from tocsin_automations.decision import Outcome
from tocsin_automations.selector import NO_KEYS, key_text
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
from tocsin_automations.words import Duration, ExpressionText, Keys, Patterns
from tocsin_events.duration import format_duration
from tocsin_events.instant import to_rfc3339

MOST_REMEMBERED = 1_000
"""How many events after the next deadline a key remembers; the oldest go first."""


class DeadlineTrigger(TriggerConfig):
    """Fires at each time of a cron line that no matching event came in the time before."""

    kind: ClassVar[str] = "deadline"
    marks: ClassVar[frozenset[str]] = frozenset({"missing", "by"})

    missing: Patterns
    where: ExpressionText | None = None
    by: CronTimetable
    within: Duration
    keys: Keys = ()

    @model_validator(mode="after")
    def _keys_go_with_for_each(self) -> Self:
        check_keys(self.keys, self.for_each)
        if self.for_each and not self.keys:
            raise ValueError("a deadline with for_each needs `keys`: the values that are expected")
        return self

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        keyed = wiring.keyed(self.for_each)
        if keyed.values and not self.keys:
            raise ValueError("a deadline inside a trigger with for_each needs its own for_each and `keys`")
        return _Deadline(
            bit=keyed.listen(self.missing, self.where),
            calendar=Cron(self.by.cron, self.by.timezone),
            within=self.within,
            standing=standing_keys(self.keys),
            grace=wiring.grace,
        )


def check_keys(keys: tuple[tuple[Any, ...], ...], for_each: tuple[str, ...]) -> None:
    """Check that expected keys have as many values as `for_each`.

    Raises:
        ValueError: they have not, or there is no `for_each`.

    """
    if keys and not for_each:
        raise ValueError("`keys` are values of for_each: add for_each, or drop them")
    for key in keys:
        if len(key) != len(for_each):
            raise ValueError(f"the key {list(key)} has {len(key)} value(s), for_each {len(for_each)}")
    if len(keys) != len({key_text(key) for key in keys}):
        raise ValueError("a key stands twice in `keys`")


def standing_keys(keys: tuple[tuple[Any, ...], ...]) -> tuple[str, ...]:
    """Return the texts of expected keys; without any, that of the trigger without `for_each`."""
    return tuple(key_text(key) for key in keys) or (NO_KEYS,)


class _Ahead(Kept, gc=False, array_like=True):
    next: int | None = None
    missed: int | None = None
    came: list[Ref] = msgspec.field(default_factory=list)


class _Deadline(Trigger[_Ahead]):
    natural = True
    ordered = True

    def __init__(
        self, *, bit: int, calendar: Calendar, within: int, standing: tuple[str, ...], grace: int
    ) -> None:
        self.bits = bit
        self.calendar = calendar
        self.within = within
        self.horizon = within
        self.grace = grace
        self.standing = standing
        self._expected = frozenset(standing)

    def fresh(self, at: int) -> _Ahead:
        return _Ahead()

    def begin(self, key: str, at: int) -> _Ahead | None:
        return _Ahead(next=self.calendar.after(at, at)) if key in self._expected else None

    def state_type(self) -> Any:
        return _Ahead

    def observe(self, state: _Ahead, sighting: Sighting) -> Verdict:
        if sighting.key not in self._expected or state.next is None:
            return Verdict(Outcome.NO_MATCH, {"why": "the key is not among those expected"})
        ref, came = sighting.ref, (Recovery(sighting.ref),)
        if ref.time < state.next - self.within:
            late = state.missed is not None and state.missed - self.within <= ref.time <= state.missed
            too_early = {"why": "too early for the next deadline"}
            return Verdict(Outcome.LATE if late else Outcome.NO_MATCH, {} if late else too_early, came)
        insort(state.came, ref)
        if len(state.came) > MOST_REMEMBERED:
            del state.came[0]
        return Verdict(Outcome.SATISFIED, {}, came)

    def due(self, state: _Ahead) -> int | None:
        return None if state.next is None else state.next + self.grace

    def expire(self, state: _Ahead, at: int) -> Verdict:
        deadline = state.next
        if deadline is None:
            return Verdict(Outcome.NO_MATCH)
        in_time = any(deadline - self.within <= ref.time <= deadline for ref in state.came)
        after = [Recovery(ref) for ref in state.came if ref.time > deadline]
        state.next = self.calendar.after(deadline, deadline)
        state.missed = None if in_time else deadline
        if state.next is not None:
            state.came = [ref for ref in state.came if ref.time >= state.next - self.within]
        if in_time:
            return Verdict(Outcome.NO_MATCH)
        return Verdict(Outcome.FIRED, signals=(Fire(deadline, None, (), 0), *after))

    def is_empty(self, state: _Ahead) -> bool:
        return state.next is None

    def reason(self, fire: Fire) -> str:
        return f"nothing came in the {format_duration(self.within)} before {to_rfc3339(fire.time)}"

    def show(self, state: _Ahead | None, now: int) -> dict[str, Any]:
        if state is None:
            return {}
        return {"next": state.next, "came": [ref.time for ref in state.came]}
