"""Rules: a revision of automations, compiled and indexed for the engine. Immutable."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from tocsin_automations.automation import Automation
from tocsin_automations.index import Index
from tocsin_automations.limits import Limits
from tocsin_automations.selector import Selector
from tocsin_automations.trigger import Trigger, TriggerConfig, Wiring

MOST_KEYS: Final = 1_000_000
"""How many keys a part of an automation follows at once; beyond that the oldest are dropped, with a decision."""

# At one instant, held events come first, then triggers, then limits.
_PARTS: Final = 1
_RULES: Final = 1 << 40

STARTS_A_RUN: Final = "run_deployment"
"""The kind of action that starts a run."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One trigger of an automation, `when` or `until`, with what the engine needs to know of it.

    ``timer`` stands for it in the queue of timers. ``id`` names its states in checkpoints: it changes when the trigger's definition does, and only then.
    """

    number: int
    timer: int
    id: str
    role: Literal["when", "until"]
    trigger: Trigger[Any]
    selectors: tuple[Selector, ...]
    grace: int


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """An automation in its compiled form.

    ``remembers`` says that its limits look at earlier firings, ``natural`` that the opposite of its trigger closes its
    alerts, ``opens_alerts`` that anything does; ``runs`` is how many runs a firing of it starts.
    """

    number: int
    timer: int
    name: str
    automation: Automation
    when: Part
    until: Part | None
    fingerprint: str
    enabled: bool
    limits: Limits
    remembers: bool
    natural: bool
    opens_alerts: bool
    runs: int


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """The automations of a revision. ``applied_at`` is the engine's clock when it was applied, in microseconds."""

    revision: int
    applied_at: int
    rules: tuple[Rule, ...]
    by_name: Mapping[str, Rule]
    parts: tuple[Part, ...]
    part_by_id: Mapping[str, Part]
    owners: tuple[Rule, ...]
    index: Index
    follows_matter: bool
    most_keys: int

    @classmethod
    def build(
        cls, automations: Iterable[Automation], revision: int, applied_at: int, *, most_keys: int = MOST_KEYS
    ) -> "Rules":
        """Return automations compiled and indexed.

        Raises:
            ValueError: two have the same name.

        """
        rules: list[Rule] = []
        parts: list[Part] = []
        owners: list[Rule] = []
        for automation in sorted(automations, key=lambda one: one.name):
            if rules and rules[-1].name == automation.name:
                raise ValueError(f"two automations are named {automation.name!r}")
            rule = _compile(automation, len(rules), len(parts))
            rules.append(rule)
            own = (rule.when,) if rule.until is None else (rule.until, rule.when)
            parts.extend(own)
            owners.extend([rule] * len(own))
        return cls(
            revision=revision,
            applied_at=applied_at,
            rules=tuple(rules),
            by_name={rule.name: rule for rule in rules},
            parts=tuple(parts),
            part_by_id={part.id: part for part in parts},
            owners=tuple(owners),
            index=Index((part.number, selector) for part in parts for selector in part.selectors),
            follows_matter=any(part.trigger.ordered and part.grace for part in parts),
            most_keys=most_keys,
        )

    def about(self, timer: int) -> "Part | Rule | None":
        """Return the part or rule that a timer is about; None for an event that is held back."""
        if timer >= _RULES:
            return self.rules[timer - _RULES]
        return self.parts[timer - _PARTS] if timer >= _PARTS else None

    def horizon(self, names: Iterable[str] | None = None) -> int:
        """Return how far back, in microseconds, events matter to automations: what `warm_up` needs of history."""
        chosen = (
            self.rules if names is None else [self.by_name[name] for name in names if name in self.by_name]
        )
        return max((rule.when.trigger.horizon + rule.when.grace for rule in chosen), default=0)

    def automation(self, name: str) -> Automation:
        """Return an automation by its name.

        Raises:
            KeyError: there is none.

        """
        return self.by_name[name].automation


def _compile(automation: Automation, number: int, first_part: int) -> Rule:
    wiring = Wiring(automation.grace)
    trigger = automation.when.compile(wiring)
    fingerprint = automation.when.fingerprint()
    until = None
    if isinstance(automation.until, TriggerConfig):
        until = _until_part(automation, automation.until, first_part)
    place = first_part + (until is not None)
    when = Part(
        number=place,
        timer=_PARTS + place,
        id=f"when/{automation.name}/{fingerprint}",
        role="when",
        trigger=trigger,
        selectors=wiring.selectors,
        grace=automation.grace,
    )
    return Rule(
        number=number,
        timer=_RULES + number,
        name=automation.name,
        automation=automation,
        when=when,
        until=until,
        fingerprint=fingerprint,
        enabled=automation.enabled,
        limits=automation.limits,
        remembers=automation.limits.remember,
        natural=automation.until is None and trigger.natural,
        opens_alerts=until is not None or (automation.until is None and trigger.natural),
        runs=sum(action.kind == STARTS_A_RUN for action in automation.then),
    )


def _until_part(automation: Automation, config: TriggerConfig, number: int) -> Part:
    wiring = automation.until_wiring()
    trigger = config.compile(wiring)
    keyed = f"{config.fingerprint()} {automation.when.for_each} {automation.when.by_subject}"
    fingerprint = hashlib.sha256(keyed.encode()).hexdigest()[:16]
    return Part(
        number=number,
        timer=_PARTS + number,
        id=f"until/{automation.name}/{fingerprint}",
        role="until",
        trigger=trigger,
        selectors=wiring.selectors,
        grace=automation.grace,
    )
