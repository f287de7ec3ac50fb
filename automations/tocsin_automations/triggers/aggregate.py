"""``event: P``, ``aggregate: …``, ``over: w``, ``above: x``: fires when a figure over a sliding window crosses a bound.

What fires is the edge, not the level. The window is evaluated at each event and each time that a value leaves it; the
latest such instant is ``as_of``, and it never goes back: an event that arrives out of order counts from then on. A
crossing by an event fires at once; one that needs `for`, or that a leaving value brought about, fires by a timer. They
are told in the order in which they happened: a crossing waits for those before it, and with each that was over when
it fired goes its way back.
"""

import math
from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import msgspec
from pydantic import Field, model_validator

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
from tocsin_events.expression import Absent, Expression, Fault, compile_expression
from tocsin_events.instant import SECOND

MOST_VALUES = 10_000
"""How many values a window holds at most; the oldest go first."""

_LARGEST: Final = 1e300
Function = Literal["count", "sum", "avg", "min", "max", "p50", "p95", "p99", "rate"]
_WITHOUT_VALUE: Final = ("count", "rate")


class AggregateTrigger(TriggerConfig):
    """Fires when an aggregate over a sliding window crosses a bound; again only after it went back."""

    kind: ClassVar[str] = "aggregate"
    marks: ClassVar[frozenset[str]] = frozenset({"event", "aggregate"})
    priority: ClassVar[int] = 1

    event: Patterns
    where: ExpressionText | None = None
    value: ExpressionText | None = None
    aggregate: Function
    over: Duration
    above: Annotated[float, Field(allow_inf_nan=False)] | None = None
    below: Annotated[float, Field(allow_inf_nan=False)] | None = None
    min_events: Annotated[int, Field(ge=0, le=MOST_VALUES, strict=True)] = 1
    for_: Duration | None = Field(default=None, alias="for")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.above is None and self.below is None:
            raise ValueError("needs a bound: above or below")
        if self.above is not None and self.below is not None and self.above < self.below:
            raise ValueError(
                "with both bounds, above must not be less than below: it would always be outside"
            )
        if self.value is None and self.aggregate not in _WITHOUT_VALUE:
            raise ValueError(f"{self.aggregate} needs `value`: the number to take from each event")
        return self

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        return _Aggregate(self, wiring.keyed(self.for_each).listen(self.event, self.where), wiring.grace)


class _Value(msgspec.Struct, frozen=True, gc=False, array_like=True, order=True):
    ref: Ref
    number: int | float


class _Crossing(msgspec.Struct, gc=False, array_like=True):
    """The figure crossed the bound at an event time; it fires at the clock ``due``, unless it goes back too soon.

    ``back``: it went back, but had stayed for long enough.
    """

    time: int
    due: int
    figure: int | float | None
    back: bool = False


class _Window(Kept, gc=False, array_like=True):
    """``crossings`` are those not decided yet, in order."""

    values: list[_Value] = msgspec.field(default_factory=list)
    as_of: int = 0
    outside: bool = False
    crossings: list[_Crossing] = msgspec.field(default_factory=list)
    last: Ref | None = None


