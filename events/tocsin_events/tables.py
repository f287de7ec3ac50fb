"""The tables of the events room.

They are part of `tocsin_events.store`, which says what they are for.
"""

from typing import cast

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table
from sqlmodel import Field, SQLModel

_SEQUENCE = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite stores a table by its key only if that is called INTEGER; it holds 64 bits all the same."""


class EventRow(SQLModel, table=True):
    """One event; ``time`` and ``received`` in microseconds since the epoch."""

    __tablename__ = "events"
    __table_args__ = (
        # The id alone names nearly always one event, so it goes first.
        Index("events_identity", "id", "source", unique=True),
        Index("events_time", "time", "sequence"),
        Index("events_type_time", "type", "time", "sequence"),
        Index("events_resource_time", "resource_kind", "resource_id", "time", "sequence"),
        Index("events_kind_time", "resource_kind", "time", "sequence"),
        Index("events_cause", "cause"),
    )

    sequence: int = Field(sa_column=Column(_SEQUENCE, primary_key=True, autoincrement=False))
    id: str
    source: str
    type: str
    time: int = Field(sa_type=BigInteger)
    received: int = Field(sa_type=BigInteger)
    resource_kind: str | None = None
    resource_id: str | None = None
    cause: str | None = None
    body: bytes = Field(sa_type=LargeBinary)


class RelatedRow(SQLModel, table=True):
    """That an event concerns another resource; stored in the order in which it is searched."""

    __tablename__ = "event_related"
    __table_args__ = ({"sqlite_with_rowid": False},)

    kind: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    time: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    sequence: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    role: str = Field(primary_key=True)


class EventTypeRow(SQLModel, table=True):
    """A type that the log has seen, so that a pattern becomes a list of names before it is searched."""

    __tablename__ = "event_types"

    type: str = Field(primary_key=True)


class PositionRow(SQLModel, table=True):
    """How far a reader of the bus has come: nothing behind its place may be trimmed."""

    __tablename__ = "reader_positions"

    name: str = Field(primary_key=True)
    sequence: int = Field(sa_type=BigInteger)
    stream_made: int = Field(sa_type=BigInteger)
    updated: int = Field(sa_type=BigInteger)


class DeadLetterRow(SQLModel, table=True):
    """A message that could not be processed, with everything needed to look at it and to send it again."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index("dead_letters_announced", "announced"),)

    id: str = Field(primary_key=True)
    created: int = Field(sa_type=BigInteger, index=True)
    stream: str
    subject: str
    reason: str
    attempts: int
    headers: str
    payload: bytes = Field(sa_type=LargeBinary)
    announced: bool = False
    replayed: int | None = Field(default=None, sa_type=BigInteger)


EVENT_TABLE, RELATED_TABLE, TYPE_TABLE, POSITION_TABLE, DEAD_LETTER_TABLE = (
    cast("Table", row.__table__)  # type: ignore[union-attr]
    for row in (EventRow, RelatedRow, EventTypeRow, PositionRow, DeadLetterRow)
)
