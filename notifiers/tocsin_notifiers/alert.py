"""The alert: what is wrong now, as a pure state machine.

An alert is opened by the first firing of its key, updated by further ones, may be acknowledged and escalated, and ends
resolved (it is over) or withdrawn (its rule was paused or removed). Once ended it stays ended: whatever arrives late is
counted and changes nothing else. Each change has a ``cause`` (an event's or a request's id), and the keeper applies
each cause once.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from tocsin_notifiers.notification import Severity


class AlertState(StrEnum):
    """Where an alert is in its life."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


class Step(StrEnum):
    """What happened to an alert; each is an event ``alert.<step>``."""

    OPENED = "opened"
    UPDATED = "updated"
    ACKNOWLEDGED = "acknowledged"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


ENDED: Final = frozenset({AlertState.RESOLVED, AlertState.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert; instants in microseconds since the epoch, ``count`` its firings so far."""

    id: str
    automation: str
    key: tuple[Any, ...]
    opened: int
    updated: int
    state: AlertState = AlertState.OPEN
    count: int = 1
    severity: Severity = Severity.ERROR
    title: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    acknowledged_by: str = ""
    acknowledged_at: int | None = None
    escalated: int = 0
    ended: int | None = None
    reason: str = ""

    @property
    def is_over(self) -> bool:
        """Tell whether the alert has ended."""
        return self.state in ENDED


@dataclass(frozen=True, slots=True)
class Fired:
    """A firing of the alert's automation for its key; ``count`` includes it."""

    cause: str
    at: int
    count: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Somebody takes it on."""

    cause: str
    at: int
    by: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """Nobody took it on in time: the next level is told."""

    cause: str
    at: int
    level: int
    to: str


@dataclass(frozen=True, slots=True)
class End:
    """It is over (``withdrawn``: its rule is); ``by`` is a person, where one ended it by hand."""

    cause: str
    at: int
    reason: str = ""
    by: str = ""
    withdrawn: bool = False


Change = Fired | Acknowledge | Escalate | End


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of an alert's history."""

    step: Step
    cause: str
    at: int
    by: str = ""
    detail: str = ""


class Refused(ValueError):  # noqa: N818 - a decision, not a mishap
    """The alert's state doesn't allow the change; the message says why."""


def open_alert(first: Alert, cause: str) -> tuple[Alert, Entry]:
    """Return a new alert with the first line of its history."""
    return first, Entry(Step.OPENED, cause, first.opened, detail=first.title)


def advance(alert: Alert, change: Change) -> tuple[Alert, Entry | None]:
    """Return the alert after a change, and the line that its history gets; None where nothing changed.

    Raises:
        Refused: somebody acknowledges an alert that is over.

    """
    match change:
        case Fired():
            return _fired(alert, change)
        case Acknowledge():
            return _acknowledged(alert, change)
        case Escalate():
            if alert.state is not AlertState.OPEN or change.level <= alert.escalated:
                return alert, None
            after = replace(alert, escalated=change.level, updated=max(alert.updated, change.at))
            return after, Entry(Step.ESCALATED, change.cause, change.at, detail=f"to {change.to}")
        case End():
            return _ended(alert, change)


def _fired(alert: Alert, change: Fired) -> tuple[Alert, Entry | None]:
    if change.count <= alert.count:
        return alert, None
    after = replace(alert, count=change.count)
    if alert.is_over:
        return after, None
    after = replace(after, updated=max(alert.updated, change.at))
    return after, Entry(Step.UPDATED, change.cause, change.at, detail=f"fired {change.count} times")


def _acknowledged(alert: Alert, change: Acknowledge) -> tuple[Alert, Entry | None]:
    if alert.is_over:
        raise Refused(f"alert {alert.id} is {alert.state} already")
    if alert.state is AlertState.ACKNOWLEDGED and alert.acknowledged_by == change.by:
        return alert, None
    after = replace(
        alert,
        state=AlertState.ACKNOWLEDGED,
        acknowledged_by=change.by,
        acknowledged_at=change.at,
        updated=max(alert.updated, change.at),
    )
    return after, Entry(Step.ACKNOWLEDGED, change.cause, change.at, by=change.by)


def _ended(alert: Alert, change: End) -> tuple[Alert, Entry | None]:
    if alert.is_over:
        return alert, None
    state, step = (
        (AlertState.WITHDRAWN, Step.WITHDRAWN) if change.withdrawn else (AlertState.RESOLVED, Step.RESOLVED)
    )
    after = replace(
        alert, state=state, ended=change.at, reason=change.reason, updated=max(alert.updated, change.at)
    )
    return after, Entry(step, change.cause, change.at, by=change.by, detail=change.reason)
