"""Finding events in the log, newest first.

One index leads: that of the rarest thing asked for. It is ordered by time behind it, so that the newest page is read
off its end, however many events there are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, exists, false, literal, select, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_events.filter import EventFilter, InvalidFilter, ResourceFilter
from tocsin_events.identity import indexed
from tocsin_events.pattern import matches_any
from tocsin_events.tables import EVENT_TABLE, RELATED_TABLE, TYPE_TABLE
from tocsin_events.view import EventView

LARGEST_PAGE: Final = 1_000

_CHUNK: Final = 500
_MOST_SCANNED: Final = 50_000
_MOST_TYPES: Final = 40
_CURSOR: Final = re.compile(r"(-?\d{1,19})\.(\d{1,19})")
_events, _related = EVENT_TABLE.c, RELATED_TABLE.c


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event of the log: its sequence, its arrival in microseconds, and its JSON form as it was received."""

    sequence: int
    received: int
    body: bytes

    def view(self) -> EventView:
        """Return what expressions see of it."""
        return EventView.decode(self.body, received=self.received, sequence=self.sequence)


@dataclass(frozen=True, slots=True)
class Page:
    """Events, newest first, and the cursor of the next page; None at the end.

    A page can hold fewer than were asked for and yet have a next one, where a condition let few through.
    """

    events: tuple[StoredEvent, ...]
    next: str | None


async def search_events(
    connection: AsyncConnection, wanted: EventFilter, *, limit: int, after: str | None
) -> Page:
    """Return a page of the events that pass a filter, by time, the newest first.

    Pages are stable: going on with the cursor neither skips nor repeats an event that was there.

    Raises:
        InvalidFilter: the cursor is not one of ours.

    """
    limit = max(1, min(limit, LARGEST_PAGE))
    place = _parse_cursor(after)
    types = await expand_types(connection, wanted.types)
    if types == []:
        return Page((), None)
    chunk = _CHUNK if wanted.needs_body else limit + 1
    found: list[StoredEvent] = []
    scanned = 0
    while True:
        rows = (await connection.execute(_statement(wanted, types, place, chunk))).fetchall()
        for row in rows:
            stored = StoredEvent(row.sequence, row.received, row.body)
            if not wanted.needs_body or wanted.matches_body(stored.view()):
                if len(found) == limit:
                    return Page(tuple(found), _cursor(place))
                found.append(stored)
            place = (row.time, row.sequence)
        scanned += len(rows)
        if len(rows) < chunk:
            return Page(tuple(found), None)
        if scanned >= _MOST_SCANNED:
            return Page(tuple(found), _cursor(place))


async def expand_types(connection: AsyncConnection, patterns: Sequence[str]) -> list[str] | None:
    """Return the known types that fit one of the patterns; None where there are no patterns."""
    if not patterns:
        return None
    if all("*" not in one and ">" not in one for one in patterns):
        return sorted({indexed(one) for one in patterns})
    known = await connection.scalars(select(TYPE_TABLE.c.type))
    return sorted(one for one in known if matches_any(patterns, one))


def conditions(wanted: EventFilter, types: Sequence[str] | None) -> list[ColumnElement[bool]]:
    """Return what SQL can check of a filter, on the table of events."""
    found = _about_columns(wanted)
    found += [_concerns(one) for one in wanted.related]
    if types is not None:
        found.append(_events.type.in_(types) if types else false())
    return found


