"""The inbox: messages kept in the product itself, shown on its pages and by its API. Needs no account anywhere."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.notifier import Outside


class InboxConfig(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Inbox:
    """Keeps messages in the database."""

    config: ClassVar = InboxConfig
    follow_ups: ClassVar[tuple[FollowUp, ...]] = ("message",)
    resends_safely: ClassVar = True
    """A message is kept once under its id."""

    def __init__(self, config: InboxConfig, outside: Outside) -> None:  # noqa: ARG002 - the protocol's own
        self._outside = outside

    def targets(self) -> tuple[str, ...]:
        """Return the one inbox."""
        return ("inbox",)

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:  # noqa: ARG002 - the protocol's own
        """Keep the message."""
        number = await self._outside.inbox.keep(message)
        return Receipt(target=message.target, id=number, answer="kept")
