"""The action runner: reads what fired, and does each action of each firing once, in order.

Theory of operation. The runner is a durable consumer of ``automation.fired`` and ``automation.resolved``, and of the
pauses of rate limits, which it takes as firings; a firing is acknowledged when all of its actions have a result. A
result is a row under (firing, number), written in one transaction with what the action changes in the database and with
the events that tell of it. So a firing that comes again, after a crash or because the engine made it twice, goes on
behind the last action that has a result. What an action does outside of the database (a request, a message) can't be in
that transaction: it carries the action's idempotency key, ``firing id:number``, and between it and its row lies the only
moment in which a crash repeats it.

The firings of one automation are acted on in the order of the stream; different automations don't wait for each other.
Firings that wait for their turn are acted on together: the results of actions that do no harm when they are done again
(`tocsin_server.actions.call.Kind`) are kept back and recorded in one transaction, in order. Before any other action is
begun, all that is kept back is recorded, and its own result is recorded before anything else is begun. So a crash
repeats of those at most the one that was under way, and of the others only what nobody notices.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_events.bus import Bus, Poison, Work
from tocsin_events.queue_consumer import OnDead
from tocsin_events.streams import EVENTS, event_filters
from tocsin_events.view import EventView, InvalidEvent
from tocsin_server.actions import replacement
from tocsin_server.actions.attempt import Attempt
from tocsin_server.actions.call import Kind, Services
from tocsin_server.actions.fired import Fired, InvalidFiring, Links, Step, read_fired
from tocsin_server.actions.lanes import Lanes
from tocsin_server.actions.paused import PAUSED, read_paused
from tocsin_server.actions.recording import OnResult, Recording, Refused
from tocsin_server.actions.results import ActionOutcome, ActionResult, ActionResults

_READERS: Final[Mapping[str, Callable[[EventView], Fired]]] = {
    "automation.fired": read_fired,
    "automation.resolved": read_fired,
    PAUSED: read_paused,
}
"""What the engine tells of that is acted on."""

_ENGINE: Final = "/engine"
_AT_A_TIME: Final = 32
_WAITING: Final = 1000
_KEPT_BACK: Final = 200
_ATTEMPTS: Final = 10
_DEAD_AFTER: Final = 10.0
"""How long a runner's firings are its own without a sign of life, in seconds."""

Variables = Callable[[], Awaitable[Mapping[str, Any]]]


class ActionRunner:
    """Does what automations want done. Several may run at the same time, on one database."""

    def __init__(
        self,
        bus: Bus,
        engine: AsyncEngine,
        kinds: Mapping[str, Kind],
        services: Services,
        *,
        links: Links,
        variables: Variables,
        on_result: OnResult = lambda _kind, _outcome: None,
        on_dead: OnDead | None = None,
    ) -> None:
        self._bus = bus
        self._kinds: dict[str, Kind] = {**kinds, replacement.kind.name: replacement.kind}
        self._services = services
        self._links = links
        self._variables = variables
        self._on_dead = on_dead
        self._results = ActionResults(engine)
        self._recording = Recording(engine, self._results, services.outgoing, on_result)
        self._lanes = Lanes(self.act_on_all)
        self._slots = asyncio.Semaphore(_AT_A_TIME)
        self._no_limit = asyncio.Semaphore(_WAITING)

    async def run(self) -> None:
        """Act on firings until cancelled."""
        try:
            await self._bus.consume(
                EVENTS,
                "actions",
                event_filters(list(_READERS)),
                self._take,
                concurrency=_WAITING,
                ack_wait=_DEAD_AFTER,
                max_deliver=_ATTEMPTS,
                on_dead=self._on_dead,
            )
        finally:
            await self._lanes.close()

    async def _take(self, work: Work) -> None:
        try:
            view = EventView.decode(work.body, received=work.received, sequence=work.sequence)
        except InvalidEvent:
            return  # the recorder puts it among the dead letters
        read = _READERS.get(view.type)
        if read is None or view.source != _ENGINE:
            return
        try:
            fired = read(view)
        except InvalidFiring as problem:
            raise Poison(str(problem)) from problem
        await self._lanes.add(fired.automation, fired)

    async def act_on(self, fired: Fired) -> None:
        """Do the actions of one firing that have no result yet; see `act_on_all`."""
        await self.act_on_all([fired])

    async def act_on_all(self, firings: Sequence[Fired]) -> None:
        """Do the actions of firings that have no result yet, in order; what goes wrong may be repeated.

        Raises:
            SQLAlchemyError: the database is away.
            BusUnavailable: the bus is.

        """
        done = {
            (one.firing, one.number): one
            for one in await self._results.of_firings([fired.id for fired in firings])
        }
        todo = [step for fired in firings for step in fired.steps if (fired.id, step.number) not in done]
        variables = await self._variables() if any(step.asks_for_variables for step in todo) else {}
        kept_back: list[Attempt] = []
        for fired in firings:
            names = fired.names(self._links, variables)
            halted = False
            for step in fired.steps:
                result = done.get((fired.id, step.number))
                if result is None:
                    attempt = Attempt(
                        fired, step, self._kinds.get(step.kind), names, self._services, halted=halted
                    )
                    if attempt.may_wait:
                        kept_back.append(attempt)
                        continue
                    await self._settle(kept_back)
                    result = await self._settle_alone(attempt)
                halted |= _halts(step, result)
            if len(kept_back) >= _KEPT_BACK:
                await self._settle(kept_back)
        await self._settle(kept_back)

    async def _settle(self, attempts: list[Attempt]) -> None:
        """Do and record actions together, and empty the list."""
        together, attempts[:] = attempts[:], []
        endings = await asyncio.gather(*(attempt.run(self._no_limit) for attempt in together))
        await self._recording.record(endings)

    async def _settle_alone(self, attempt: Attempt) -> ActionResult | None:
        """Do and record an action, again where that may help; None if somebody else was quicker."""
        while True:
            recorded = await self._recording.record([await attempt.run(self._slots)])
            match recorded:
                case [Refused() as refused]:
                    await attempt.pause(refused.problem)
                case [ActionResult() as result]:
                    return result
                case _:
                    return None


def _halts(step: Step, result: ActionResult | None) -> bool:
    return result is not None and result.outcome is ActionOutcome.FAILED and not step.continue_on_error
