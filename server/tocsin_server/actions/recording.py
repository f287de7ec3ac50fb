"""Recording how actions ended: many in one transaction, each with what it changes and with the events of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_notifiers.batches import Batches, group_commit
from tocsin_server.actions.attempt import Ending
from tocsin_server.actions.call import ActionFailed, ActionSkipped, Done, Write
from tocsin_server.actions.result_event import result_event
from tocsin_server.actions.results import ActionOutcome, ActionResult, ActionResults
from tocsin_server.outgoing import Message, Outgoing

log = structlog.get_logger(__name__)

OnResult = Callable[[str, str], None]
"""Gets the kind and the outcome of each action: for a counter."""


@dataclass(frozen=True)
class Refused:
    """The database did not take the change of an ending that was not final: the action may be tried again."""

    firing: str
    number: int
    problem: ActionFailed


Recorded = list[ActionResult | Refused]


class Recording:
    """Writes results. Who records while a transaction is under way shares the next one."""

    def __init__(
        self, engine: AsyncEngine, results: ActionResults, outgoing: Outgoing, on_result: OnResult
    ) -> None:
        self._results = results
        self._outgoing = outgoing
        self._on_result = on_result
        self._batches: Batches[Sequence[Ending], Recorded] = group_commit(engine, self._write_all)

    async def record(self, endings: Sequence[Ending]) -> Recorded:
        """Record how actions ended, in order, and return the results that are new.

        An action that has a result already keeps it, and nothing of what its ending would change is done. An ending
        that is not final and whose change can't be made is not recorded, but refused.
        """
        if not endings:
            return []
        recorded = await self._batches.add(endings)
        self._outgoing.wake()
        for result in recorded:
            if isinstance(result, ActionResult):
                self._count(result)
        return recorded

    def _count(self, result: ActionResult) -> None:
        self._on_result(result.kind, result.outcome.value)
        if result.outcome is ActionOutcome.FAILED:
            log.warning(
                "action-failed",
                automation=result.automation,
                firing=result.firing,
                kind=result.kind,
                reason=result.reason,
            )

    async def _write_all(
        self, connection: AsyncConnection, asked: Sequence[Sequence[Ending]]
    ) -> list[Recorded]:
        """Write what several ask for, in order; what needs no statement of its own goes together."""
        endings = [ending for some in asked for ending in some]
        found: dict[tuple[str, int], ActionResult | Refused] = {}
        for changes, group in groupby(endings, key=lambda one: isinstance(one.effect, Write)):
            recorded = await (self._change if changes else self._keep)(connection, list(group))
            found |= {(one.firing, one.number): one for one in recorded}
        mine = [[found.pop((one.fired.id, one.step.number), None) for one in some] for some in asked]
        return [[one for one in some if one is not None] for some in mine]

    async def _keep(self, connection: AsyncConnection, endings: Sequence[Ending]) -> Recorded:
        """Record endings that change nothing in the database: two statements, however many there are."""
        made = {(one.fired.id, one.step.number): (one, one.result(_done(one).detail)) for one in endings}
        new = await self._results.record(connection, [result for _, result in made.values()])
        kept = [pair for key, pair in made.items() if key in new]
        await self._outgoing.stage(connection, [one for pair in kept for one in _messages(*pair)])
        return [result for _, result in kept]

    async def _change(self, connection: AsyncConnection, endings: Sequence[Ending]) -> Recorded:
        """Do the changes one after the other; one that fails leaves nothing behind but its result."""
        recorded: Recorded = []
        for ending in endings:
            try:
                async with connection.begin_nested():
                    recorded += await self._change_one(connection, ending)
            except _AlreadyDone:
                continue
            except ActionSkipped as why_not:
                skipped = replace(ending, outcome=ActionOutcome.SKIPPED, effect=Done(), reason=str(why_not))
                recorded += await self._keep(connection, [skipped])
            except ActionFailed as problem:
                if not ending.final:
                    recorded.append(Refused(ending.fired.id, ending.step.number, problem))
                    continue
                failed = replace(ending, outcome=ActionOutcome.FAILED, effect=Done(), reason=problem.reason)
                recorded += await self._keep(connection, [failed])
        return recorded

    async def _change_one(self, connection: AsyncConnection, ending: Ending) -> Recorded:
        assert isinstance(ending.effect, Write)
        detail = await ending.effect.write(connection)
        recorded = await self._keep(connection, [replace(ending, effect=Done(detail))])
        if not recorded:
            raise _AlreadyDone
        return recorded


class _AlreadyDone(Exception):  # noqa: N818 - it names what was found
    """The action has a result: what its change did in this transaction is to be undone."""


def _done(ending: Ending) -> Done:
    assert isinstance(ending.effect, Done)
    return ending.effect


def _messages(ending: Ending, result: ActionResult) -> list[Message]:
    told = result_event(result, ending.fired)
    return [*_done(ending).messages, *([told] if told is not None else [])]
