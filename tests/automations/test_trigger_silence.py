"""``missing`` … ``within`` without ``after``: a dead man's switch."""

import pytest
from pydantic import ValidationError

from engine_story import Story, automation

BEAT = {"missing": "hb", "within": "10m"}


def test_the_first_event_arms_it_and_it_fires_once() -> None:
    assert Story(when=BEAT).until("5h").fired == []
    story = Story(when=BEAT).event("hb", "1m").event("hb", "5m").until("5h")
    assert (story.fired, story.outcomes) == ([("15m5s", ["e2"])], ["waiting", "satisfied"])


def test_the_next_event_closes_the_alert_and_arms_it_again() -> None:
    story = Story(when=BEAT).event("hb", "0s").until("1h").event("hb", "1h").until("2h")
    assert story.times == ["10m5s", "1h!", "1h10m5s"]


def test_it_is_noticed_at_once_and_not_after_several_periods() -> None:
    story = Story(when={**BEAT, "within": "1s"}, grace="0s").event("hb", "0s").event("hb", "900ms").jump("1h")
    assert story.times == ["1s900ms"]


def test_an_event_that_happened_in_time_counts_within_the_grace() -> None:
    story = Story(when=BEAT).event("hb", "0s").event("hb", "10m", arrives="10m4s").until("20m4s")
    assert story.fired == []


def test_an_event_behind_the_end_is_not_in_time_and_resolves_at_once() -> None:
    story = Story(when=BEAT).event("hb", "0s").event("hb", "10m2s").until("12m")
    assert story.times == ["10m5s", "10m5s!"]
    assert story.until("1h").times[2:] == ["20m7s"]


def test_one_that_arrives_out_of_order_bridges_the_gap() -> None:
    story = (
        Story(when=BEAT)
        .event("hb", "0s")
        .event("hb", "10m2s")
        .event("hb", "5m", arrives="10m3s")
        .until("20m6s")
    )
    assert story.fired == []
    assert story.until("1h").times == ["20m7s"]


def test_a_gap_before_the_first_event_to_arrive_is_a_silence_too() -> None:
    story = Story(when={**BEAT, "within": "1s"}, grace="3s")
    story.event("hb", "12s", arrives="11s").event("hb", "10s", arrives="12s").until("1m")
    assert story.fired == [("14s", ["e2"]), ("14s", "resolved", ["e1"]), ("16s", ["e1"])]


def test_an_event_out_of_order_before_an_unbroken_run_shows_no_silence() -> None:
    story = Story(when={**BEAT, "within": "2s"}, grace="3s")
    story.event("hb", "10s").event("hb", "12s", arrives="10s").event("hb", "9s", arrives="11s").until("1m")
    assert story.fired == [("17s", ["e2"])]


def test_a_gap_before_an_unbroken_run_is_told_once_and_the_run_goes_on() -> None:
    story = Story(when={**BEAT, "within": "2s"}, grace="5s")
    story.event("hb", "10s").event("hb", "12s").event("hb", "7s", arrives="12s").until("1m")
    assert story.fired == [("14s", ["e3"]), ("14s", "resolved", ["e1"]), ("19s", ["e2"])]


def test_what_happened_before_a_decided_silence_ended_and_comes_only_then_is_late() -> None:
    story = Story(when=BEAT).event("hb", "0s").event("hb", "9m", arrives="11m").until("1h")
    assert (story.times, story.outcomes) == (["10m5s"], ["waiting", "late"])


def test_a_decided_silence_is_known_until_the_last_event_that_may_lie_before_its_end() -> None:
    story = Story(when=BEAT).event("hb", "0s").until("15m")
    story.event("hb", "10m", arrives="20m5s").until("1h")
    assert (story.times, story.outcomes) == (["10m5s"], ["waiting", "late"])
    held = Story(when=BEAT).event("hb", "0s").until("15m")
    held.event("hb", "10m", arrives="20m4s", about="thing/1", follows="lost").until("1h")
    assert (held.times, held.outcomes) == (["10m5s"], ["waiting", "held", "late"])


def test_a_silence_that_ended_while_a_debounce_held_its_firing_back_is_told_with_its_end() -> None:
    story = Story(when=BEAT, limits={"debounce": {"wait": "1m"}}).event("hb", "0s").until("10m10s")
    story.event("hb", "10m30s").until("11m5s")
    assert story.times == ["11m5s", "11m5s!"]
    assert story.event("hb", "12m").times == ["11m5s", "11m5s!"]


def test_measured_from_the_latest_event_time() -> None:
    story = Story(when=BEAT).event("hb", "5m").event("hb", "1m", arrives="6m").until("1h")
    assert story.fired == [("15m5s", ["e1"])]


def test_armed_always_it_counts_from_the_moment_of_application() -> None:
    story = Story(when={**BEAT, "arm": "always"}, at="2m").until("1h")
    assert story.fired == [("12m5s", [])]


def test_expected_keys_are_armed_and_others_are_not() -> None:
    story = Story(when={**BEAT, "arm": "always", "for_each": "data.k", "keys": ["a", "b"]})
    story.event("hb", "5m", k="a").event("hb", "6m", k="c").until("1h")
    assert story.fired == [("10m5s", "b", []), ("15m5s", "a", ["e1"])]


def test_a_late_event_changes_nothing() -> None:
    story = Story(when=BEAT).event("hb", "0s").event("hb", "1m", arrives="20m").until("1h")
    assert (story.times, story.outcomes) == (["10m5s"], ["waiting", "late"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"arm": "always", "for_each": "data.k"},
        {"keys": ["a"], "for_each": "data.k"},
        {"arm": "always", "keys": ["a"]},
        {"arm": "always", "for_each": "data.k", "keys": [["a", "b"]]},
        {"arm": "always", "for_each": "data.k", "keys": ["a", "a"]},
    ],
)
def test_keys_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        automation(when={**BEAT, **wrong})
