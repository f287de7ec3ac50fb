"""What the room keeps in SQL: alerts with their history, notifications, their ways, deliveries, the inbox, silences."""

from typing import Any, cast

from sqlalchemy import JSON, BigInteger, Column, Index, Integer, LargeBinary, Table, UniqueConstraint
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import Field, SQLModel

from tocsin_events.upsert import insert_into


def _json() -> Any:
    return Column(JSON, nullable=False)


def _number() -> Any:
    return Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


class AlertRow(SQLModel, table=True):
    """An alert as it is now."""

    __tablename__ = "alerts"
    __table_args__ = (Index("ix_alerts_state_updated", "state", "updated"),)

    id: str = Field(primary_key=True)
    automation: str = Field(index=True)
    key: list[Any] = Field(sa_column=_json())
    opened: int = Field(sa_type=BigInteger)
    updated: int = Field(sa_type=BigInteger)
    state: str
    count: int
    severity: str
    title: str
    labels: dict[str, str] = Field(sa_column=_json())
    acknowledged_by: str = ""
    acknowledged_at: int | None = Field(default=None, sa_type=BigInteger)
    escalated: int = 0
    ended: int | None = Field(default=None, sa_type=BigInteger)
    reason: str = ""
    firing: bytes = Field(sa_type=LargeBinary)


class AlertEntryRow(SQLModel, table=True):
    """A line of an alert's history; one cause makes one line."""

    __tablename__ = "alert_entries"
    __table_args__ = (UniqueConstraint("alert", "cause", name="uq_alert_entries_cause"),)

    number: int | None = Field(default=None, sa_column=_number())
    alert: str
    cause: str
    step: str
    at: int = Field(sa_type=BigInteger)
    by: str = ""
    detail: str = ""
    announced: bool = False


class NotificationRow(SQLModel, table=True):
    """A notification as it was asked for."""

    __tablename__ = "notifications"

    id: str = Field(primary_key=True)
    notifier: str = Field(index=True)
    alert: str | None = Field(default=None, index=True)
    automation: str = ""
    status: str
    severity: str
    title: str
    created: int = Field(sa_type=BigInteger, index=True)
    body: bytes = Field(sa_type=LargeBinary)


class WayRow(SQLModel, table=True):
    """The way of a notification to one notifier: where it is held, or why it stopped, or that it passed."""

    __tablename__ = "notification_ways"
    __table_args__ = (
        Index("ix_notification_ways_due", "state", "due"),
        Index("ix_notification_ways_alert", "alert", "group", "state", "status"),
        Index("ix_notification_ways_group", "group", "state", "status", "updated"),
    )

    id: str = Field(primary_key=True)
    notification: str = Field(index=True)
    alert: str | None = None
    notifier: str
    status: str
    severity: str
    state: str
    stage: str
    due: int = Field(default=0, sa_type=BigInteger)
    group: str = ""
    level: int = 0
    round: int = 0
    reason: str = ""
    detail: str = ""
    by: str = ""
    muted: bool = False
    follows: bool = False
    told_by: str = Field(default="", index=True)
    path: list[str] = Field(sa_column=_json())
    created: int = Field(sa_type=BigInteger)
    updated: int = Field(sa_type=BigInteger)
    announced: bool = False


class DeliveryRow(SQLModel, table=True):
    """One message for one target; ``content`` is unique, so that the same is told once."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_status_next_at", "status", "next_at"),
        Index("ix_deliveries_alert_target", "alert", "notifier", "target"),
    )

    id: str = Field(primary_key=True)
    way: str = Field(index=True)
    notification: str = Field(index=True)
    alert: str | None = None
    notifier: str
    target: str
    kind: str
    message_status: str
    status: str
    message: bytes = Field(sa_type=LargeBinary)
    after: str | None = None
    attempts: int = 0
    log: list[dict[str, Any]] = Field(sa_column=_json())
    receipt: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON, nullable=True))
    created: int = Field(sa_type=BigInteger)
    next_at: int = Field(sa_type=BigInteger)
    expires: int = Field(sa_type=BigInteger)
    lease: int = Field(default=0, sa_type=BigInteger)
    claim: str = ""
    finished: int | None = Field(default=None, sa_type=BigInteger)


class InboxRow(SQLModel, table=True):
    """A message in the built-in inbox."""

    __tablename__ = "inbox"

    number: int | None = Field(default=None, sa_column=_number())
    id: str = Field(unique=True)
    alert: str | None = Field(default=None, index=True)
    status: str
    severity: str
    title: str
    message: bytes = Field(sa_type=LargeBinary)
    at: int = Field(sa_type=BigInteger)
    read_at: int | None = Field(default=None, sa_type=BigInteger)


class SilenceRow(SQLModel, table=True):
    """A silence."""

    __tablename__ = "silences"

    id: str = Field(primary_key=True)
    matcher: str
    starts: int = Field(sa_type=BigInteger)
    ends: int = Field(sa_type=BigInteger, index=True)
    author: str
    comment: str = ""
    created: int = Field(sa_type=BigInteger)
    deleted: int | None = Field(default=None, sa_type=BigInteger)
    told: str = ""


class GoneTargetRow(SQLModel, table=True):
    """A target that said that it is gone, under which settings of its notifier."""

    __tablename__ = "gone_targets"

    notifier: str = Field(primary_key=True)
    target: str = Field(primary_key=True)
    settings: str
    reason: str
    at: int = Field(sa_type=BigInteger)


def table_of(row: type[SQLModel]) -> Table:
    """Return a row class's table, for core statements."""
    return cast("Table", row.__table__)  # type: ignore[attr-defined]


ALERTS, ENTRIES, NOTIFICATIONS, WAYS, DELIVERIES, INBOX, SILENCES, GONE_TARGETS = (
    table_of(row)
    for row in (
        AlertRow,
        AlertEntryRow,
        NotificationRow,
        WayRow,
        DeliveryRow,
        InboxRow,
        SilenceRow,
        GoneTargetRow,
    )
)


def insert_new(connection: AsyncConnection, table: Table) -> Any:
    """Return an insert that leaves rows alone that are there already."""
    return insert_into(connection, table).on_conflict_do_nothing()
