"""From a message of the bus to the event in it: what it says it is must be what it was let in as.

NATS decides by the subject who may publish what, and consumers choose by the subject; what an event is stands in its
body. Were the two allowed to differ, whoever may publish one type could publish them all.
"""

from typing import Protocol

from tocsin_events.streams import event_subject
from tocsin_events.view import EventView, InvalidEvent


class Arrived(Protocol):
    """A message as the bus delivered it; ``received`` is in microseconds."""

    @property
    def subject(self) -> str:
        """The subject that it was published to."""

    @property
    def body(self) -> bytes:
        """Its bytes."""

    @property
    def received(self) -> int:
        """When it came to the bus."""

    @property
    def sequence(self) -> int:
        """The bus's number of it."""


def event_of(message: Arrived) -> EventView:
    """Return the event that a message carries.

    Raises:
        InvalidEvent: it carries none, or one of another type than its subject says.

    """
    view = EventView.decode(message.body, received=message.received, sequence=message.sequence)
    if message.subject != _subject_of(view.type):
        raise InvalidEvent(f"its type is {view.type!r}, yet it was published to {message.subject}")
    return view


def _subject_of(type_: str) -> str | None:
    try:
        return event_subject(type_)
    except ValueError:
        return None
