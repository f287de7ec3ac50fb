"""``count`` and ``within``: a true sliding window by event time."""

import pytest
from pydantic import ValidationError

from engine_story import Story, automation

THREE = {"event": "x", "count": 3, "within": "10m"}


def test_the_nth_event_in_the_window_fires_and_uses_the_events_up() -> None:
    story = Story(when=THREE)
    for minute in range(7):
        story.event("x", f"{minute}m")
    assert story.fired == [("2m", ["e1", "e2", "e3"]), ("5m", ["e4", "e5", "e6"])]
    assert story.outcomes[-1] == "pending"


def test_the_window_slides_and_does_not_tumble() -> None:
    story = Story(when=THREE).event("x", "0s").event("x", "9m").event("x", "11m").event("x", "12m")
    assert story.fired == [("12m", ["e2", "e3", "e4"])]


def test_a_distance_of_exactly_the_window_counts() -> None:
    assert Story(when=THREE).event("x", "0s").event("x", "5m").event("x", "10m").times == ["10m"]
    assert Story(when=THREE).event("x", "0s").event("x", "5m").event("x", "10m1ms").times == []


def test_order_is_by_event_time_whatever_the_order_of_arrival() -> None:
    story = Story(when=THREE, grace="1h")
    story.event("x", "20m").event("x", "3m", arrives="21m").event("x", "5m", arrives="22m").event(
        "x", "4m", arrives="23m"
    )
    assert story.fired == [("23m", ["e2", "e4", "e3"])]


def test_an_event_is_late_only_after_its_window_and_the_grace() -> None:
    story = Story(when=THREE).event("x", "0s", arrives="10m5s").event("x", "0s", arrives="10m5s1ms")
    assert story.outcomes == ["pending", "late"]


def test_an_event_waits_until_the_last_moment_at_which_its_partner_may_come() -> None:
    when = {"event": "x", "count": 2, "within": "10s"}
    assert Story(when=when).event("x", "0s").event("x", "10s", arrives="25s").times == ["25s"]
    assert Story(when=when).event("x", "0s").until("25s").event("x", "10s", arrives="25s").times == ["25s"]
    assert Story(when=when).event("x", "0s").event("x", "10s", arrives="25s1ms").outcomes[-1] == "late"


def test_pending_says_how_many_and_until_when() -> None:
    story = Story(when=THREE).event("x", "0s").event("x", "4m")
    assert story.last.reason == "2 of 3, until 2026-01-01T00:10:00Z"


def test_each_key_counts_for_itself_and_numbers_are_equal_as_in_the_language() -> None:
    story = Story(when={"event": "x", "count": 2, "within": "1h", "for_each": "data.k"})
    for minute, key in enumerate((1, True, "1", 1.0, True)):
        story.event("x", f"{minute}m", k=key)
    assert story.fired == [("3m", 1, ["e1", "e4"]), ("4m", True, ["e2", "e5"])]


def test_windows_are_forgotten() -> None:
    story = Story(when=THREE).event("x", "0s").until("20m11s")
    assert story.state.slots == [{}]
    assert not [place for place in story.entries if place[0].startswith("when/")]


def test_a_duplicate_changes_nothing() -> None:
    story = Story(when=THREE).event("x", "0s", id="a").event("x", "0s", id="a", arrives="1m").event("x", "2m")
    assert story.outcomes == ["pending", "duplicate", "pending"]
    assert story.event("x", "0s", id="a", source="other", arrives="3m").outcomes[-1] == "fired"


def test_count_without_within_is_refused() -> None:
    with pytest.raises(ValidationError, match="within"):
        automation(when={"event": "x", "count": 3})
