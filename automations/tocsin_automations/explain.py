"""Why: the tree of a trigger with the value of every condition, for one event or for one firing.

An explanation is made by asking the same selectors and triggers again, not by a second implementation of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tocsin_automations.decision import Decision, Firing, Outcome
from tocsin_automations.rules import Part, Rule
from tocsin_automations.selector import Miss, Selector, key_values
from tocsin_automations.state import State
from tocsin_automations.trigger import Trigger, TriggerConfig
from tocsin_events.expression import Explanation
from tocsin_events.instant import to_rfc3339
from tocsin_events.pattern import matches_any
from tocsin_events.view import EventView


@dataclass(frozen=True, slots=True)
class Condition:
    """One question of a trigger to an event: whether it is of these types, `where` holds, and what its key is.

    ``key`` is None where it did not pass; ``reason`` says why.
    """

    patterns: tuple[str, ...]
    event: str
    key: tuple[Any, ...] | None
    reason: str
    where: Explanation | None

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        passed = "passes" if self.key is not None else f"does not pass: {self.reason}"
        key = f", key {list(self.key)}" if self.key else ""
        head = f"{' or '.join(self.patterns)}: {self.event} {passed}{key}"
        return [head, *(() if self.where is None else self.where.lines(1))]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "types": list(self.patterns),
            "event": self.event,
            "passes": self.key is not None,
            "key": None if self.key is None else list(self.key),
            "reason": self.reason,
            "where": None if self.where is None else self.where.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Node:
    """A trigger in the tree: its kind, its conditions, what its state holds, and the triggers inside it."""

    kind: str
    conditions: tuple[Condition, ...]
    state: Mapping[str, Any]
    children: tuple["Node", ...] = ()

    def lines(self, indent: int = 0) -> list[str]:
        """Return the tree as lines of text."""
        held = ", ".join(f"{name} {_said(name, value)}" for name, value in self.state.items())
        mine = [f"{self.kind}{f': {held}' if held else ''}"]
        mine += [f"  {line}" for condition in self.conditions for line in condition.lines()]
        below = [line for child in self.children for line in child.lines(1)]
        return [f"{'  ' * indent}{line}" for line in (*mine, *below)]

    def to_json(self) -> dict[str, Any]:
        """Return the tree as JSON values; instants are RFC 3339."""
        return {
            "kind": self.kind,
            "conditions": [condition.to_json() for condition in self.conditions],
            "state": {name: _json(name, value) for name, value in self.state.items()},
            "children": [child.to_json() for child in self.children],
        }


@dataclass(frozen=True, slots=True)
class PartWhy:
    """What a part of an automation made of an event. ``before`` is its tree when the event came."""

    role: str
    outcome: Outcome
    reason: str
    keys: tuple[tuple[Any, ...], ...]
    before: Node
    decisions: tuple[Decision, ...]

    def lines(self) -> list[str]:
        """Return it as lines of text."""
        return [
            f"{self.role}: {self.outcome.value} ({self.reason})",
            *(f"  {line}" for line in self.before.lines()),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "part": self.role,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "keys": [list(key) for key in self.keys],
            "tree": self.before.to_json(),
            "firing": next((one.firing.id for one in self.decisions if one.firing is not None), None),
        }


def conditions_met(state: State, view: EventView, rule: Rule) -> list[tuple[Part, Node, list[str], str]]:
    """Return, for each part that listens to an event's type, its tree now, the keys that pass, and why none does."""
    found = []
    for part, config in parts_of(rule):
        listening = [selector for selector in part.selectors if matches_any(selector.patterns, view.type)]
        if not listening:
            continue
        answers = [selector.key_of(view) for selector in listening]
        keys = list(dict.fromkeys(answer for answer in answers if isinstance(answer, str)))
        slots = state.slots[part.number]
        kept = next((slots[key] for key in keys if key in slots), None)
        show = part.trigger.show(kept, state.now)
        reason = next((answer.reason for answer in answers if isinstance(answer, Miss)), "")
        found.append((part, tree(config, part.trigger, part, [view], show), keys, reason))
    return found


def parts_of(rule: Rule) -> list[tuple[Part, TriggerConfig]]:
    """Return the parts of a rule with what people wrote."""
    found: list[tuple[Part, TriggerConfig]] = []
    if rule.until is not None and isinstance(rule.automation.until, TriggerConfig):
        found.append((rule.until, rule.automation.until))
    found.append((rule.when, rule.automation.when))
    return found


def tree(
    config: TriggerConfig,
    trigger: Trigger[Any],
    part: Part,
    views: Sequence[EventView],
    show: Mapping[str, Any],
) -> Node:
    """Return the tree of a trigger: each selector asked about the last of the events that passes it, or the last."""
    inside = config.children()
    shown = show.get("children") or [{}] * len(inside)
    if inside:
        children = tuple(
            tree(child, compiled, part, views, state)
            for child, compiled, state in zip(inside, trigger.inner(), shown, strict=True)
        )
        state = {name: value for name, value in show.items() if name != "children"}
        return Node(config.kind, (), state, children)
    own = [selector for selector in part.selectors if selector.bit & trigger.bits]
    conditions = tuple(
        found for found in (_condition(selector, views) for selector in own) if found is not None
    )
    return Node(config.kind, conditions, dict(show))


def firing_tree(rule: Rule, firing: Firing) -> dict[str, Any]:
    """Return the tree of the trigger that fired, with the values of the events that made it."""
    views = [
        *firing.events,
        *(() if firing.event is None or firing.event in firing.events else (firing.event,)),
    ]
    part, config = parts_of(rule)[-1 if firing.state == "firing" else 0]
    return tree(config, part.trigger, part, views, {}).to_json()


def _condition(selector: Selector, views: Sequence[EventView]) -> Condition | None:
    # From the last one on: a window has thousands of events, and the rest need not even be decoded.
    listening = (view for view in reversed(views) if matches_any(selector.patterns, view.type))
    asked = ((view, selector.key_of(view)) for view in listening)
    latest = next(asked, None)
    if latest is None:
        return None
    view, answer = latest
    if isinstance(answer, Miss):
        view, answer = next(((one, key) for one, key in asked if isinstance(key, str)), latest)
    return Condition(
        patterns=selector.patterns,
        event=view.id,
        key=key_values(answer) if isinstance(answer, str) else None,
        reason=answer.reason if isinstance(answer, Miss) else "",
        where=None if selector.where is None else selector.where.explain(view),
    )


_INSTANTS = frozenset({"next", "since", "until"})


def _json(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {inner: _json(inner, one) for inner, one in value.items()}
    if isinstance(value, list | tuple):
        return [
            _json("since" if name in ("times", "awaited", "came", "fired") else name, one) for one in value
        ]
    if name in _INSTANTS and isinstance(value, int) and not isinstance(value, bool):
        return to_rfc3339(value)
    return value


def _said(name: str, value: Any) -> str:
    written = _json(name, value)
    if isinstance(written, list):
        return "[" + ", ".join(_said("", one) for one in written) + "]"
    if isinstance(written, dict):
        return ", ".join(f"{inner} {_said('', one)}" for inner, one in written.items()) or "none"
    return str(written).lower() if isinstance(written, bool) else str(written)
