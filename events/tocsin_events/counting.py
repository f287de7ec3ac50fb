"""How many events there are, by hour, type or resource."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sqlalchemy import BigInteger as Big
from sqlalchemy import ColumnElement, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_events.filter import EventFilter
from tocsin_events.instant import SECOND
from tocsin_events.search import conditions, expand_types
from tocsin_events.tables import EVENT_TABLE
from tocsin_events.view import EventView

CountBy = Literal["hour", "type", "resource"]

HOUR: Final = 3_600 * SECOND
_MOST_GROUPS: Final = 1_000
_MOST_READ: Final = 200_000
_MOST_HOURS: Final = 24 * 366
_MOST_TYPES: Final = 40
_events = EVENT_TABLE.c


@dataclass(frozen=True, slots=True)
class Count:
    """Groups with their sizes, and whether all events were looked at.

    A group's key is the start of the hour in microseconds, a type, or ``kind/id``. Hours are in order; types and
    resources come with the largest first, a thousand at most.
    """

    groups: tuple[tuple[int | str, int], ...]
    complete: bool = True


async def count_events(connection: AsyncConnection, by: CountBy, wanted: EventFilter) -> Count:
    """Return how many events pass a filter, in groups.

    With a label or a condition, events are read one by one: the newest 200,000 at most.
    """
    types = await expand_types(connection, wanted.types)
    if types == []:
        return Count(())
    if wanted.needs_body:
        return await _by_reading(connection, by, wanted, types)
    if by == "hour" and _is_led_by_time(wanted, types):
        return await _in_each_hour(connection, wanted, types)
    statement = _grouped(by).where(*conditions(wanted, types))
    rows = (await connection.execute(statement)).fetchall()
    if by == "resource":
        return Count(
            tuple((_subject(kind, id_), amount) for kind, id_, amount in rows), len(rows) < _MOST_GROUPS
        )
    if by == "hour":
        return Count(tuple((hour * HOUR, amount) for hour, amount in rows))
    return Count(tuple((key, amount) for key, amount in rows), len(rows) < _MOST_GROUPS)


def _grouped(by: CountBy) -> Select[*tuple[Any, ...]]:
    amount = func.count()
    match by:
        case "hour":
            hour = cast(_events.time // HOUR, Big)
            return select(hour, amount).group_by(hour).order_by(hour)
        case "type":
            return (
                select(_events.type, amount)
                .group_by(_events.type)
                .order_by(amount.desc(), _events.type)
                .limit(_MOST_GROUPS)
            )
        case "resource":
            key = (_events.resource_kind, _events.resource_id)
            return (
                select(*key, amount)
                .where(_events.resource_id.is_not(None))
                .group_by(*key)
                .order_by(amount.desc(), *key)
                .limit(_MOST_GROUPS)
            )


def _is_led_by_time(wanted: EventFilter, types: Sequence[str] | None) -> bool:
    others = (wanted.resource, wanted.source, wanted.cause, *wanted.related)
    return all(one is None for one in others) and (types is None or len(types) <= _MOST_TYPES)


async def _in_each_hour(
    connection: AsyncConnection, wanted: EventFilter, types: Sequence[str] | None
) -> Count:
    """Count hour by hour: the entries of an index between two instants are counted five times faster than grouped."""
    ends = select(
        select(func.min(_events.time)).scalar_subquery(), select(func.max(_events.time)).scalar_subquery()
    )
    oldest, newest = (await connection.execute(ends)).one()
    if oldest is None:
        return Count(())
    first = max(oldest, oldest if wanted.since is None else wanted.since) // HOUR
    last = min(newest, newest if wanted.until is None else wanted.until) // HOUR
    where = conditions(wanted, types)
    if last - first >= _MOST_HOURS:
        statement: Select[*tuple[Any, ...]] = _grouped("hour").where(*where)
    else:
        statement = _of_hours(first, last, where)
    rows = (await connection.execute(statement)).fetchall()
    return Count(tuple((hour * HOUR, amount) for hour, amount in rows if amount))


def _of_hours(first: int, last: int, where: Sequence[ColumnElement[bool]]) -> Select[*tuple[Any, ...]]:
    hours = select(cast(first, Big).label("hour")).cte("hours", recursive=True)
    hours = hours.union_all(select(hours.c.hour + 1).where(hours.c.hour < last))
    within = (_events.time >= hours.c.hour * HOUR, _events.time < (hours.c.hour + 1) * HOUR)
    amount = select(func.count()).select_from(EVENT_TABLE).where(*within, *where).correlate(hours)
    return select(hours.c.hour, amount.scalar_subquery()).order_by(hours.c.hour)


async def _by_reading(
    connection: AsyncConnection, by: CountBy, wanted: EventFilter, types: Sequence[str] | None
) -> Count:
    statement = (
        select(_events.sequence, _events.received, _events.body)
        .where(*conditions(wanted, types))
        .order_by(_events.time.desc(), _events.sequence.desc())
        .limit(_MOST_READ)
    )
    counter: Counter[Any] = Counter()
    read = 0
    async with connection.stream(statement) as rows:
        async for sequence, received, body in rows:
            read += 1
            view = EventView.decode(body, received=received, sequence=sequence)
            if wanted.matches_body(view) and (key := _key(by, view)) is not None:
                counter[key] += 1
    groups = sorted(counter.items()) if by == "hour" else counter.most_common(_MOST_GROUPS)
    return Count(tuple(groups), read < _MOST_READ)


def _key(by: CountBy, view: EventView) -> int | str | None:
    match by:
        case "hour":
            return view.time // HOUR * HOUR
        case "type":
            return view.type
        case "resource":
            return view.subject


def _subject(kind: str, id_: str) -> str:
    return f"{kind}/{id_}" if kind else id_
