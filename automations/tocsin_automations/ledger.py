"""What one step decided: the decisions that are worth an object, and the counts of all."""

from collections.abc import Mapping
from typing import Any, Literal

from tocsin_automations.decision import Decision, Firing, Outcome
from tocsin_automations.rules import Part, Rules
from tocsin_automations.selector import Miss, key_values
from tocsin_automations.state import State
from tocsin_events.view import EventView


class Ledger:
    """The decisions of a step, in order. Events that no selector passes are only counted."""

    __slots__ = ("decisions", "rules", "state")

    def __init__(self, rules: Rules, state: State) -> None:
        self.rules = rules
        self.state = state
        self.decisions: list[Decision] = []

    def decide(
        self,
        part: Part,
        key: str | None,
        outcome: Outcome,
        detail: Mapping[str, Any],
        view: EventView | None,
        *,
        firing: Firing | None = None,
        role: Literal["when", "until"] | None = None,
    ) -> None:
        """Note a decision; ``role`` where it is another than the part's (a natural end of an alert)."""
        role = role or part.role
        decision = Decision(
            automation=self.rules.owners[part.number].name,
            part=role,
            outcome=outcome,
            at=self.state.now,
            event_id=None if view is None else view.id,
            source=None if view is None else view.source,
            key=None if key is None else key_values(key),
            detail=detail,
            firing=firing,
        )
        self.decisions.append(decision)
        self.count(part, role, outcome, str(detail["why"]) if "why" in detail else "")

    def broken(self, part: Part, key: str | None, view: EventView | None, problem: Exception) -> None:
        """Note that the evaluation of a part went wrong in a way that it should not."""
        why = f"{type(problem).__name__}: {problem}"
        self.decide(part, key, Outcome.CONDITION_ERROR, {"why": why}, view)

    def missed(self, part: Part, miss: Miss, view: EventView) -> None:
        """Note that an event did not pass a part's selectors."""
        if miss.outcome is Outcome.NO_MATCH:
            counted = self.state.misses[part.number]
            counted[miss] = counted.get(miss, 0) + 1
        else:
            self.decide(part, None, miss.outcome, {"why": miss.reason}, view)

    def count(self, part: Part, role: str, outcome: Outcome, reason: str) -> None:
        """Count a decision that needs no object."""
        counts = self.state.counts
        key = part.number, role, outcome, reason
        counts[key] = counts.get(key, 0) + 1
