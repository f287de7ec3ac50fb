"""Kinds of triggers and actions by entry point; built-in ones are registered exactly as a plugin's are."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tocsin_automations.action import ActionKind
    from tocsin_automations.testing.deliveries import RehearseDeliveries
    from tocsin_automations.trigger import TriggerConfig

TRIGGERS: Final = "tocsin.triggers"
"""The entry-point group of trigger kinds: classes derived from `tocsin_automations.trigger.TriggerConfig`."""

ACTIONS: Final = "tocsin.actions"
"""The entry-point group of action kinds: `tocsin_automations.action.ActionKind` objects."""


RULE_TESTS: Final = "tocsin.rule_tests"
"""The entry-point group of what rule tests know beyond rules: ``deliveries``, a `RehearseDeliveries`."""


@cache
def trigger_kinds() -> "Mapping[str, type[TriggerConfig]]":
    """Return the installed kinds of triggers by name."""
    return _load(TRIGGERS)


@cache
def action_kinds() -> "Mapping[str, ActionKind]":
    """Return the installed kinds of actions by name."""
    return _load(ACTIONS)


@cache
def rehearsal() -> "RehearseDeliveries | None":
    """Return what tells rule tests what would be delivered; None where no notification pipeline is installed."""
    return _load(RULE_TESTS).get("deliveries")


def _load(group: str) -> Mapping[str, Any]:
    found = sorted(entry_points(group=group), key=lambda point: point.name)
    return MappingProxyType({point.name: point.load() for point in found})
