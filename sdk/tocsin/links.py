"""What the publisher needs of a way to the bus, and the ways it can fail."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from tocsin.outbox import Entry


class LinkDown(Exception):  # noqa: N818 - it says what happened
    """The bus can't be reached, or can't take events now; try again later, after ``retry_after`` seconds if it is set."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Denied(LinkDown):
    """The bus is there and does not let us in; trying again helps only once someone has changed that."""


class LogRecord(NamedTuple):
    """One log line of a run, in its JSON form."""

    run_id: str
    body: bytes


class Link(Protocol):
    """An open way to the bus. Every method may raise `LinkDown`; the link is closed and replaced then."""

    def publish(self, entries: Sequence[Entry]) -> list[str | None]:
        """Publish events in order; return, for each, None once the bus has it, or why it never will."""

    def publish_logs(self, records: Sequence[LogRecord]) -> None:
        """Publish log lines of runs."""

    def idle(self) -> None:
        """Do what an open connection needs while there is nothing to send."""

    def close(self) -> None:
        """End the connection."""
