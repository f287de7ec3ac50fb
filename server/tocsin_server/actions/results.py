"""What became of each action of each firing: one row, written in one transaction with what the action changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, cast

from sqlalchemy import JSON, BigInteger, Column, Table, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import Field, SQLModel

from tocsin_automations.rules import STARTS_A_RUN
from tocsin_events.upsert import insert_into

_MARK: Final = -1
"""The number under which stands by whom a firing was replaced."""


class ActionOutcome(StrEnum):
    """How an action ended: a closed list."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Its ``if`` was not true, or a later firing replaced this one."""
    NOT_RUN = "not_run"
    """An earlier action failed, and that one said not to go on."""


class ActionResultRow(SQLModel, table=True):
    """The result of one action of one firing."""

    __tablename__ = "action_results"

    firing: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    automation: str = Field(index=True)
    kind: str
    outcome: str
    detail: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    reason: str
    attempts: int
    started: int = Field(sa_type=BigInteger)
    ended: int = Field(sa_type=BigInteger, index=True)


_TABLE = cast("Table", ActionResultRow.__table__)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class ActionResult:
    """How the ``number``-th action of a firing ended. Instants are microseconds since the epoch."""

    firing: str
    number: int
    automation: str
    kind: str
    outcome: ActionOutcome
    detail: Mapping[str, Any]
    reason: str
    attempts: int
    started: int
    ended: int


class ActionResults:
    """The results of actions."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_firing(self, firing: str) -> list[ActionResult]:
        """Return the results of a firing's actions, in their order."""
        return await self.of_firings([firing])

    async def of_firings(self, firings: Sequence[str]) -> list[ActionResult]:
        """Return the results of some firings' actions, those of one firing in their order."""
        query = select(_TABLE).where(_TABLE.c.firing.in_(firings)).order_by(_TABLE.c.firing, _TABLE.c.number)
        async with self._engine.connect() as connection:
            return [_result(row) for row in await connection.execute(query)]

    async def record(
        self, connection: AsyncConnection, results: Sequence[ActionResult]
    ) -> set[tuple[str, int]]:
        """Write results within the caller's transaction, and return which ones (firing, number) are new.

        An action that has a result keeps it.
        """
        insert = insert_into(connection, _TABLE).on_conflict_do_nothing(index_elements=["firing", "number"])
        rows = [{**one.__dict__, "outcome": one.outcome.value, "detail": dict(one.detail)} for one in results]
        new = await connection.execute(insert.returning(_TABLE.c.firing, _TABLE.c.number), rows)
        return {(row.firing, row.number) for row in new}


async def mark_replaced(
    connection: AsyncConnection, firings: Sequence[str], *, by: str, automation: str, at: int
) -> None:
    """Note that a firing replaces others, within the caller's transaction: what they have not started they never will."""
    for firing in sorted(firings):
        await _one_at_a_time(connection, firing)
    insert = insert_into(connection, _TABLE).on_conflict_do_nothing(index_elements=["firing", "number"])
    mark = ActionResult(
        "",
        _MARK,
        automation,
        "replaced",
        ActionOutcome.SKIPPED,
        {"by": by},
        f"replaced by firing {by}",
        0,
        at,
        at,
    )
    rows = [{**mark.__dict__, "outcome": mark.outcome.value, "firing": firing} for firing in firings]
    await connection.execute(insert, rows)


async def replacement_of(connection: AsyncConnection, firing: str) -> str | None:
    """Return the firing that replaced this one; until the caller's transaction ends, none can do so."""
    await _one_at_a_time(connection, firing)
    query = select(_TABLE.c.detail).where(_TABLE.c.firing == firing, _TABLE.c.number == _MARK)
    detail = (await connection.execute(query)).scalar()
    return None if detail is None else str(detail["by"])


async def runs_started_by(connection: AsyncConnection, firings: Sequence[str]) -> list[str]:
    """Return the runs that the actions of some firings started."""
    query = select(_TABLE.c.detail).where(
        _TABLE.c.firing.in_(firings),
        _TABLE.c.kind == STARTS_A_RUN,
        _TABLE.c.outcome == ActionOutcome.SUCCEEDED.value,
    )
    return [str(detail["run"]) for detail in await connection.scalars(query) if detail.get("new")]


async def _one_at_a_time(connection: AsyncConnection, firing: str) -> None:
    """Let only one transaction at a time start or end a firing's runs; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:firing, 7052002))"), {"firing": firing}
        )


def _result(row: Any) -> ActionResult:
    return ActionResult(**{**row._mapping, "outcome": ActionOutcome(row.outcome)})
