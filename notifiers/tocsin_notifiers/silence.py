"""Silences: for a time, alerts that match say nothing."""

import json
from dataclasses import dataclass
from typing import Final

from tocsin_notifiers.alert import Alert
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.names import Names

_EVERYTHING: Final = frozenset({"true", "1 == 1", "!false", "size(alert.id) >= 0", 'alert.id != ""'})


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


class EmptySilence(ValueError):  # noqa: N818 - it names what was found
    """The silence ends before it begins, or has ended already."""


def check_silence(silence: Silence, conditions: Conditions, *, now: int, everything: bool) -> None:
    """Return for a silence that may be made.

    A matcher that is true of an alert without any properties of its own is true of everything.

    Raises:
        EmptySilence: it can't come into force.
        TooWide: it would match everything and ``everything`` is not set.

    """
    if silence.ends <= silence.starts or silence.ends <= now:
        raise EmptySilence("the silence ends before it can begin: check its start, end and duration")
    if not everything and (
        silence.matcher.strip() in _EVERYTHING or conditions.match(silence.matcher, _nothing())
    ):
        raise TooWide(
            f"{silence.matcher!r} matches everything: narrow it, or say that you mean it (--everything)"
        )


def matcher_of(alert: Alert) -> str:
    """Return the CEL expression that is true of an alert and of whatever else its automation says of the same key."""
    # JSON's literals are CEL's, too, as long as they are ASCII.
    return f"automation.name == {json.dumps(alert.automation)} && alert.key == {json.dumps(list(alert.key))}"


def _nothing() -> Names:
    return Names(
        {}, {"alert": {"id": "", "severity": "", "title": "", "key": []}, "severity": "", "status": ""}
    )
