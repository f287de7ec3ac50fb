"""Calendars: the instants of a cron line, of an interval, of an rrule, right across daylight saving time.

A local time that a change skips comes once, at the end of the gap; one that it repeats comes at its first occurrence,
unless the minute or the hour of a cron line is a wildcard (then at every real time). That is Debian's cron.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Protocol, Self
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from dateutil.rrule import rrule, rrulestr
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from tocsin_automations.words import Duration, ZoneName
from tocsin_events.instant import EPOCH, from_micros, to_micros

_SHORTEST_EVERY: Final = 1_000_000
_LONGEST_RRULE: Final = 1_000
_MOST_STEPS: Final = 100_000
_DAY: Final = 86_400_000_000


class Calendar(Protocol):
    """Instants one after the other, in microseconds."""

    def after(self, instant: int, anchor: int) -> int | None:
        """Return the first one later than an instant; ``anchor`` is when the calendar was applied."""


def _cron(text: str) -> str:
    if len(text.split()) != 5:
        raise ValueError(f"{text!r} is not a cron line: it has five fields, minute hour day month weekday")
    try:
        next(CronSim(text, EPOCH))
    except (CronSimError, StopIteration) as problem:
        raise ValueError(f"{text!r} is not a cron line: {problem or 'it never comes'}") from problem
    return text


def _rrule(text: str) -> str:
    body = text.strip()
    if "\n" in body or "DTSTART" in body.upper() or len(body) > _LONGEST_RRULE:
        raise ValueError("an rrule is one line without DTSTART: it starts when the automation is applied")
    if "FREQ=SECONDLY" in body.upper():
        raise ValueError("an rrule comes at most once a minute: use `every` for less")
    try:
        _parse_rrule(body, EPOCH.replace(tzinfo=None))
    except (ValueError, TypeError, AttributeError, KeyError) as problem:
        raise ValueError(f"{text!r} is not an RFC 5545 recurrence rule: {problem}") from problem
    return body


def _not_too_often(micros: int) -> int:
    if micros < _SHORTEST_EVERY:
        raise ValueError("must be 1s or longer")
    return micros


CronText = Annotated[str, AfterValidator(_cron)]
"""A cron line of five fields; Sunday is 0."""

RruleText = Annotated[str, AfterValidator(_rrule)]
"""An RFC 5545 recurrence rule."""


class Timetable(BaseModel):
    """When something happens: by ``cron``, ``every`` or ``rrule``, in a time zone (UTC by default)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: CronText | None = None
    every: Annotated[Duration, AfterValidator(_not_too_often)] | None = None
    rrule: RruleText | None = None
    timezone: ZoneName = "UTC"

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        given = [name for name in ("cron", "every", "rrule") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs one of cron, every, rrule; has {', '.join(given) or 'none'}")
        return self

    def calendar(self) -> Calendar:
        """Return the instants."""
        if self.cron is not None:
            return Cron(self.cron, self.timezone)
        if self.every is not None:
            return Every(self.every)
        return Recurrence(str(self.rrule), self.timezone)


class CronTimetable(BaseModel):
    """A cron line in a time zone (UTC by default)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: CronText = Field()
    timezone: ZoneName = "UTC"


class Cron:
    """The instants of a cron line in a time zone.

    The line is asked about wall-clock times without a zone, and the zone about instants: cronsim's own zones take
    every change of the clocks to be a whole hour, and miss times where it is half of one (Lord Howe Island).
    """

    def __init__(self, line: str, zone: str) -> None:
        self._line = line
        self._zone = ZoneInfo(zone)
        self._at_every_real_time = any(field.startswith("*") for field in line.split()[:2])

    def after(self, instant: int, anchor: int) -> int | None:  # noqa: ARG002 - cron needs no anchor
        """Return the first instant later than the given one."""
        try:
            return self._real(instant) if self._at_every_real_time else self._first(instant)
        except (StopIteration, OverflowError, ValueError):
            return None

    def _first(self, instant: int) -> int | None:
        """Return when the next of the local times comes, each once: the earlier of two, or the end of its gap."""
        asked = _local(instant, self._zone) - timedelta(days=1)  # local times jump
        for _, local in zip(range(_MOST_STEPS), CronSim(self._line, asked), strict=False):
            found = to_micros(_instant_of(local, self._zone))
            if found > instant:
                return found
        return None

    def _real(self, instant: int) -> int | None:
        """Return the next instant at which the clock on the wall shows one of the times."""
        at, offset = instant, self._offset(instant)
        for _ in range(_MOST_STEPS):
            wall = next(CronSim(self._line, from_micros(at + offset).replace(tzinfo=None)))
            found = to_micros(wall.replace(tzinfo=UTC)) - offset
            if found - at > 2 * _DAY:
                at = found - _DAY  # no change of the clocks is larger
                offset = self._offset(at)
            elif self._offset(found) == offset:
                return found
            else:
                change = self._change(at, found, offset)
                at, offset = change - 1, self._offset(change)
        return None

    def _change(self, low: int, high: int, before: int) -> int:
        """Return the instant at which the offset is no longer the one before."""
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._offset(middle) == before else (low, middle)
        return high

    def _offset(self, instant: int) -> int:
        offset = from_micros(instant).astimezone(self._zone).utcoffset() or timedelta()
        return offset // timedelta(microseconds=1)


class Every:
    """Instants at equal distances from the anchor."""

    def __init__(self, interval: int) -> None:
        self._interval = interval

    def after(self, instant: int, anchor: int) -> int | None:
        """Return the first instant later than the given one."""
        return anchor + max((instant - anchor) // self._interval + 1, 1) * self._interval


class Recurrence:
    """The instants of an rrule whose DTSTART is the anchor, both in local time."""

    def __init__(self, text: str, zone: str) -> None:
        self._text = text
        self._zone = ZoneInfo(zone)

    def after(self, instant: int, anchor: int) -> int | None:
        """Return the first instant later than the given one."""
        start = _local(anchor, self._zone)
        # A day back: local times jump, and a time in a gap comes later than its name says.
        asked = max(_local(instant, self._zone) - timedelta(days=1), start - timedelta(microseconds=1))
        try:
            times = _parse_rrule(self._text, start).xafter(asked)
            for _ in range(_MOST_STEPS):
                found = to_micros(_instant_of(next(times), self._zone))
                if found > instant:
                    return found
        except (StopIteration, OverflowError, ValueError):
            pass
        return None


def _local(instant: int, zone: ZoneInfo) -> datetime:
    return from_micros(instant).astimezone(zone).replace(tzinfo=None)


def _instant_of(local: datetime, zone: ZoneInfo) -> datetime:
    """Return a local time as an instant: the first of two, and the end of the gap where there is none."""
    first = local.replace(tzinfo=zone, fold=0)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local:
        return first
    # In a gap, fold=0 takes the offset before it and so lands as far behind the gap as local lies in it.
    offset = local.replace(tzinfo=zone, fold=1).utcoffset() or timedelta()
    before = first.utcoffset() or timedelta()
    lands = first.astimezone(UTC)
    start = lands - (abs(before - offset))
    low, high = start, lands
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _parse_rrule(text: str, start: datetime) -> rrule:
    parsed = rrulestr(text, dtstart=start)
    if not isinstance(parsed, rrule):
        raise ValueError("one recurrence rule, no set")  # noqa: TRY004 - pydantic's way to say so
    return parsed
