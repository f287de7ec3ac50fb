"""The engine's place in the stream: the rules in force, their state, and how far they have read."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tocsin_automations.automation import Automation
from tocsin_automations.decision import Decision, Firing
from tocsin_automations.engine import State, Tick, next_due, step, switch
from tocsin_automations.rules import Rules
from tocsin_events.view import EventView

CONTROL_TYPES: Final = frozenset({"config.applied", "automation.paused", "automation.resumed"})
"""The events that change the rules."""


@dataclass(frozen=True, slots=True)
class Configured:
    """What the engine is to evaluate: a revision's automations, less the paused ones."""

    revision: int
    automations: Mapping[str, Automation]
    paused: frozenset[str] = frozenset()

    def paused_as(self, paused: Collection[str]) -> "Configured":
        """Return the same automations with others paused."""
        return replace(self, paused=frozenset(paused))

    def effective(self) -> list[Automation]:
        """Return the automations as the engine sees them: a paused one is not enabled."""
        return [
            automation.model_copy(update={"enabled": False}) if name in self.paused else automation
            for name, automation in self.automations.items()
        ]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the engine has come: the last sequence, its clock (microseconds), the next timer, and what it counted."""

    sequence: int
    clock: int
    revision: int
    next_due: int | None
    events: int
    undecodable: int
    caught_up: bool
    paused: frozenset[str] = frozenset()


@dataclass(slots=True)
class Live:
    """The running engine between two messages. Not thread-safe; one service owns it."""

    configured: Configured
    rules: Rules
    state: State
    sequence: int
    clock: int
    caught_up: bool = False
    events: int = 0
    undecodable: int = 0
    _blown: list[Decision] = field(default_factory=list)

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        return Progress(
            sequence=self.sequence,
            clock=self.clock,
            revision=self.configured.revision,
            next_due=next_due(self.state),
            events=self.events,
            undecodable=self.undecodable,
            caught_up=self.caught_up,
            paused=self.configured.paused,
        )

    def take(self, view: EventView) -> list[tuple[Firing, Automation]]:
        """Evaluate an event and return what fired, and of which automation."""
        self.sequence = view.sequence
        self.clock = max(self.clock, view.received)
        self.events += 1
        return self._step(view)

    def tick(self, at: int, sequence: int) -> list[tuple[Firing, Automation]]:
        """Let the timers fire that are due at an instant or before it."""
        self.sequence = sequence
        self.clock = max(self.clock, at)
        return self._step(Tick(at))

    def pass_over(self, sequence: int) -> None:
        """Go on behind a message that is no event: the recorder puts it with the dead letters."""
        self.sequence = sequence
        self.undecodable += 1

    def take_blown_fuses(self) -> list[Decision]:
        """Return the decisions by which a rate limit paused its automation, since the last time."""
        blown, self._blown = self._blown, []
        return blown

    def switch(self, configured: Configured, rules: Rules) -> list[tuple[Firing, Automation]]:
        """Go over to other rules; return the alerts that were closed by that."""
        self.state, decisions = switch(rules, self.state, self.clock)
        # What was resumed by hand may fire again, whatever fuse had paused it.
        self.state.fused -= self.configured.paused - configured.paused
        closed = _firings(decisions, self.rules)
        self.configured, self.rules = configured, rules
        return closed

    def _step(self, seen: EventView | Tick) -> list[tuple[Firing, Automation]]:
        self.state, decisions = step(self.rules, self.state, seen)
        self._blown += [decision for decision in decisions if decision.detail.get("pause")]
        return _firings(decisions, self.rules)


def _firings(decisions: Collection[Decision], rules: Rules) -> list[tuple[Firing, Automation]]:
    return [
        (decision.firing, rules.automation(decision.firing.automation))
        for decision in decisions
        if decision.firing is not None
    ]
