"""Routing: from the notifier that a notification names to the services that tell, through routes and escalations."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tocsin_events.identity import indexed
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.configuration import EscalateNotifier, NotifierConfig, RouteNotifier, ServiceNotifier
from tocsin_notifiers.names import Names

_MOST_STEPS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Leg:
    """One service that a notification goes to: ``delay`` microseconds from now, at an escalation's ``level``.

    ``path`` names the notifiers that led there.
    """

    notifier: ServiceNotifier
    delay: int = 0
    level: int = 0
    path: tuple[str, ...] = ()


def route(
    name: str, names: Names, configs: Mapping[str, NotifierConfig], conditions: Conditions, *, has_alert: bool
) -> tuple[Leg, ...]:
    """Return where a notification goes, each service and level once; empty where no branch fits.

    Without an alert nobody can acknowledge, so an escalation is then only what comes before its first wait.
    """
    legs: dict[tuple[str, int], Leg] = {}
    for leg in _follow(name, names, configs, conditions, Leg(_NOWHERE), has_alert=has_alert):
        legs.setdefault((leg.notifier.name, leg.level), leg)
        if len(legs) >= _MOST_STEPS:
            break
    return tuple(legs.values())


def group_key(notifier: ServiceNotifier, names: Names, conditions: Conditions) -> str:
    """Return the key of the group that a notification belongs to at a notifier; empty without grouping."""
    group = notifier.options.group
    if group is None:
        return ""
    values = [conditions.value(path, names) for path in group.by]
    text = json.dumps([notifier.name, *values], separators=(",", ":"), default=str, ensure_ascii=False)
    return indexed(text)


def _follow(
    name: str,
    names: Names,
    configs: Mapping[str, NotifierConfig],
    conditions: Conditions,
    so_far: Leg,
    *,
    has_alert: bool,
) -> Iterator[Leg]:
    config = configs.get(name)
    path = (*so_far.path, name)
    here = Leg(so_far.notifier, so_far.delay, so_far.level, path)
    match config:
        case ServiceNotifier():
            yield Leg(config, here.delay, here.level, path)
        case RouteNotifier():
            for branch in config.branches:
                if branch.where is None or conditions.match(branch.where, names):
                    yield from _follow(branch.notify, names, configs, conditions, here, has_alert=has_alert)
                    if not branch.go_on:
                        return
        case EscalateNotifier():
            for next_name, delay, level in _steps(config, endless=has_alert):
                further = Leg(here.notifier, here.delay + delay, here.level + level, path)
                yield from _follow(next_name, names, configs, conditions, further, has_alert=has_alert)
        case None:
            return


def _steps(config: EscalateNotifier, *, endless: bool) -> Iterator[tuple[str, int, int]]:
    """Yield whom an escalation tells, after how long, at which level; a wait begins the next level."""
    rounds = 1 + next((step.repeat for step in config.steps if step.repeat is not None), 0)
    delay = level = 0
    for _ in range(rounds):
        for step in config.steps:
            if step.wait is not None:
                if not endless:
                    return
                delay, level = delay + step.wait, level + 1
            elif step.notify is not None:
                yield step.notify, delay, level
        # A round that repeats without a wait of its own at the end begins a level all the same.
        level += 1


_NOWHERE: Final = ServiceNotifier(name="", kind="", settings=None)  # type: ignore[arg-type]
