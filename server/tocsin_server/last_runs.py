"""The last runs of a deployment or a flow, as the pictures in messages show them."""

from typing import Any, Final

from sqlalchemy import FromClause, Select, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_notifiers.message import RunsOf
from tocsin_notifiers.run_chart import STATES, PastRun
from tocsin_server.run_tables import RUNS

_RECENT: Final = 2_000
"""Among how many of the latest runs of all flows those of one flow are looked for."""


class LastRuns:
    """The table of runs, read for pictures."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def last_runs(self, of: RunsOf, limit: int) -> list[PastRun]:
        """Return the last runs that have begun or ended, the latest first; and the one that the message is about."""
        async with self._engine.connect() as connection:
            return [PastRun(*row) for row in await connection.execute(_query(of, limit))]


def _query(of: RunsOf, limit: int) -> Select[Any]:
    if of.kind == "deployment":
        runs: FromClause = RUNS
        whose = RUNS.c.deployment == of.name
    else:
        # No index has a flow's runs in order, and a flow that has run for years has very many.
        runs = select(RUNS).order_by(RUNS.c.created.desc()).limit(_RECENT).subquery()
        whose = runs.c.flow == of.name
    return (
        select(runs.c.id, runs.c.state, runs.c.started, runs.c.ended)
        .where(whose, runs.c.state.in_(STATES) | (runs.c.id == of.run))
        .order_by(runs.c.created.desc(), runs.c.id.desc())
        .limit(limit)
    )
