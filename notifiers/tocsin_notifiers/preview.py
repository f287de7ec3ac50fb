"""What a notification would become, to be looked at before it is sent to anybody."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from tocsin_notifiers.message import Message


@dataclass(frozen=True, slots=True)
class Previewed:
    """A message that would be sent: by which notifier, on which path there, and as what its service would get."""

    notifier: str
    kind: str
    path: tuple[str, ...]
    message: Message
    payload: Any = None


@runtime_checkable
class HasPreview(Protocol):
    """A notifier that can show what it would send."""

    def preview(self, message: Message) -> Any:
        """Return what the service would get, as JSON has it: an object, or a text. Holds no secret."""
        ...
