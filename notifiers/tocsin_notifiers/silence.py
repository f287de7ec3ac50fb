"""Silences: for a time, alerts that match say nothing."""

import json
from dataclasses import dataclass
from itertools import product
from typing import Final

from tocsin_notifiers.alert import Alert, AlertState
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.names import Names, names_of_alert
from tocsin_notifiers.notification import Severity


@dataclass(frozen=True, slots=True)
class Silence:
    """From ``starts`` until ``ends`` (microseconds), for what the CEL expression ``matcher`` is true of."""

    id: str
    matcher: str
    starts: int
    ends: int
    author: str
    comment: str = ""
    created: int = 0
    deleted: int | None = None

    def is_active(self, now: int) -> bool:
        """Tell whether it is in force."""
        return self.deleted is None and self.starts <= now < self.ends

    def state(self, now: int) -> str:
        """Return ``pending``, ``active``, ``expired`` or ``deleted``."""
        if self.deleted is not None:
            return "deleted"
        if now < self.starts:
            return "pending"
        return "active" if now < self.ends else "expired"


class TooWide(ValueError):  # noqa: N818 - it names what was found
    """The silence would match everything, and nobody said that it may."""


class NoCondition(ValueError):  # noqa: N818 - it names what was found
    """The silence's matcher is an expression, but neither true nor false."""


class EmptySilence(ValueError):  # noqa: N818 - it names what was found
    """The silence ends before it begins, or has ended already."""


def check_silence(silence: Silence, conditions: Conditions, *, now: int, everything: bool) -> None:
    """Return for a silence that may be made.

    A matcher matches everything that is true of an alert without any properties of its own, or of alerts that have
    nothing in common but that they are alerts.

    Raises:
        EmptySilence: it can't come into force.
        NoCondition: its matcher can't be true.
        TooWide: it would match everything and ``everything`` is not set.

    """
    if silence.ends <= silence.starts or silence.ends <= now:
        raise EmptySilence("the silence ends before it can begin: check its start, end and duration")
    for probe in _PROBES:
        value = conditions.value(silence.matcher, probe)
        if value is not None and not isinstance(value, bool):
            raise NoCondition(f"{silence.matcher!r} is no condition: write what must be true, such as a == b")
    if everything:
        return
    if conditions.match(silence.matcher, _NOTHING) or all(
        conditions.match(silence.matcher, probe) for probe in _PROBES
    ):
        raise TooWide(
            f"{silence.matcher!r} matches everything: narrow it, or say that you mean it (--everything)"
        )


def matcher_of(alert: Alert) -> str:
    """Return the CEL expression that is true of an alert and of whatever else its automation says of the same key."""
    # JSON's literals are CEL's, too, as long as they are ASCII.
    return f"automation.name == {json.dumps(alert.automation)} && alert.key == {json.dumps(list(alert.key))}"


def _probe(severity: Severity, state: AlertState, number: int) -> Names:
    """Return the names of an alert of which nobody has heard."""
    alert = Alert(
        id=f"\ufffc{number}",
        automation=f"\ufffc{number}",
        key=(f"\ufffc{number}",) * (number % 3),
        opened=number * 1_000_000_000_000_000,
        updated=number * 1_000_000_000_000_000,
        state=state,
        count=10**number,
        severity=severity,
        title=f"\ufffc{number}",
        acknowledged_by=f"\ufffc{number}" if state is AlertState.ACKNOWLEDGED else "",
    )
    return names_of_alert(alert, {"automation": {"name": alert.automation}})


_NOTHING: Final = Names(
    {}, {"alert": {"id": "", "severity": "", "title": "", "key": []}, "severity": "", "status": ""}
)
_PROBES: Final = tuple(
    _probe(severity, state, number)
    for number, (severity, state) in enumerate(product(Severity, (AlertState.OPEN, AlertState.ACKNOWLEDGED)))
)
