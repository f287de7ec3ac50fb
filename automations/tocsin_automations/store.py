"""What the engine keeps in SQL: its checkpoint, the firings, the counters.

Everything that belongs to one checkpoint is written in one transaction, so that a restart finds a state, a place in
the stream and a list of firings that fit together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    LargeBinary,
    Table,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import Field, SQLModel

from tocsin_events.identity import indexed
from tocsin_events.store import Position, note_position
from tocsin_events.upsert import insert_into

_BATCH = 500
_NEVER = -1


class CheckpointRow(SQLModel, table=True):
    """How far a shard's engine has come, and the part of its state that is not per key."""

    __tablename__ = "engine_checkpoints"

    shard: str = Field(primary_key=True)
    fence: int = Field(sa_type=BigInteger)
    sequence: int = Field(sa_type=BigInteger)
    clock: int = Field(sa_type=BigInteger)
    revision: int
    paused: list[str] = Field(sa_column=Column(JSON, nullable=False))
    header: bytes = Field(sa_type=LargeBinary)
    updated: int = Field(sa_type=BigInteger)


class EntryRow(SQLModel, table=True):
    """The state of one trigger for one key; ``whole`` is a key that is too long for an index, in which ``key`` stands."""

    __tablename__ = "engine_entries"

    shard: str = Field(primary_key=True)
    part: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    whole: str | None = None
    state: bytes = Field(sa_type=LargeBinary)


class FiringRow(SQLModel, table=True):
    """A firing, kept for good, with the sequences of the events that made it and the explanation."""

    __tablename__ = "firings"

    id: str = Field(primary_key=True)
    automation: str = Field(index=True)
    revision: int
    at: int = Field(sa_type=BigInteger, index=True)
    state: str
    key: list[Any] = Field(sa_column=Column(JSON, nullable=False))
    count: int
    alert: str | None = Field(default=None, index=True)
    events: list[int] = Field(sa_column=Column(JSON, nullable=False))
    reason: str
    body: bytes = Field(sa_type=LargeBinary)


class CounterRow(SQLModel, table=True):
    """How often a part of an automation decided so, and for which reason."""

    __tablename__ = "decision_counters"

    automation: str = Field(primary_key=True)
    part: str = Field(primary_key=True)
    outcome: str = Field(primary_key=True)
    reason: str = Field(primary_key=True)
    count: int = Field(sa_type=BigInteger)


_CHECKPOINTS, _ENTRIES, _FIRINGS, _COUNTERS = (
    cast("Table", row.__table__)  # type: ignore[union-attr]
    for row in (CheckpointRow, EntryRow, FiringRow, CounterRow)
)


@dataclass(frozen=True)
class Checkpoint:
    """The engine's place in the stream and its state there.

    ``header`` and ``entries`` are the engine's own serial form; ``entries`` maps (part, key) to a state, None where
    it is gone.
    """

    sequence: int
    clock: int
    revision: int
    paused: frozenset[str]
    header: bytes
    entries: Mapping[tuple[str, str], bytes | None] = field(default_factory=dict)


@dataclass(frozen=True)
class StoredFiring:
    """A firing as it is kept: ``events`` are the sequences of the events that made it, ``body`` the payload of its event."""

    id: str
    automation: str
    revision: int
    at: int
    state: str
    key: tuple[Any, ...]
    count: int
    alert: str | None
    events: tuple[int, ...]
    reason: str
    body: bytes


class Fenced(RuntimeError):  # noqa: N818 - it names what happened
    """Another engine holds the shard; this one must stop writing."""


