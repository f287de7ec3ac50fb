"""The office: opens the transactions in which the desk works, and does what people ask for. It knows no bus.

So the whole pipeline can be rehearsed in virtual time: rehearsal.py does so for rule tests.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_events.identity import derived_id, new_id
from tocsin_notifiers import alerts, silences, ways
from tocsin_notifiers.alert import Alert, Change, End, Refused
from tocsin_notifiers.batches import Batches, group_commit
from tocsin_notifiers.conditions import Conditions
from tocsin_notifiers.desk import Desk, Orders
from tocsin_notifiers.follower import Follower
from tocsin_notifiers.keeper import take_firing, take_resolution
from tocsin_notifiers.message import Message
from tocsin_notifiers.notification import Notification, Status
from tocsin_notifiers.pipeline import Way
from tocsin_notifiers.render import Renderer
from tocsin_notifiers.roster import Roster
from tocsin_notifiers.scene import Scene
from tocsin_notifiers.scribe import Scribe
from tocsin_notifiers.silence import Silence, check_silence, matcher_of
from tocsin_notifiers.teller import Teller

FIRED: Final = "automation.fired"
RESOLVED: Final = "automation.resolved"


class NotFound(LookupError):  # noqa: N818 - it names what was not found
    """There is no alert, silence or notifier of that name."""


class Office:
    """Takes notifications and firings, and changes alerts and silences; ``clock`` is in microseconds."""

    def __init__(
        self, engine: AsyncEngine, roster: Roster, renderer: Renderer, clock: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._conditions = Conditions()
        scribe = Scribe(roster, renderer)
        self._follower = Follower(roster, scribe, renderer.pages)
        self._desk = Desk(roster, self._conditions, Teller(roster, scribe), self._follower)
        self._notifications: Batches[Notification, Orders | None] = group_commit(engine, self._take_all)
        self._firings: Batches[tuple[str, dict[str, Any]], None] = group_commit(engine, self._keep_all)

    async def take(self, notification: Notification) -> Orders | None:
        """Take a notification, and return its deliveries; None where it was taken before."""
        return await self._notifications.add(notification)

    async def keep_firing(self, type_: str, firing: dict[str, Any]) -> None:
        """Take the payload of an ``automation.fired`` or ``automation.resolved`` event."""
        await self._firings.add((type_, firing))

    def preview(self, notification: Notification) -> tuple[tuple[Way, Message], ...]:
        """Return the messages that a notification would become, as if nothing held it back; keeps nothing."""
        return self._desk.preview(notification, self._clock())

    async def move_due(self, at: int) -> int:
        """Move what is held and whose time has come; return how many there were."""
        async with self._engine.begin() as connection:
            return await self._desk.take_due(Scene(connection, at))

    async def next_due(self) -> int | None:
        """Return when the next held notification may go on, in microseconds; None where nothing is held."""
        async with self._engine.connect() as connection:
            return await ways.next_due(connection)

    async def change(self, alert: str, what: Change, status: Status, note: str) -> Alert:
        """Change an alert, and tell everyone who was told of it.

        Raises:
            NotFound: there is no such alert.
            Refused: its state doesn't allow it.

        """
        async with self._engine.begin() as connection:
            changed = await alerts.change(connection, alert, what)
            if changed is None:
                raise NotFound(f"there is no alert {alert!r}")
            after, entry = changed
            if entry is not None:
                await self._follower.follow(after, status, Scene(connection, self._clock()), note=note)
            elif isinstance(what, End):
                raise Refused(f"alert {alert} is {after.state} already")
        return after

    async def remark(self, alert: str, said: str, *, cause: str) -> None:
        """Add a line to what everyone was told of an alert, where it can be added; the same ``cause`` adds one.

        Raises:
            NotFound: there is no such alert.

        """
        async with self._engine.begin() as connection:
            kept = await alerts.find(connection, alert)
            if kept is None:
                raise NotFound(f"there is no alert {alert!r}")
            await self._follower.remark(kept.alert, said, Scene(connection, self._clock()), cause=cause)

    async def silence(
        self,
        matcher: str,
        *,
        ends: int,
        author: str,
        comment: str,
        starts: int | None = None,
        everything: bool = False,
        id_: str | None = None,
    ) -> Silence:
        """Make a silence for what the CEL expression ``matcher`` is true of.

        Raises:
            ExpressionSyntaxError: the matcher is no expression.
            TooWide: it would match everything, and ``everything`` is not set.
            EmptySilence: it ends before it can begin.

        """
        at = self._clock()
        made = Silence(id_ or new_id(), matcher, starts or at, ends, author, comment, created=at)
        check_silence(made, self._conditions, now=at, everything=everything)
        async with self._engine.begin() as connection:
            await silences.keep(connection, made)
        return made

    async def silence_alert(self, alert: str, *, ends: int, author: str, cause: str) -> Silence:
        """Silence what an alert is about: its automation and key, now and whenever it comes again.

        The same ``cause`` makes one silence.

        Raises:
            NotFound: there is no such alert.

        """
        id_ = derived_id("silence", cause)
        async with self._engine.connect() as connection:
            kept = await alerts.find(connection, alert)
            before = await silences.find(connection, id_)
        if kept is None:
            raise NotFound(f"there is no alert {alert!r}")
        if before is not None:
            return before
        matcher, comment = matcher_of(kept.alert), kept.alert.title
        return await self.silence(matcher, ends=ends, author=author, comment=comment, id_=id_)

    async def delete_silence(self, id_: str) -> None:
        """End a silence before its time.

        Raises:
            NotFound: there is none of that id in force or to come.

        """
        async with self._engine.begin() as connection:
            if not await silences.delete(connection, id_, self._clock()):
                raise NotFound(f"there is no silence {id_!r} in force or to come")

    # -- inside a transaction --------------------------------------------------------------------------------------

    async def _take_all(
        self, connection: AsyncConnection, asked: Sequence[Notification]
    ) -> list[Orders | None]:
        known = await ways.known(connection, [one.id for one in asked])
        scene = Scene(connection, self._clock(), known=known)
        results: list[Orders | None] = []
        for notification in asked:
            if notification.alert is not None:
                scene.alerts.pop(notification.alert.id, None)
                await take_firing(connection, notification.firing, scene.now)
            results.append(await self._desk.take(notification, scene))
        await scene.flush()
        return results

    async def _keep_all(
        self, connection: AsyncConnection, firings: Sequence[tuple[str, dict[str, Any]]]
    ) -> list[None]:
        for type_, firing in firings:
            if type_ == RESOLVED:
                await take_resolution(firing, self._follower, Scene(connection, self._clock()))
            else:
                await take_firing(connection, firing, self._clock())
        return [None] * len(firings)
