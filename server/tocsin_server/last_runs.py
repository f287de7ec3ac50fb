"""The last runs of a deployment or a flow, as the pictures in messages show them."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_notifiers.message import RunsOf
from tocsin_notifiers.run_chart import STATES, PastRun
from tocsin_server.run_tables import RUNS


class LastRuns:
    """The table of runs, read for pictures."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def last_runs(self, of: RunsOf, limit: int) -> list[PastRun]:
        """Return the last runs that have begun or ended, the latest first; and the one that the message is about."""
        async with self._engine.connect() as connection:
            return [PastRun(*row) for row in await connection.execute(_query(of, limit))]


def _query(of: RunsOf, limit: int) -> Select[Any]:
    whose = RUNS.c.deployment if of.kind == "deployment" else RUNS.c.flow
    return (
        select(RUNS.c.id, RUNS.c.state, RUNS.c.started, RUNS.c.ended)
        .where(whose == of.name, RUNS.c.state.in_(STATES) | (RUNS.c.id == of.run))
        .order_by(RUNS.c.created.desc(), RUNS.c.id.desc())
        .limit(limit)
    )