class EngineStore:
    """The checkpoint, the firings and the counters of the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, shard: str) -> tuple[int, Checkpoint | None]:
        """Take a shard over: return the fence to write under, and the last checkpoint, None before the first.

        Whoever claimed the shard before is fenced off: its next `commit` fails.
        """
        first = insert_into(self._engine, _CHECKPOINTS).values(
            shard=shard, fence=0, sequence=_NEVER, clock=0, revision=0, paused=[], header=b"", updated=0
        )
        async with self._engine.begin() as connection:
            await connection.execute(first.on_conflict_do_nothing(index_elements=["shard"]))
            mine = _CHECKPOINTS.c.shard == shard
            await connection.execute(update(_CHECKPOINTS).where(mine).values(fence=_CHECKPOINTS.c.fence + 1))
            row = (await connection.execute(select(_CHECKPOINTS).where(mine))).one()
            if row.sequence == _NEVER:
                return row.fence, None
            columns = _ENTRIES.c.part, _ENTRIES.c.key, _ENTRIES.c.whole, _ENTRIES.c.state
            found = await connection.execute(select(*columns).where(_ENTRIES.c.shard == shard))
            entries = {(part, whole or key): state for part, key, whole, state in found}
        checkpoint = Checkpoint(
            row.sequence, row.clock, row.revision, frozenset(row.paused), row.header, entries
        )
        return row.fence, checkpoint

    async def commit(
        self, shard: str, fence: int, checkpoint: Checkpoint, *, firings: Sequence[StoredFiring],
        counters: Mapping[tuple[str, str, str, str], int], updated: int, stream_made: int = 0,
    ) -> None:  # fmt: skip
        """Write a checkpoint whose ``entries`` are the changed ones, with the firings and counts since the last.

        ``updated`` is now, ``stream_made`` when the stream was made that the sequence counts, in microseconds.

        Raises:
            Fenced: another engine has claimed the shard since.

        """
        async with self._engine.begin() as connection:
            written = await connection.execute(
                update(_CHECKPOINTS)
                .where(_CHECKPOINTS.c.shard == shard, _CHECKPOINTS.c.fence == fence)
                .values(
                    sequence=checkpoint.sequence,
                    clock=checkpoint.clock,
                    revision=checkpoint.revision,
                    paused=sorted(checkpoint.paused),
                    header=checkpoint.header,
                    updated=updated,
                )
            )
            if not written.rowcount:
                raise Fenced(f"another engine has taken over shard {shard}; this one stops")
            await note_position(
                connection, f"engine-{shard}", Position(checkpoint.sequence, stream_made), at=updated
            )
            await self._write_entries(connection, shard, checkpoint.entries)
            await self._insert_firings(connection, firings)
            await self._count(connection, counters)

    async def firings(
        self, *, automation: str | None = None, alert: str | None = None, since: int | None = None,
        before: tuple[int, str] | None = None, limit: int = 50,
    ) -> list[StoredFiring]:  # fmt: skip
        """Return firings, newest first, that come before ``before`` (their instant and id)."""
        query = select(_FIRINGS).order_by(_FIRINGS.c.at.desc(), _FIRINGS.c.id.desc()).limit(limit)
        if automation is not None:
            query = query.where(_FIRINGS.c.automation == automation)
        if alert is not None:
            query = query.where(_FIRINGS.c.alert == alert)
        if since is not None:
            query = query.where(_FIRINGS.c.at >= since)
        if before is not None:
            at, id_ = before
            query = query.where((_FIRINGS.c.at < at) | ((_FIRINGS.c.at == at) & (_FIRINGS.c.id < id_)))
        async with self._engine.connect() as connection:
            return [_stored(row) for row in await connection.execute(query)]

    async def firing(self, id_: str) -> StoredFiring | None:
        """Return one firing by its id."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(_FIRINGS).where(_FIRINGS.c.id == id_))).first()
        return None if row is None else _stored(row)

    async def counters(self, automation: str | None = None) -> dict[tuple[str, str, str, str], int]:
        """Return how often each (automation, part, outcome, reason) was decided."""
        query = select(_COUNTERS)
        if automation is not None:
            query = query.where(_COUNTERS.c.automation == automation)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
            return {
                (automation, part, outcome, reason): count
                for automation, part, outcome, reason, count in rows
            }

    async def _write_entries(
        self, connection: AsyncConnection, shard: str, entries: Mapping[tuple[str, str], bytes | None]
    ) -> None:
        gone = [
            {"s": shard, "p": part, "k": indexed(key)}
            for (part, key), state in entries.items()
            if state is None
        ]
        kept = [
            {
                "shard": shard,
                "part": part,
                "key": (short := indexed(key)),
                "whole": None if short == key else key,
                "state": state,
            }
            for (part, key), state in entries.items()
            if state is not None
        ]
        if gone:
            drop = delete(_ENTRIES).where(
                _ENTRIES.c.shard == bindparam("s"),
                _ENTRIES.c.part == bindparam("p"),
                _ENTRIES.c.key == bindparam("k"),
            )
            await connection.execute(drop, gone)
        insert = insert_into(connection, _ENTRIES)
        upsert = insert.on_conflict_do_update(
            index_elements=["shard", "part", "key"], set_={"state": insert.excluded.state}
        )
        for batch in _batches(kept):
            await connection.execute(upsert, batch)

    async def _insert_firings(self, connection: AsyncConnection, firings: Sequence[StoredFiring]) -> None:
        insert = insert_into(connection, _FIRINGS).on_conflict_do_nothing(index_elements=["id"])
        for batch in _batches([_firing_values(firing) for firing in firings]):
            await connection.execute(insert, batch)

    async def _count(
        self, connection: AsyncConnection, counters: Mapping[tuple[str, str, str, str], int]
    ) -> None:
        insert = insert_into(connection, _COUNTERS)
        upsert = insert.on_conflict_do_update(
            index_elements=["automation", "part", "outcome", "reason"],
            set_={"count": _COUNTERS.c.count + insert.excluded.count},
        )
        rows = [
            {
                "automation": automation,
                "part": part,
                "outcome": outcome,
                "reason": reason[:200],
                "count": count,
            }
            for (automation, part, outcome, reason), count in sorted(counters.items())
        ]
        for batch in _batches(rows):
            await connection.execute(upsert, batch)


def _batches(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))


def _firing_values(firing: StoredFiring) -> dict[str, Any]:
    return {
        "id": firing.id,
        "automation": firing.automation,
        "revision": firing.revision,
        "at": firing.at,
        "state": firing.state,
        "key": list(firing.key),
        "count": firing.count,
        "alert": firing.alert,
        "events": list(firing.events),
        "reason": firing.reason,
        "body": firing.body,
    }


def _stored(row: Any) -> StoredFiring:
    return StoredFiring(
        id=row.id,
        automation=row.automation,
        revision=row.revision,
        at=row.at,
        state=row.state,
        key=tuple(row.key),
        count=row.count,
        alert=row.alert,
        events=tuple(row.events),
        reason=row.reason,
        body=row.body,
    )
