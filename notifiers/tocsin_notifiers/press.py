"""What people ask for from within a message: a button that was pressed, and who pressed it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

Wish = Literal["acknowledge", "silence", "retry_run"]


@dataclass(frozen=True, slots=True)
class Press:
    """A press of a button. ``id`` is the same however often the service tells of it.

    ``run`` is the flow run that the message was about, empty where there is none; ``by`` is who pressed, in words for
    people. ``answer_to`` is where the one who pressed, and nobody else, can be answered.
    """

    id: str
    wish: Wish
    alert: str
    by: str
    run: str = ""
    answer_to: str = ""


class Forged(Exception):  # noqa: N818 - it names what was found
    """The service did not send this request; ``reason`` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@runtime_checkable
class HasButtons(Protocol):
    """A notifier whose messages have buttons. Its service calls ``/hooks/<kind>/<notifier>`` when one is pressed."""

    def pressed(self, headers: Mapping[str, str], body: bytes) -> tuple[Press, ...]:
        """Return what a request asks for; nothing, where it tells of something else.

        ``headers`` have lower-case names.

        Raises:
            Forged: the service did not send it, or nothing can be made of it.

        """
        ...

    async def answer(self, press: Press, text: str) -> None:
        """Tell the one who pressed, and nobody else, what came of it (plain text).

        Raises:
            Retry, Rejected: the service did not take it.

        """
        ...
