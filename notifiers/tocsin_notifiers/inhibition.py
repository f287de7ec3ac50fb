"""Inhibition: while one alert is open, those that only follow from it stay quiet."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from tocsin_notifiers.alert import Alert
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.names import Names


class Inhibition(BaseModel):
    """While an alert is open of which ``source`` is true, those of which ``target`` is true stay quiet.

    ``equal`` are CEL expressions that must have the same value for both; one without a value is equal to nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(min_length=1)
    target: str = Field(min_length=1)
    equal: tuple[str, ...] = ()


def inhibitor_of(
    own: Names,
    own_id: str,
    inhibitions: Iterable[Inhibition],
    open_alerts: Iterable[tuple[Alert, Names]],
    conditions: Conditions,
) -> Alert | None:
    """Return the open alert that keeps another quiet, the first one to have opened; None where there is none.

    An alert never inhibits itself, nor one that would in turn inhibit it (both sides of a rule fit both).
    """
    candidates = sorted(open_alerts, key=lambda pair: (pair[0].opened, pair[0].id))
    for rule in inhibitions:
        if not conditions.match(rule.target, own) or conditions.match(rule.source, own):
            continue
        for alert, names in candidates:
            if (
                alert.id != own_id
                and conditions.match(rule.source, names)
                and all(conditions.equal(path, own, names) for path in rule.equal)
            ):
                return alert
    return None