class _Aggregate(Trigger[_Window]):
    natural = True

    def __init__(self, config: AggregateTrigger, bit: int, grace: int) -> None:
        self.bits = bit
        self.grace = grace
        self.name = config.aggregate
        self.over = config.over
        self.above = config.above
        self.below = config.below
        self.min_events = config.min_events
        self.lasts = config.for_ or 0
        self.horizon = config.over + self.lasts
        self._value: Expression | None = None if config.value is None else compile_expression(config.value)

    def fresh(self, at: int) -> _Window:
        return _Window()

    def state_type(self) -> Any:
        return _Window

    def observe(self, state: _Window, sighting: Sighting) -> Verdict:
        ref = sighting.ref
        if sighting.arrived > ref.time + self.over + self.grace:
            return Verdict(Outcome.LATE)
        number = self._number(sighting)
        if isinstance(number, Verdict):
            return number
        signals = self._leave(state, ref.time - self.over - 1)
        if ref.time < state.as_of - self.over:
            return Verdict(Outcome.NO_MATCH, {"why": "it has left the window already"}, tuple(signals))
        insort(state.values, _Value(ref, number))
        del state.values[: -MOST_VALUES or None]
        state.as_of = max(state.as_of, ref.time)
        state.last = ref
        at_once = None if self.lasts else sighting.now
        signals += self._turn(state, state.as_of, at_once)
        signals += self._decided(state, sighting.now)
        return self._say(state, signals)

    def due(self, state: _Window) -> int | None:
        dues = [state.crossings[0].due] if state.crossings else []
        if state.values:
            dues.append(state.values[0].ref.time + self.over + self.grace)
        return min(dues, default=None)

    def expire(self, state: _Window, at: int) -> Verdict:
        signals = self._leave(state, at - self.grace - self.over)
        signals += self._decided(state, at)
        return Verdict(Outcome.NO_MATCH, signals=tuple(signals))

    def is_empty(self, state: _Window) -> bool:
        return not (state.values or state.crossings or state.outside)

    def reason(self, fire: Fire) -> str:
        bounds = {"above": self.above, "below": self.below}
        crossed = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
        figure = "none" if fire.value is None else f"{fire.value:g}"
        return f"{self.name} over {format_duration(self.over)} is {figure}, {' or '.join(crossed)}"

    def show(self, state: _Window | None, now: int) -> dict[str, Any]:
        if state is None:
            return {"have": 0, "need": self.min_events}
        return {
            "have": len(state.values),
            "need": self.min_events,
            "value": self._figure(state),
            "above": self.above,
            "below": self.below,
            "outside": state.outside,
        }

    def _number(self, sighting: Sighting) -> float | Verdict:
        if self._value is None:
            return 0
        value = self._value.evaluate(sighting.view)
        if value.__class__ is Absent:
            return Verdict(Outcome.NO_MATCH, {"why": f"{value}, in value"})
        if value.__class__ is Fault:
            return Verdict(Outcome.CONDITION_ERROR, {"why": f"{value}, in value"})
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
            return Verdict(Outcome.CONDITION_ERROR, {"why": "value is not a number"})
        # A state is stored with whole numbers of 64 bits at most.
        return value if isinstance(value, float) or abs(value) < 2**63 else float(value)

    def _leave(self, state: _Window, until: int) -> list[Fire | Recovery]:
        """Let the values leave that happened at or before an instant, one time after the other."""
        signals: list[Fire | Recovery] = []
        while state.values and state.values[0].ref.time <= until:
            time = state.values[0].ref.time
            count = next(
                (at for at, value in enumerate(state.values) if value.ref.time > time), len(state.values)
            )
            del state.values[:count]
            state.as_of = max(state.as_of, time + self.over)
            signals += self._turn(state, state.as_of)
        return signals

    def _turn(self, state: _Window, time: int, due: int | None = None) -> list[Recovery]:
        """Note that the figure crossed the bound or went back at an instant.

        A crossing is decided when its `for` and the grace are over, unless told ``due``.
        """
        outside = self._is_outside(state)
        if outside == state.outside:
            return []
        state.outside = outside
        if outside:
            due = time + self.lasts + self.grace if due is None else due
            state.crossings.append(_Crossing(time, due, self._figure(state)))
            return []
        if state.crossings:
            self._end(state, time)
            return []
        return [Recovery(state.last)]

    def _end(self, state: _Window, time: int) -> None:
        """Note that the latest crossing is over: it counts only if it stayed for long enough."""
        latest = state.crossings[-1]
        if latest.time + max(self.lasts, 1) <= time:
            latest.back = True
        else:
            state.crossings.pop()

    def _decided(self, state: _Window, at: int) -> list[Fire | Recovery]:
        """Fire for the crossings that are decided at a clock, each with its way back if it went back since."""
        signals: list[Fire | Recovery] = []
        while state.crossings and state.crossings[0].due <= at:
            crossing = state.crossings.pop(0)
            figure = crossing.figure if crossing.back else self._figure(state)
            refs = tuple(value.ref for value in state.values)
            signals.append(Fire(crossing.time + self.lasts, state.last, refs, len(refs), figure))
            if crossing.back:
                signals.append(Recovery(state.last))
        return signals

    def _figure(self, state: _Window) -> float | None:
        if not state.values:
            return 0 if self.name in ("count", "sum", "rate") else None
        return _FUNCTIONS[self.name]([value.number for value in state.values], self.over)

    def _is_outside(self, state: _Window) -> bool:
        if len(state.values) < self.min_events:
            return False
        figure = self._figure(state)
        if figure is None:
            return False
        return (self.above is not None and figure > self.above) or (
            self.below is not None and figure < self.below
        )

    def _say(self, state: _Window, signals: list[Fire | Recovery]) -> Verdict:
        detail: dict[str, Any] = {
            "have": len(state.values),
            "need": self.min_events,
            "value": self._figure(state),
        }
        if state.crossings:
            return Verdict(Outcome.WAITING, {**detail, "until": state.crossings[0].due}, tuple(signals))
        figure = detail["value"]
        bounds = " or ".join(
            f"{word} {bound:g}"
            for word, bound in (("above", self.above), ("below", self.below))
            if bound is not None
        )
        level = (
            f"is {bounds} already" if state.outside else f"of {len(state.values)} event(s) is not {bounds}"
        )
        why = f"{self.name} {'none' if figure is None else format(figure, 'g')} {level}"
        return Verdict(Outcome.PENDING, {**detail, "why": why}, tuple(signals))


def _nearest_rank(percent: int) -> Callable[[Sequence[float], int], float]:
    def of(numbers: Sequence[float], over: int) -> float:  # noqa: ARG001 - one signature for all functions
        return sorted(numbers)[-(-percent * len(numbers) // 100) - 1]

    return of


_FUNCTIONS: Final[Mapping[str, Callable[[Sequence[float], int], float]]] = {
    "count": lambda numbers, _over: len(numbers),
    "sum": lambda numbers, _over: math.fsum(numbers),
    "avg": lambda numbers, _over: math.fsum(numbers) / len(numbers),
    "min": lambda numbers, _over: min(numbers),
    "max": lambda numbers, _over: max(numbers),
    "p50": _nearest_rank(50),
    "p95": _nearest_rank(95),
    "p99": _nearest_rank(99),
    "rate": lambda numbers, over: len(numbers) * SECOND / over,
}
