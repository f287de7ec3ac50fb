"""The notification: what a `notify` action asks for, before anyone decides who gets it and how."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from tocsin_events.instant import parse_rfc3339


class Severity(StrEnum):
    """How bad it is, from least to worst."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Status(StrEnum):
    """What a message says of its alert."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


def _micros(value: Any) -> Any:
    return parse_rfc3339(value) if isinstance(value, str) else value


Instant = Annotated[int, BeforeValidator(_micros)]
"""An instant in microseconds since the epoch; RFC 3339 is understood, too."""


class AlertRef(BaseModel):
    """The alert that a notification is about: its id, when it opened (microseconds), its firings so far."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(min_length=1, max_length=500)
    opened: Instant
    count: int = Field(default=1, ge=0)


class Notification(BaseModel):
    """A wish to tell somebody something, immutable.

    ``id`` is derived by the caller from its cause (the firing's id and the action's number), so that what is asked
    for twice is told once. ``notifier`` names whom to tell. ``title`` and ``body`` (Markdown) are rendered texts;
    None stands for the default ones. ``firing`` is the payload of the ``automation.fired`` or
    ``automation.resolved`` event behind it. ``created`` is in microseconds since the epoch. ``reason`` says why a
    message comes again (``remind``, ``escalated``, ``unmuted``), and is empty for the first one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(min_length=1, max_length=500)
    notifier: str = Field(min_length=1, max_length=200)
    created: Instant
    title: str | None = Field(default=None, max_length=100_000)
    body: str | None = Field(default=None, max_length=400_000)
    severity: Severity = Severity.ERROR
    status: Status = Status.FIRING
    alert: AlertRef | None = None
    firing: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""

    @property
    def automation(self) -> str:
        """The name of the automation that asked; empty where none did (a test message)."""
        return str((self.firing.get("automation") or {}).get("name") or "")
