"""``concurrency: {mode: restart}``: a firing ends the runs of the firings that it replaces, before it does anything else.

The engine names them in the firing (``cancels``), and counts on their end, whatever becomes of the firing's own actions.
So ending them is a step of the firing itself, with the number 0: done once, with a result, like any action. Nobody can
write it into a rule.

A firing that is replaced may not have been acted on yet: after an outage the bus hands firings out in another order,
and two runners share them. So whoever replaces a firing leaves a mark at it, and a firing with a mark starts no run.
"""

from typing import Final

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_server.actions.call import Call, Detail, Retry, Write
from tocsin_server.actions.fields import Fields
from tocsin_server.actions.fired import REPLACES
from tocsin_server.actions.results import mark_replaced, runs_started_by
from tocsin_server.deployments import Origin


class ReplaceFields(Fields):
    """``firings`` are the ids of those that are replaced."""

    firings: tuple[str, ...]


class Replace:
    """Ends the runs that other firings started, in one transaction with the record of it."""

    name: str = REPLACES
    main: str = "firings"
    model: type[BaseModel] = ReplaceFields
    retry: Retry = Retry()
    repeatable: Final = True

    async def perform(self, args: ReplaceFields, call: Call) -> Write:
        """Ask for the end of all runs that the firings started and that have not ended."""
        runs = call.services.runs
        await runs.prepare_cancelling()
        reason = f"replaced by firing {call.firing_id} of automation {call.automation}"

        async def write(connection: AsyncConnection) -> Detail:
            await mark_replaced(
                connection, args.firings, by=call.firing_id, automation=call.automation, at=call.now
            )
            started = await runs_started_by(connection, args.firings)
            origin = Origin(call.firing_id, call.hops, reason)
            return {"firings": list(args.firings), "runs": await runs.cancel_all(started, origin, connection)}

        return Write(write)


kind: Final = Replace()
