"""One action of one firing, on its way to be done: what a kind of action gets, and what it gives back.

A kind is an object behind an entry point of the group ``tocsin.actions``, with a ``name``, the ``main`` field that
its own key holds in a file (``run_deployment: nightly`` sets ``name``), the pydantic ``model`` of its fields, and
``perform``.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Final, Protocol

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_events.instant import SECOND
from tocsin_events.view import EventView
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.notification import Notification
from tocsin_server.deployments import Deployments, Origin
from tocsin_server.outgoing import Message, Outgoing
from tocsin_server.runs import Runs

GROUP: Final = "tocsin.actions"

Detail = Mapping[str, Any]
"""What an action did, in JSON: it stands in its result and in the event of it."""


class ActionFailed(Exception):  # noqa: N818 - it names what happened
    """The action could not be done; the message says why.

    With ``again`` a further attempt may help; ``after`` is how long to wait for it, in microseconds, where the other
    side said so.
    """

    def __init__(self, reason: str, *, again: bool = False, after: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.again = again
        self.after = after


class ActionSkipped(Exception):  # noqa: N818 - it names what happened
    """The action is no longer to be done; the message says why."""


@dataclass(frozen=True)
class Retry:
    """How often a failed action is tried again: after ``backoff`` microseconds, twice as long each time."""

    times: int = 0
    backoff: int = SECOND

    def pause(self, attempt: int) -> int:
        """Return how long to wait after the ``attempt``-th failure, in microseconds; five minutes at most."""
        return int(min(self.backoff * 2 ** min(attempt - 1, 30), 300 * SECOND))


@dataclass(frozen=True)
class Done:
    """The action was done; ``messages`` go to the bus once that is recorded, and only then."""

    detail: Detail = field(default_factory=dict)
    messages: tuple[Message, ...] = ()


@dataclass(frozen=True)
class Write:
    """The action is a change in the database: ``write`` does it, in one transaction with the record of it.

    ``write`` may raise what ``perform`` may raise.
    """

    write: Callable[[AsyncConnection], Awaitable[Detail]]


class Notifications(Protocol):
    """The part of the notification service that an action needs."""

    async def submit(self, notification: Notification) -> object:
        """Take a notification, once, whatever the number of calls."""
        ...


class Secrets(Protocol):
    """The part of the vault that an action needs."""

    async def get(self, name: str) -> str | None:
        """Return a secret's value, None where there is none."""
        ...


class PlainBus(Protocol):
    """The part of the bus that an action needs."""

    async def publish_to(
        self, subject: str, body: bytes, *, key: str, headers: Mapping[str, str] | None = None
    ) -> int:
        """Publish to a stream, and return once the bus has acknowledged."""
        ...


@dataclass(frozen=True)
class Services:
    """What actions act on. ``http`` reaches only the addresses that the settings allow."""

    deployments: Deployments
    runs: Runs
    notifications: Notifications
    outgoing: Outgoing
    secrets: Secrets
    http: HttpClient
    client: Any
    """The NATS client, for subjects that are not ours."""


@dataclass(frozen=True)
class Call:
    """One action of one firing.

    ``key`` is its idempotency key. ``fired`` is the payload of the firing's event, ``view`` the event that made it
    fire (None where a timer did), ``hops`` how many steps lie behind what this action causes. ``now`` is in
    microseconds since the epoch.
    """

    key: str
    firing_id: str
    automation: str
    fired: Mapping[str, Any]
    view: EventView | None
    hops: int
    now: int
    services: Services

    @property
    def origin(self) -> Origin:
        """Who leads to what this action changes."""
        return Origin(self.firing_id, self.hops, f"automation {self.automation}")

    def own(self, kind: str) -> dict[str, Any]:
        """Return the event's own resource of a kind.

        Raises:
            ActionFailed: the event is about none.

        """
        found = self.view.resolve(kind.replace("-", "_")) if self.view is not None else None
        if not isinstance(found, dict):
            raise ActionFailed(
                f"no {kind} was named, and the event is about none"
                if self.view is not None
                else f"no {kind} was named, and no event made this fire"
            )
        return found


class Kind(Protocol):
    """A kind of action.

    One that sets ``repeatable = True`` promises that ``perform`` may be called again before its result is recorded
    without anybody noticing: it only prepares what it returns, or who gets it knows it by its key. Of such actions
    many are recorded together.
    """

    name: str
    main: str
    model: type[BaseModel]
    retry: Retry
    """How it is tried again where the automation doesn't say."""

    async def perform(self, args: Any, call: Call) -> Done | Write:
        """Do the action; ``args`` is an instance of the model, with its templates rendered.

        Raises:
            ActionFailed: it can't be done, now or ever.
            ActionSkipped: it is not to be done any more.

        """
        ...


def load_kinds() -> dict[str, Kind]:
    """Return every kind of action by its name: the built-in ones and those of other packages."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}
