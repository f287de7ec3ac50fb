"""Looking up whether a service has a message: closes the moment in which it took it and we died before noting that."""

from typing import Protocol, runtime_checkable

from tocsin_notifiers.message import Message, Receipt


@runtime_checkable
class LooksUp(Protocol):
    """A notifier that can ask its service for a message that may have been taken."""

    async def find(self, message: Message, previous: Receipt | None, since: int) -> Receipt | None:
        """Return the receipt of a message, by its id; None where it isn't there, or nobody can know.

        It was not sent before ``since`` (microseconds since the epoch). ``previous`` is as in ``send``.

        Raises:
            Retry: the service can't be asked now; nothing is to be sent before it was.

        """
        ...
