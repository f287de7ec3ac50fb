"""``all: [..]``, ``any: [..]``, ``at_least: n`` with ``of: [..]``: fires when several triggers fired for one key.

Of all choices that fit into the window, the latest is taken: the window that starts latest, and in it each child's
latest firing. One event may satisfy several children.
"""

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from tocsin_automations.composite import Composed, Composite, merged, order
from tocsin_automations.trigger import AnyTrigger, Fire, Trigger, TriggerConfig, Wiring
from tocsin_automations.words import Duration
from tocsin_events.duration import format_duration

Children = Annotated[tuple[AnyTrigger, ...], Field(min_length=1, max_length=50)]


class AllTrigger(TriggerConfig):
    """Fires when all children fired within a time of each other, for the same key."""

    kind: ClassVar[str] = "all"
    marks: ClassVar[frozenset[str]] = frozenset({"all"})

    all: Children
    within: Duration

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        return _compound(self, wiring, self.all, len(self.all), self.within)

    def children(self) -> tuple[TriggerConfig, ...]:
        """Return the children."""
        return self.all


class AnyOfTrigger(TriggerConfig):
    """Fires when a child fires, once for each event."""

    kind: ClassVar[str] = "any"
    marks: ClassVar[frozenset[str]] = frozenset({"any"})

    any: Children
    within: Duration | None = None

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        return _compound(self, wiring, self.any, 1, self.within)

    def children(self) -> tuple[TriggerConfig, ...]:
        """Return the children."""
        return self.any


class AtLeastTrigger(TriggerConfig):
    """Fires when some number of different children fired within a time of each other, for the same key."""

    kind: ClassVar[str] = "at_least"
    marks: ClassVar[frozenset[str]] = frozenset({"at_least", "of"})

    at_least: Annotated[int, Field(ge=1, strict=True)]
    of: Children
    within: Duration

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.at_least > len(self.of):
            raise ValueError(f"at_least: {self.at_least} can't be reached by {len(self.of)} trigger(s)")
        return self

    def compile(self, wiring: Wiring) -> Trigger[Any]:
        """Return the compiled trigger."""
        return _compound(self, wiring, self.of, self.at_least, self.within)

    def children(self) -> tuple[TriggerConfig, ...]:
        """Return the children."""
        return self.of


def _compound(
    config: TriggerConfig, wiring: Wiring, children: tuple[TriggerConfig, ...], need: int, within: int | None
) -> Trigger[Any]:
    inner = wiring.keyed(config.for_each).child()
    return _Compound([child.compile(inner) for child in children], need, within, wiring.grace)


class _Compound(Composite):
    def __init__(self, children: list[Trigger[Any]], need: int, within: int | None, grace: int) -> None:
        super().__init__(children, within, grace)
        self.need = need

    def reason(self, fire: Fire) -> str:
        if self.need == 1:
            return "one of its triggers fired"
        return (
            f"{self.need} of {len(self.children)} triggers fired within {format_duration(self.within or 0)}"
        )

    def _add(self, state: Composed, new: list[tuple[int, Fire]], now: int) -> tuple[Fire, ...]:
        if self.need > 1:
            return super()._add(state, new, now)
        # Nothing waits for anything: what fires together fires once.
        return (merged([fire for _, fire in new]),) if new else ()

    def _progress(self, state: Composed, new: Fire) -> dict[str, Any]:
        return {**super()._progress(state, new), "need": self.need}

    def _complete(self, state: Composed, child: int, new: Fire) -> list[tuple[int, Fire]] | None:
        within = self.within or 0
        starts = {
            fire.time
            for fires in state.candidates
            for fire in fires
            if new.time - within <= fire.time <= new.time
        }
        for start in sorted(starts, reverse=True):
            chosen = [(child, new)]
            for number, fires in enumerate(state.candidates):
                inside = [fire for fire in fires if start <= fire.time <= start + within]
                if number != child and inside:
                    chosen.append((number, inside[-1]))
            if len(chosen) >= self.need:
                others = sorted(chosen[1:], key=lambda one: order(one[1]), reverse=True)
                return [chosen[0], *others[: self.need - 1]]
        return None
