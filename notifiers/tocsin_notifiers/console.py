"""The service's own console: for a first try, and for containers whose logs are read."""

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from tocsin_notifiers.markdown import as_plain, parse
from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.notifier import Outside


class ConsoleConfig(BaseModel):
    """Nothing to set."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Console:
    """Prints messages."""

    config: ClassVar = ConsoleConfig
    follow_ups: ClassVar[tuple[FollowUp, ...]] = ("message",)

    def __init__(self, config: ConsoleConfig, outside: Outside) -> None:  # noqa: ARG002 - the protocol's own
        self._outside = outside

    def targets(self) -> tuple[str, ...]:
        """Return the one console."""
        return ("console",)

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:  # noqa: ARG002 - the protocol's own
        """Print the message."""
        self._outside.write(payload(message))
        return Receipt(target=message.target, answer="written")


def payload(message: Message) -> str:
    """Return a message as lines of text, without control characters that would act on a terminal."""
    lines = [f"[{message.standing} {message.severity}] {message.title}"]
    body = as_plain(parse(message.body))
    lines += ["  " + line for line in body.splitlines()]
    lines += [f"  {fact.name}: {fact.value}" for fact in message.fields]
    lines += [f"  {link.label}: {link.url}" for link in message.links]
    return "\n".join(printable(line) for line in lines)


def printable(line: str) -> str:
    """Return a line in which every character that acts on a terminal is shown instead of done."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)
