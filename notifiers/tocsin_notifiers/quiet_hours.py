"""Quiet hours: weekly intervals of local time in which messages wait or are dropped. Right across DST changes."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tocsin_events.instant import from_micros, to_micros
from tocsin_notifiers.notification import Severity

_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_TIME: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00")
_HORIZON: Final = 8
"""Days to look back and ahead: one more than a week, for an interval that crosses midnight."""


def _time(value: str) -> str:
    if not _TIME.fullmatch(value):
        raise ValueError(f"{value!r} is no time of day: write it as 22:00")
    return value


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no IANA time zone, such as Europe/Berlin") from None
    return value


def _days(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    first, dash, last = value.partition("-")
    if not dash:
        return (value,)
    if first not in _DAYS or last not in _DAYS:
        raise ValueError(f"{value!r} is no range of days: write it as mon-fri")
    start, end = _DAYS.index(first), _DAYS.index(last)
    return tuple(_DAYS[(start + step) % 7] for step in range((end - start) % 7 + 1))


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Time = Annotated[str, AfterValidator(_time)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class Interval(BaseModel):
    """From one local time to another on some days; one that ends before it begins ends on the next day."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    days: Annotated[tuple[Day, ...], BeforeValidator(_days)] = _DAYS
    begin: Time = Field(alias="from")
    end: Time = Field(alias="to")

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.begin == self.end or self.begin == "24:00":
            raise ValueError("from and to are the same: for the whole day write from: 00:00, to: 24:00")
        return self


class QuietHours(BaseModel):
    """Named quiet hours: ``defer`` keeps messages for one digest at the end, ``drop`` forgets them.

    Messages of the severities in ``only`` pass at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    intervals: tuple[Interval, ...] = Field(min_length=1, max_length=100)
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    then: Literal["defer", "drop"] = "defer"
    only: Annotated[tuple[Severity, ...], BeforeValidator(_listed)] = (Severity.CRITICAL,)

    def quiet_until(self, now: int) -> int | None:
        """Return when the quiet time that holds now ends, in microseconds; None where it is not quiet.

        Intervals that touch or overlap are one.
        """
        spans = self._spans(now)
        until: int | None = None
        for begin, end in spans:
            if begin <= (now if until is None else until) < end:
                until = end
        return until

    def _spans(self, now: int) -> list[tuple[int, int]]:
        zone = ZoneInfo(self.timezone)
        today = from_micros(now).astimezone(zone).date()
        spans = []
        for offset in range(-_HORIZON, _HORIZON + 1):
            day = today + timedelta(days=offset)
            for interval in self.intervals:
                if _DAYS[day.weekday()] in interval.days:
                    last = day if interval.end > interval.begin else day + timedelta(days=1)
                    spans.append((_at(day, interval.begin, zone), _at(last, interval.end, zone)))
        return sorted(spans)


def _at(day: date, written: str, zone: ZoneInfo) -> int:
    """Return the instant of a local time: its first occurrence, and past the gap where a DST change skips it."""
    if written == "24:00":
        day, written = day + timedelta(days=1), "00:00"
    return to_micros(datetime.combine(day, time.fromisoformat(written), tzinfo=zone).astimezone(UTC))
