"""Cron by looking at every minute: five fields, Sunday is 0, right across changes to and from summer time."""

from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@cache
def numbers(text: str, place: int) -> set[int]:
    """The numbers that a field means."""
    low, high = _RANGES[place]
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (int(end) for end in span.split("-"))
        else:
            first = last = int(span)
            last = high if step else last
        found |= set(range(first, last + 1, int(step or 1)))
    return {number % 7 for number in found} if place == 4 else found


def matches_wall(cron: str, wall: datetime) -> bool:
    """Whether a wall-clock minute fits; where day and weekday are both given, one of them is enough."""
    fields = cron.split()
    minute, hour, day, month, weekday = (numbers(text, place) for place, text in enumerate(fields))
    on_day, on_weekday = wall.day in day, wall.isoweekday() % 7 in weekday
    both = fields[2][0] != "*" and fields[4][0] != "*"
    return (
        wall.minute in minute
        and wall.hour in hour
        and wall.month in month
        and (on_day or on_weekday if both else on_day and on_weekday)
    )


def is_cron_time(cron: str, micros: int) -> bool:
    """Whether an instant is a cron time in UTC."""
    if micros % 60_000_000:
        return False
    return matches_wall(cron, datetime.fromtimestamp(micros // 1_000_000, UTC).replace(tzinfo=None))


def cron_times(cron: str, zone: tzinfo, start: datetime, end: datetime) -> list[datetime]:
    """All cron times in (start, end], in UTC, by walking over every minute.

    A wall-clock time that is skipped fires once at the end of the gap; one that comes twice fires at its first
    occurrence, unless minute or hour is a wildcard: then at every real time.
    """
    wild = any(text.startswith("*") for text in cron.split()[:2])
    found: list[datetime] = []
    minute = timedelta(minutes=1)
    at = start.astimezone(UTC).replace(second=0, microsecond=0)
    before = at.astimezone(zone)
    at += minute
    while at <= end:
        local = at.astimezone(zone)
        wall = local.replace(tzinfo=None)
        gap = wall - before.replace(tzinfo=None) - minute
        skipped = (
            any(
                matches_wall(cron, before.replace(tzinfo=None) + minute * (number + 1))
                for number in range(int(gap / minute))
            )
            if gap > timedelta()
            else False
        )
        fits = matches_wall(cron, wall) and (wild or local.fold == 0)
        if fits or (skipped and not wild):
            found.append(at)
        before = local
        at += minute
    return found
