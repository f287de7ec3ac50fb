"""The notifier: one service that can tell people something. Built-ins and plugins are the same thing.

A notifier is a class behind an entry point of the group ``tocsin.notifiers``::

    class Pager:
        config = PagerConfig                       # a pydantic model: what users write under its name

        def __init__(self, config: PagerConfig, outside: Outside) -> None: ...
        def targets(self) -> tuple[str, ...]: ...
        async def send(self, message: Message, previous: Receipt | None) -> Receipt: ...

`tocsin_notifiers.testing.NotifierContract` is the test suite that each of them passes. Five
attributes are optional: ``follow_ups`` (how it can follow up on an alert's first message; ``("message",)``), ``pace``
(seconds between two messages to one target; 0), ``resends_safely`` (the service knows a message's id again; False),
``ack_link`` (messages have a link by which their reader acknowledges; False) and ``picture`` (messages come with a
picture of the last runs, where there is one; False).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, ClassVar, Final, Protocol

from pydantic import BaseModel

from tocsin_events.instant import SECOND
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.message import FollowUp, Message, Receipt
from tocsin_notifiers.secret import Secrets

_log = logging.getLogger(__name__)

GROUP: Final = "tocsin.notifiers"
SEND_TIMEOUT: Final = 20.0
"""Seconds that one attempt may take; a delivery's lease is longer, so that two attempts never overlap."""


class Retry(Exception):  # noqa: N818 - a decision, not a mishap
    """The message was not taken, and may be later: after ``after`` microseconds, where the service said so."""

    def __init__(self, reason: str, *, after: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after = after


class Rejected(Exception):  # noqa: N818 - a decision, not a mishap
    """The message will never be taken as it is. With ``gone`` the target itself is no more, and is not asked again."""

    def __init__(self, reason: str, *, gone: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.gone = gone


class Keeper(Protocol):
    """Where the built-in inbox keeps its messages."""

    async def keep(self, message: Message) -> str:
        """Keep a message once, whatever the number of calls, and return its number."""
        ...


@dataclass(frozen=True, slots=True)
class Outside:
    """What a notifier may use of the world, given when it is made.

    ``http`` keeps its connections alive and is shared by all; ``secrets`` reveals what the settings only name;
    ``guard`` judges the addresses that users name; ``clock`` gives microseconds since the epoch; ``write`` puts a
    line on the service's console; ``inbox`` keeps messages in the product itself.
    """

    http: HttpClient
    secrets: Secrets
    guard: AddressGuard
    clock: Callable[[], int]
    write: Callable[[str], None]
    inbox: Keeper


class Notifier(Protocol):
    """One configured service."""

    config: ClassVar[type[BaseModel]]
    """The model of its settings."""

    def targets(self) -> tuple[str, ...]:
        """Return whom it tells; each gets a delivery of its own, with its own result. Holds no secret."""
        ...

    async def send(self, message: Message, previous: Receipt | None) -> Receipt:
        """Tell ``message.target``; ``previous`` is its receipt of the alert's first message.

        Raises:
            Retry: not now.
            Rejected: not ever.

        """
        ...


NotifierKind = Callable[[Any, Outside], Notifier]


def load_kinds() -> dict[str, Any]:
    """Return every installed notifier class by its kind, built-ins and plugins alike.

    A plugin that can't be loaded is logged and left out: whoever uses it is told that there is no such kind.
    """
    kinds = {}
    for point in entry_points(group=GROUP):
        try:
            kinds[point.name] = point.load()
        except Exception as problem:  # noqa: BLE001 - a plugin's import may raise anything, and must stop nobody else
            _log.error("notifier %r (%s) can't be loaded: %s", point.name, point.value, problem)
    return kinds


def follow_ups(notifier: Notifier) -> tuple[FollowUp, ...]:
    """Return how a notifier can follow up on an alert's first message, the best way first."""
    return tuple(getattr(notifier, "follow_ups", ("message",)))


def pace_of(notifier: Notifier) -> int:
    """Return the shortest time between two messages to one target, in microseconds; 0 is as fast as you like."""
    return int(getattr(notifier, "pace", 0.0) * SECOND)


def resends_safely(notifier: Notifier) -> bool:
    """Tell whether the same message sent twice is seen once (the service knows its id)."""
    return bool(getattr(notifier, "resends_safely", False))


def wants_ack_link(notifier: Notifier) -> bool:
    """Tell whether its messages have a link by which their one reader acknowledges, without a key or a password."""
    return bool(getattr(notifier, "ack_link", False))


def wants_picture(notifier: Notifier) -> bool:
    """Tell whether its messages shall come with a picture of the last runs; without, nothing is looked up or drawn."""
    return bool(getattr(notifier, "picture", False))
