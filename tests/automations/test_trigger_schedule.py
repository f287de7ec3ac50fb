"""``schedule``: cron, every, rrule, across daylight saving time."""

import pytest
from pydantic import ValidationError

from engine_story import Story, automation
from tocsin_automations.calendar import Cron, Every, Recurrence
from tocsin_events.instant import parse_rfc3339, to_rfc3339


def times(calendar: Cron | Recurrence, start: str, count: int, anchor: str = "") -> list[str]:
    at, applied = parse_rfc3339(start), parse_rfc3339(anchor or start)
    found = []
    for _ in range(count):
        following = calendar.after(at, applied)
        assert following is not None
        at = following
        found.append(to_rfc3339(at))
    return found


def test_cron_fires_at_its_times_without_waiting_for_grace() -> None:
    assert Story(when={"schedule": {"cron": "*/15 * * * *"}}).until("30m").times == ["15m", "30m"]


def test_every_counts_from_application() -> None:
    assert Story(when={"schedule": {"every": "10m"}}, at="3m").until("25m").times == ["13m", "23m"]


def test_times_that_passed_while_down_fire_each() -> None:
    assert Story(when={"schedule": {"every": "10m"}}).jump("30m").times == ["10m", "20m", "30m"]


def test_sunday_is_zero() -> None:
    assert times(Cron("0 0 * * 0", "UTC"), "2026-01-01T00:00:00Z", 1) == ["2026-01-04T00:00:00Z"]


def test_a_skipped_local_time_comes_once_at_the_end_of_the_gap() -> None:
    berlin = Cron("30 2 * * *", "Europe/Berlin")
    assert times(berlin, "2026-03-28T12:00:00Z", 2) == ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    rule = Recurrence("FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0", "Europe/Berlin")
    assert times(rule, "2026-03-28T12:00:00Z", 2) == ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]


def test_a_repeated_local_time_comes_at_its_first_occurrence() -> None:
    expected = ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]
    assert times(Cron("30 2 * * *", "Europe/Berlin"), "2026-10-24T12:00:00Z", 2) == expected
    rule = Recurrence("FREQ=DAILY;BYHOUR=2;BYMINUTE=30;BYSECOND=0", "Europe/Berlin")
    assert times(rule, "2026-10-24T12:00:00Z", 2) == expected
    # Asked between the two, the second occurrence does not count.
    assert times(Cron("30 2 * * *", "Europe/Berlin"), "2026-10-25T01:10:00Z", 1) == expected[1:]


def test_a_wildcard_comes_at_every_real_time() -> None:
    hourly = Cron("30 * * * *", "Europe/Berlin")
    assert times(hourly, "2026-10-24T23:45:00Z", 3) == [
        "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"
    ]  # fmt: skip


def test_an_rrule_starts_at_application_in_local_time() -> None:
    rule = Recurrence("FREQ=DAILY;COUNT=3", "America/New_York")
    start = "2026-01-01T15:00:00Z"
    assert times(rule, start, 2) == ["2026-01-02T15:00:00Z", "2026-01-03T15:00:00Z"]
    assert rule.after(parse_rfc3339("2026-01-03T15:00:00Z"), parse_rfc3339(start)) is None


def test_an_rrule_is_taken_as_it_is_written() -> None:
    story = Story(when={"schedule": {"rrule": "FREQ=DAILY;COUNT=3"}}).until("5d")
    assert story.times == ["1d", "2d"]


def test_every_never_comes_at_its_anchor_or_before() -> None:
    assert Every(10).after(5, 100) == 110
    assert Every(10).after(110, 100) == 120


@pytest.mark.parametrize(
    "wrong",
    [{}, {"cron": "* * * * *", "every": "1h"}, {"every": "10ms"}, {"rrule": "FREQ=SECONDLY"}, {"rrule": "daily"},
     {"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=DAILY"}, {"cron": "@daily"}, {"cron": "0 0 0 * * *"}],
)  # fmt: skip
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        automation(when={"schedule": wrong})


def test_a_schedule_has_no_for_each() -> None:
    with pytest.raises(ValidationError, match="for_each"):
        automation(when={"schedule": {"every": "1h"}, "for_each": "data.k"})
