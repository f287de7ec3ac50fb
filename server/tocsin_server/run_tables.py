"""The tables of runs and of the lines that they log."""

from typing import Any, cast

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, Table, UniqueConstraint
from sqlmodel import Field, SQLModel


class RunRow(SQLModel, table=True):
    """A run of a flow. Instants are microseconds since the epoch."""

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("deployment", "idempotency_key"),
        Index("ix_runs_deployment_created", "deployment", "created"),
        Index("ix_runs_flow_created", "flow", "created"),
        Index("ix_runs_state_created", "state", "created"),
    )

    id: str = Field(primary_key=True)
    name: str
    flow: str
    deployment: str | None = None
    idempotency_key: str | None = None
    parameters: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    tags: list[str] = Field(sa_column=Column(JSON, nullable=False))
    work_pool: str | None = None
    work_queue: str | None = None
    automation: str | None = None
    cause: str | None = Field(default=None, index=True)
    hops: int = 0
    created: int = Field(sa_type=BigInteger, index=True)
    due: int = Field(sa_type=BigInteger)
    started: int | None = Field(default=None, sa_type=BigInteger)
    ended: int | None = Field(default=None, sa_type=BigInteger)
    worker: str | None = None
    attempt: int = 1
    state: str
    state_name: str
    state_message: str
    state_time: int = Field(sa_type=BigInteger)
    state_event: str = ""
    state_source: str = ""
    error: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    order: bytes | None = None


class RunLogRow(SQLModel, table=True):
    """A line of a run's log; the key is its sequence on the bus."""

    __tablename__ = "run_logs"

    sequence: int = Field(
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False)
    )
    run_id: str = Field(index=True)
    time: int = Field(sa_type=BigInteger)
    level: str
    logger: str
    message: str


RUNS, RUN_LOGS = (
    cast("Table", row.__table__)  # type: ignore[union-attr]
    for row in (RunRow, RunLogRow)
)