def _about_columns(wanted: EventFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.resource is not None:
        found.append(_events.resource_kind == indexed(wanted.resource.kind))
        if wanted.resource.id is not None:
            found.append(_events.resource_id == indexed(wanted.resource.id))
    if wanted.since is not None:
        found.append(_events.time >= wanted.since)
    if wanted.until is not None:
        found.append(_events.time < wanted.until)
    if wanted.source is not None:
        found.append(_events.source == indexed(wanted.source))
    if wanted.cause is not None:
        found.append(_events.cause == indexed(wanted.cause))
    return found


def _statement(
    wanted: EventFilter, types: Sequence[str] | None, place: tuple[int, int] | None, limit: int
) -> Select[Any]:
    leading = next((one for one in wanted.related if one.id is not None), None)
    if leading is not None and (wanted.resource is None or wanted.resource.id is None):
        return _by_related(wanted, leading, types, place, limit)
    before: list[ColumnElement[bool]] = []
    if place is not None:
        before.append(tuple_(_events.time, _events.sequence) < tuple_(literal(place[0]), literal(place[1])))
    led = wanted.resource is not None or wanted.cause is not None
    if types is None or led or not 1 < len(types) <= _MOST_TYPES:
        return _newest(_columns().where(*before, *conditions(wanted, types)), limit)
    # The newest of each type, then the newest of those: each is read off the end of the index of type and time. Only the
    # events of the page itself are fetched.
    keys = select(_events.time, _events.sequence).where(*before, *conditions(wanted, None))
    newest = [_newest(keys.where(_events.type == one), limit).subquery().select() for one in types]
    merged = union_all(*newest).subquery()
    page = select(merged).order_by(merged.c.time.desc(), merged.c.sequence.desc()).limit(limit).subquery()
    return _newest(_columns().join(page, page.c.sequence == _events.sequence), limit)


def _by_related(
    wanted: EventFilter,
    leading: ResourceFilter,
    types: Sequence[str] | None,
    place: tuple[int, int] | None,
    limit: int,
) -> Select[Any]:
    base = _columns().join(RELATED_TABLE, _related.sequence == _events.sequence).where(*_names(leading))
    if leading.role is None:
        # An event may concern a resource in several roles; it is found by the first. (A DISTINCT would read them all.)
        earlier = RELATED_TABLE.alias("earlier")
        same = [
            getattr(earlier.c, name) == getattr(_related, name) for name in ("kind", "id", "time", "sequence")
        ]
        base = base.where(~exists().where(*same, earlier.c.role < _related.role).correlate(RELATED_TABLE))
    if wanted.since is not None:
        base = base.where(_related.time >= wanted.since)
    if wanted.until is not None:
        base = base.where(_related.time < wanted.until)
    if place is not None:
        base = base.where(
            tuple_(_related.time, _related.sequence) < tuple_(literal(place[0]), literal(place[1]))
        )
    others = [_concerns(one) for one in wanted.related if one is not leading] + _about_columns(wanted)
    if types is not None:
        others.append(_events.type.in_(types))
    return base.where(*others).order_by(_related.time.desc(), _related.sequence.desc()).limit(limit)


def _columns() -> Select[Any]:
    return select(_events.sequence, _events.received, _events.time, _events.body)


def _newest(statement: Select[Any], limit: int) -> Select[Any]:
    return statement.order_by(_events.time.desc(), _events.sequence.desc()).limit(limit)


def _concerns(wanted: ResourceFilter) -> ColumnElement[bool]:
    other = RELATED_TABLE.alias()
    same = and_(other.c.time == _events.time, other.c.sequence == _events.sequence)
    return exists().where(same, *_names(wanted, other.c)).correlate(EVENT_TABLE)


def _names(wanted: ResourceFilter, columns: Any = _related) -> list[ColumnElement[bool]]:
    found = [columns.kind == indexed(wanted.kind)]
    if wanted.id is not None:
        found.append(columns.id == indexed(wanted.id))
    if wanted.role is not None:
        found.append(columns.role == indexed(wanted.role))
    return found


def _cursor(place: tuple[int, int] | None) -> str | None:
    return None if place is None else f"{place[0]}.{place[1]}"


def _parse_cursor(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = _CURSOR.fullmatch(text)
    if match is None or max(abs(int(match[1])), int(match[2])) >= 2**63:
        raise InvalidFilter("cursor", "it is not one that an earlier page gave")
    return int(match[1]), int(match[2])
