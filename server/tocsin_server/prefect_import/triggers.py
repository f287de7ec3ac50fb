"""Prefect's triggers as ours.

What differs in meaning, measured on Prefect's own evaluation: its windows stand one behind the other, and a trigger that
fired rests until its window ends; an absence fires again after each further window; the children of a composite
trigger know no common key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tocsin_events.duration import format_duration
from tocsin_server.prefect_import.conditions import Conditions, joined
from tocsin_server.prefect_import.event_types import types_of
from tocsin_server.prefect_import.model import (
    AnyTrigger,
    CompoundTrigger,
    EventTrigger,
    MetricTrigger,
    SequenceTrigger,
)
from tocsin_server.prefect_import.report import CannotTranslateError, Notes

FOR_EVER: Final = timedelta(days=7)
"""The window of triggers that had none: as long as the bus keeps events by default."""

_SHORTEST_ABSENCE: Final = timedelta(seconds=10)
_ENDS: Final = ("flow-run.completed", "flow-run.failed", "flow-run.crashed", "flow-run.timed-out")


@dataclass(frozen=True, slots=True)
class When:
    """A trigger of ours as it is written.

    ``cooldown`` is how long Prefect kept still after a firing (zero: not at all); ``opens_alert`` whether it has a natural
    opposite; ``labels`` what Prefect called the values of ``for_each``, in their order.
    """

    written: Mapping[str, Any]
    cooldown: timedelta = timedelta(0)
    opens_alert: bool = False
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Triggers:
    """Translates the triggers of one automation."""

    conditions: Conditions
    notes: Notes

    def when(self, trigger: AnyTrigger) -> When:
        """Return the trigger of ours that means the same, or nearly.

        Raises:
            CannotTranslateError: there is none.

        """
        match trigger:
            case EventTrigger(posture="Reactive"):
                return self._reactive(trigger)
            case EventTrigger():
                return self._proactive(trigger)
            case MetricTrigger():
                return self._metric(trigger)
            case CompoundTrigger():
                return self._compound(trigger)
            case SequenceTrigger():
                return self._sequence(trigger)

    def _reactive(self, trigger: EventTrigger) -> When:
        if trigger.after:
            return self._after(trigger)
        written: dict[str, Any] = {
            "event": self._named(trigger, trigger.expect),
            **self._where(trigger, trigger.expect),
        }
        within = trigger.within
        if trigger.threshold > 1:
            if not within:
                within = FOR_EVER
                self.notes.differs(
                    f"without `within`, events counted for ever there; here for {written_length(within)}"
                )
            written |= {"count": trigger.threshold, "within": written_length(within)}
            self.notes.differs(
                "windows stood one behind the other there; here the window slides: any "
                f"{trigger.threshold} events within {written_length(within)} count, wherever a window would have ended"
            )
        if within:
            self.notes.differs(
                f"after a firing the trigger rested until its window ended; here that is `limits: cooldown: {written_length(within)}`,"
                " counted from the firing"
            )
        return When({**written, **self._keys(trigger)}, cooldown=within, labels=trigger.for_each)

    def _after(self, trigger: EventTrigger) -> When:
        if not trigger.within:
            raise CannotTranslateError(
                "`after` without `within` leaves no time in which anything could follow"
            )
        expected: dict[str, Any] = {
            "event": self._named(trigger, trigger.expect),
            **self._where(trigger, trigger.expect),
        }
        if trigger.threshold > 1:
            expected |= {"count": trigger.threshold, "within": written_length(trigger.within)}
        first = {"event": self._named(trigger, trigger.after), **self._where(trigger, trigger.after)}
        self.notes.differs(
            "`after` and `expect` became a sequence: it is ordered by the events' own times, and its events are used up"
        )
        written = {
            "sequence": [first, expected],
            "within": written_length(trigger.within),
            **self._keys(trigger),
        }
        return When(written, labels=trigger.for_each)

    def _proactive(self, trigger: EventTrigger) -> When:
        if trigger.threshold < 1:
            raise CannotTranslateError("fewer than 0 events never happen: with `threshold` 0 it never fires")
        within = trigger.within or _SHORTEST_ABSENCE
        if within < _SHORTEST_ABSENCE:
            raise CannotTranslateError(
                f"`within` is {written_length(within)}; Prefect takes no less than 10s here"
            )
        if trigger.threshold > 1:
            return self._too_few(trigger, within)
        written = {
            "missing": self._named(trigger, trigger.expect),
            **self._where(trigger, trigger.expect),
            "within": written_length(within),
        }
        self.notes.differs(
            "it opens an alert that is resolved when the awaited event comes; `until: never` turns that off"
        )
        if trigger.after:
            where = self._where(trigger, trigger.after)
            written |= {"after": self._named(trigger, trigger.after)}
            written |= {"after_where": where["where"]} if where else {}
        else:
            self.notes.differs(
                f"it fires once when nothing came for {written_length(within)}, and again only after an event came; there it fired "
                "for each further window"
            )
            if not trigger.for_each:
                written["arm"] = "always"
        return When({**written, **self._keys(trigger)}, opens_alert=True, labels=trigger.for_each)

    def _too_few(self, trigger: EventTrigger, within: timedelta) -> When:
        if trigger.after:
            raise CannotTranslateError(
                "nothing here says `fewer than n events after another one`; only that none came"
            )
        if trigger.threshold > 10_000:
            raise CannotTranslateError("a window holds 10,000 events here")
        self.notes.differs(
            f"fewer than {trigger.threshold} events: here a sliding window of {written_length(within)} must have had too few for as "
            "long; it opens an alert that is resolved when there are enough"
        )
        written = {
            "event": self._named(trigger, trigger.expect),
            **self._where(trigger, trigger.expect),
            "aggregate": "count",
            "over": written_length(within),
            "below": trigger.threshold,
            "min_events": 0,
            "for": written_length(within),
        }
        return When({**written, **self._keys(trigger)}, opens_alert=True, labels=trigger.for_each)

    def _metric(self, trigger: MetricTrigger) -> When:
        metric = trigger.metric
        where = self.conditions.all_of(trigger.match, trigger.match_related)
        condition: dict[str, Any] = {"where": where} if where else {}
        if metric.name == "successes":
            written = {
                "event": list(_ENDS),
                **condition,
                "value": 'event.type == "flow-run.completed" ? 1.0 : 0.0',
            }
            self.notes.differs("successes: each end of a run counts; there only the last state of a run did")
        elif metric.name == "duration":
            written = {"event": list(_ENDS), **condition, "value": "double(data.duration)"}
            self.notes.differs("duration: the average of the runs' own durations")
        else:
            raise CannotTranslateError(f"the metric {metric.name!r} has no counterpart")
        if metric.operator in ("<=", ">="):
            self.notes.differs(
                f"`{metric.operator}` became `{metric.operator[0]}`: the bound itself is inside"
            )
        self.notes.differs("it opens an alert that is resolved when the figure is back inside its bound")
        written |= {
            "aggregate": "avg",
            "over": written_length(metric.range),
            ("below" if metric.operator.startswith("<") else "above"): metric.threshold,
        }
        return When(written | _lasting(metric.firing_for), opens_alert=True)

    def _compound(self, trigger: CompoundTrigger) -> When:
        count = len(trigger.triggers)
        need = {"any": 1, "all": count}.get(str(trigger.require), trigger.require)
        assert isinstance(need, int)
        if not 1 <= need <= count:
            raise CannotTranslateError(f"`require` is {trigger.require}, and there are {count} triggers")
        children, labels = self._children(trigger.triggers)
        if count == 1:
            return children[0]
        written = [dict(child.written) for child in children]
        if need == 1:
            return When({"any": written, **_common(children)}, labels=labels)
        within = {"within": written_length(self._within(trigger))}
        self._tell_of_keys(children)
        if need == count:
            return When({"all": written, **within, **_common(children)}, labels=labels)
        return When({"at_least": need, "of": written, **within, **_common(children)}, labels=labels)

    def _sequence(self, trigger: SequenceTrigger) -> When:
        children, labels = self._children(trigger.triggers)
        if len(children) == 1:
            return children[0]
        self.notes.differs("a sequence is ordered by the events' own times, not by when they were evaluated")
        self._tell_of_keys(children)
        written = [dict(child.written) for child in children]
        return When(
            {"sequence": written, "within": written_length(self._within(trigger)), **_common(children)},
            labels=labels,
        )

    def _children(self, triggers: tuple[AnyTrigger, ...]) -> tuple[list[When], tuple[str, ...]]:
        if not triggers:
            raise CannotTranslateError("a composite trigger needs at least one trigger")
        children = [self.when(one) for one in triggers]
        if len(children) > 1 and any(child.cooldown for child in children):
            self.notes.differs("inside a composite trigger nothing rests after a firing")
        counts = {len(_keys_of(child)) for child in children}
        if len(counts) == 1:
            return children, children[0].labels
        if any(_keys_of(child) and set(child.written) - {"event", "where", "for_each"} for child in children):
            raise CannotTranslateError("its triggers have different numbers of `for_each` labels")
        self.notes.differs("`for_each` is left out: only some of its triggers had it")
        return [When(_without_keys(child.written)) for child in children], ()

    def _tell_of_keys(self, children: list[When]) -> None:
        if _keys_of(children[0]):
            self.notes.differs(
                "its triggers must fire for the same `for_each` values; there, one for A and one for B fired it"
            )

    def _within(self, trigger: CompoundTrigger | SequenceTrigger) -> timedelta:
        if trigger.within:
            return trigger.within
        self.notes.differs(
            f"without `within`, what fired counted for ever there; here for {written_length(FOR_EVER)}"
        )
        return FOR_EVER

    def _named(self, trigger: EventTrigger, names: tuple[str, ...]) -> str | list[str]:
        patterns, _ = types_of(names, self.notes)
        if ">" in patterns and not trigger.match and not trigger.match_related:
            self.notes.differs("it looks at every event, Tocsin's own included")
        return patterns[0] if len(patterns) == 1 else list(patterns)

    def _where(self, trigger: EventTrigger, names: tuple[str, ...]) -> dict[str, str]:
        _, typed = types_of(names, self.notes)
        matched = self.conditions.all_of(trigger.match, trigger.match_related)
        where = joined([one for one in (typed, matched) if one])
        return {"where": where} if where else {}

    def _keys(self, trigger: EventTrigger) -> dict[str, str | list[str]]:
        keys = [self.conditions.key(label) for label in trigger.for_each]
        if any(label not in ("prefect.resource.id", "prefect.resource.name") for label in trigger.for_each):
            self.notes.differs(
                "events without a value for `for_each` are ignored; there they shared an empty one"
            )
        return {"for_each": keys[0] if len(keys) == 1 else keys} if keys else {}


def _keys_of(when: When) -> list[str]:
    found = when.written.get("for_each", [])
    return [found] if isinstance(found, str) else list(found)


def _common(children: list[When]) -> dict[str, Any]:
    """Return the keys of a composite trigger: those of its first child; the others name their own."""
    return {"for_each": children[0].written["for_each"]} if _keys_of(children[0]) else {}


def _without_keys(written: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in written.items() if name != "for_each"}


def _lasting(length: timedelta) -> dict[str, str]:
    return {"for": written_length(length)} if length else {}


def written_length(length: timedelta) -> str:
    """Return a length of time as it is written in a file: milliseconds at the finest, and never none."""
    micros = round(length.total_seconds() * 1000) * 1000
    return format_duration(max(micros, 1000))
