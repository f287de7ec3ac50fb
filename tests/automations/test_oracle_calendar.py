"""Cron times against a walk over every minute, and the triggers that go by the clock against the oracle."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import tell
from oracle.cron import cron_times
from oracle.drawing import START, History, Spec, conditions, histories, mappings, patterns, ruled, spans
from oracle.engine import live, messages, told
from tocsin_automations.engine import Tick
from tocsin_events.instant import to_micros

MINUTE = 60_000_000

CRONS = st.sampled_from(
    ["*/5 * * * *", "*/7 * * * *", "3,11 0 * * *", "10-14 0 * * 4", "0 0 * * *", "7 0 1 * 5"]
)
DEADLINES = st.builds(
    lambda spec, keys: {**spec, **keys},
    mappings({"missing": patterns, "by": st.builds(lambda cron: {"cron": cron}, CRONS), "within": spans(1, 8, "m")},
             where=conditions),
    st.sampled_from([{}, {"for_each": "data.k", "keys": [1, 2]}, {"for_each": "resource.id", "keys": ["r2", "r3"]}]),
)  # fmt: skip
SCHEDULES = st.builds(
    lambda schedule: {"schedule": schedule},
    st.builds(lambda cron: {"cron": cron}, CRONS)
    | st.builds(lambda every: {"every": every}, spans(1, 9, "m")),
)
SILENCES = st.builds(
    lambda spec, keys: {**spec, **keys, "arm": "always"},
    mappings({"missing": patterns, "within": spans(1, 8, "m")}, where=conditions),
    st.sampled_from(
        [{}, {"for_each": "data.k", "keys": [1, 2]}, {"for_each": "resource.id", "keys": ["r2"]}]
    ),
)


@settings(max_examples=120, deadline=None, derandomize=True, database=None)
@given(
    ruled(
        DEADLINES | SCHEDULES | SILENCES,
        grace=st.sampled_from(["0s", "2m"]),
        until=st.sampled_from([None, "never"]),
    ),
    histories(delay=0, unit=MINUTE),
)
def test_deadlines_schedules_and_armed_silences(rule: Spec, history: History) -> None:
    seen = messages(history.views, history.ticks, history.end)
    got = told(live(rule, seen, START), history.ids)
    expected = tell(rule, history.views, applied=START, end=history.end, grid=MINUTE)
    keys = rule["when"].get("keys")
    if keys and "arm" in rule["when"]:  # the engine watches no others; the contract doesn't say
        expected = [one for one in expected if one.key in {repr((key,)) for key in keys}]
    assert got == expected


ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "UTC",
    "Asia/Kolkata",
)
CHANGES = [
    datetime(2026, *day, tzinfo=UTC) for day in ((3, 7), (3, 28), (4, 3), (9, 4), (10, 2), (10, 24), (10, 31))
]
"""Two days before each change of the clocks in one of the zones in 2026."""


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "cron",
    ["30 2 * * *", "0 2 * * *", "15 1,2,3 * * *", "*/20 * * * *", "30 * * * *", "*/30 2 * * *", "45 1 * * 0", "0 0 * * *", "10 0 * * *"],
)  # fmt: skip
def test_cron_is_right_across_every_change_of_the_clocks(cron: str, zone: str) -> None:
    for start in CHANGES:
        end = start + timedelta(days=4)
        rule = {"when": {"schedule": {"cron": cron, "timezone": zone}}}
        first = to_micros(start)
        decisions = live(rule, [Tick(to_micros(end))], first)
        got = [one.firing.at for one in decisions if one.firing is not None]
        assert got == [to_micros(at) for at in cron_times(cron, ZoneInfo(zone), start, end)]
