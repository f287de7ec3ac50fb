"""``schedule: {cron|every|rrule, timezone}``: fires at the times of a calendar. It doesn't wait for grace."""

from typing import Any, ClassVar

from tocsin_automations.calendar import Calendar, Timetable
from tocsin_automations.decision import Outcome
from tocsin_automations.selector import NO_KEYS
from tocsin_automations.trigger import NOTHING, Fire, Kept, Sighting, Trigger, TriggerConfig, Verdict, Wiring
from tocsin_events.instant import to_rfc3339


class ScheduleTrigger(TriggerConfig):
    """Fires at the times of a calendar; ``every`` and ``rrule`` count from when the automation is applied."""

    kind: ClassVar[str] = "schedule"
    marks: ClassVar[frozenset[str]] = frozenset({"schedule"})

    schedule: Timetable

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        if self.for_each or (wiring.nested and wiring.values):
            raise ValueError("a schedule has no events, so it has no for_each")
        return _Schedule(self.schedule.calendar())


class _Next(Kept, gc=False, array_like=True):
    anchor: int = 0
    at: int | None = None


class _Schedule(Trigger[_Next]):
    standing = (NO_KEYS,)

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar

    def fresh(self, at: int) -> _Next:
        return _Next(anchor=at)

    def begin(self, key: str, at: int) -> _Next:
        return _Next(anchor=at, at=self.calendar.after(at, at))

    def state_type(self) -> Any:
        return _Next

    def observe(self, state: _Next, sighting: Sighting) -> Verdict:
        return NOTHING

    def due(self, state: _Next) -> int | None:
        return state.at

    def expire(self, state: _Next, at: int) -> Verdict:
        fire = Fire(at if state.at is None else state.at, None, (), 0)
        state.at = self.calendar.after(fire.time, state.anchor)
        return Verdict(Outcome.FIRED, signals=(fire,))

    def is_empty(self, state: _Next) -> bool:
        return state.at is None

    def settle(self, warm: _Next | None, fresh: _Next | None) -> _Next | None:
        return fresh

    def reason(self, fire: Fire) -> str:
        return f"it was {to_rfc3339(fire.time)}"

    def show(self, state: _Next | None, now: int) -> dict[str, Any]:
        return {"next": None if state is None else state.at}
