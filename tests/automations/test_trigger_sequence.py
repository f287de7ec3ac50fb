"""``sequence``: one after the other, by the events' own times."""

import pytest
from pydantic import ValidationError

from engine_story import Story, automation


def steps(*types: str, within: str = "10m", **more: object) -> dict[str, object]:
    return {"sequence": [{"event": one} for one in types], "within": within, **more}


def test_steps_in_order_fire_with_others_in_between() -> None:
    story = (
        Story(when=steps("a", "b", "c")).event("a", "0s").event("c", "1m").event("x", "2m").event("b", "3m")
    )
    assert story.event("c", "4m").fired == [("4m", ["e1", "e4", "e5"])]


def test_the_latest_starting_choice_is_found_and_what_is_unused_stays() -> None:
    story = Story(when=steps("a", "b", "c"))
    story.event("a", "0s").event("a", "1m").event("b", "2m").event("b", "3m").event("c", "4m").event(
        "c", "5m"
    )
    assert story.fired == [("4m", ["e2", "e4", "e5"]), ("5m", ["e1", "e3", "e6"])]


def test_an_early_start_does_not_spoil_a_late_one() -> None:
    story = Story(when=steps("a", "b")).event("a", "0s").event("a", "9m").event("b", "15m")
    assert story.fired == [("15m", ["e2", "e3"])]


def test_one_event_does_not_satisfy_two_identical_steps() -> None:
    story = Story(when=steps("a", "a")).event("a", "0s")
    assert story.fired == []
    assert story.event("a", "1m").event("a", "2m").fired == [("1m", ["e1", "e2"])]


def test_order_is_by_event_time_and_not_by_arrival() -> None:
    story = Story(when=steps("a", "b")).event("b", "2s").event("a", "1s", arrives="3s")
    assert story.fired == [("3s", ["e2", "e1"])]
    assert Story(when=steps("a", "b")).event("b", "1s").event("a", "2s").fired == []


def test_steps_may_have_the_same_time() -> None:
    assert Story(when=steps("a", "b")).event("a", "1s").event("b", "1s").times == ["1s"]


def test_first_to_last_lies_within_the_window() -> None:
    assert Story(when=steps("a", "b")).event("a", "0s").event("b", "10m").times == ["10m"]
    assert Story(when=steps("a", "b")).event("a", "0s").event("b", "10m1ms").times == []


def test_a_key_is_needed_by_all_steps() -> None:
    story = Story(when=steps("a", "b", for_each="data.order"))
    story.event("a", "0s", order=1).event("b", "1m", order=2).event("b", "2m", order=1)
    assert story.fired == [("2m", 1, ["e1", "e3"])]


def test_a_step_may_have_its_own_key_with_as_many_values() -> None:
    when = {
        "sequence": [{"event": "a"}, {"event": "b", "for_each": "data.ref"}],
        "within": "1h",
        "for_each": "data.order",
    }
    assert Story(when=when).event("a", "0s", order=7).event("b", "1m", ref=7).fired == [
        ("1m", 7, ["e1", "e2"])
    ]
    when["sequence"] = [{"event": "a"}, {"event": "b", "for_each": ["data.a", "data.b"]}]
    with pytest.raises(ValidationError, match="as many"):
        automation(when=when)


def test_an_absence_may_be_a_step() -> None:
    absence = {"missing": "b", "after": "a", "within": "1m"}
    story = Story(when={"sequence": [{"event": "s"}, absence, {"event": "c"}], "within": "10m"})
    story.event("s", "0s").event("a", "10s").event("c", "1m12s").until("2m")
    # The absence is due at 1m10s, before c, but is decided at 1m15s, after c had come.
    assert story.fired == [("1m15s", ["e1", "e2", "e3"])]


def test_a_threshold_may_be_a_step_and_needs_events_of_its_own() -> None:
    when = {"sequence": [{"event": "a"}, {"event": "a", "count": 2, "within": "1m"}], "within": "10m"}
    story = Story(when=when).event("a", "0s").event("a", "1s").event("a", "2s").event("a", "3s")
    assert story.times == ["3s"]


def test_a_step_that_comes_late_is_late() -> None:
    story = Story(when=steps("a", "b")).event("b", "1m").event("a", "0s", arrives="10m6s")
    assert (story.times, story.outcomes) == ([], ["pending", "late"])


def test_a_step_that_came_in_time_and_was_held_still_finds_its_partner() -> None:
    story = Story(when={"sequence": [{"event": "a"}, {"event": "b"}], "within": "10s"})
    story.event("a", "0s").event("b", "10s", arrives="25s", about="thing/1", follows="lost")
    assert (story.times, story.outcomes) == ([], ["pending", "held"])
    assert story.until("1m").times == ["30s"]


def test_a_threshold_inside_a_step_still_knows_the_partner_of_an_event_that_was_held() -> None:
    two = {"event": "b", "count": 2, "within": "10s"}
    story = Story(when={"sequence": [{"event": "a"}, two], "within": "10s"}).event("a", "0s").event("b", "0s")
    story.event("b", "10s", arrives="25s", about="thing/1", follows="lost").until("1m")
    assert story.times == ["30s"]


def test_candidates_are_forgotten() -> None:
    assert Story(when=steps("a", "b")).event("a", "0s").until("20m11s").state.slots == [{}]
