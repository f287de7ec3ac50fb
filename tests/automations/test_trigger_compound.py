"""``all``, ``any``, ``at_least``: several triggers for one key."""

import pytest
from pydantic import ValidationError

from engine_story import Story, automation

A, B, C = {"event": "a"}, {"event": "b"}, {"event": "c"}


def test_all_children_fire_within_the_window_in_any_order() -> None:
    story = Story(when={"all": [A, B], "within": "10m"}).event("b", "0s").event("a", "10m")
    assert story.fired == [("10m", ["e1", "e2"])]
    assert Story(when={"all": [A, B], "within": "10m"}).event("b", "0s").event("a", "10m1ms").fired == []


def test_all_for_one_order_are_not_fooled_by_two_orders() -> None:
    story = Story(when={"all": [A, B], "within": "10m", "for_each": "data.order"})
    story.event("a", "0s", order=1).event("b", "1m", order=2)
    assert story.fired == []
    assert story.event("b", "2m", order=1).fired == [("2m", 1, ["e1", "e3"])]


def test_events_are_used_up_and_unused_ones_stay() -> None:
    story = Story(when={"all": [A, B], "within": "10m"})
    story.event("a", "0s").event("a", "1m").event("b", "2m").event("b", "3m").event("b", "4m")
    assert story.fired == [("2m", ["e2", "e3"]), ("3m", ["e1", "e4"])]


def test_one_event_may_satisfy_several_children() -> None:
    story = Story(when={"all": [{"event": "a"}, {"event": ">"}], "within": "10m"}).event("a", "0s")
    assert story.fired == [("0s", ["e1"])]


def test_any_fires_once_for_an_event_that_satisfies_several() -> None:
    story = Story(when={"any": [{"event": "a"}, {"event": ">"}]}).event("a", "0s").event("b", "1s")
    assert story.fired == [("0s", ["e1"]), ("1s", ["e2"])]


def test_at_least_one_is_enough_where_that_is_asked_for() -> None:
    assert Story(when={"at_least": 1, "of": [A, B], "within": "10m"}).event("b", "0s").times == ["0s"]


def test_at_least_counts_different_children() -> None:
    when = {"at_least": 2, "of": [A, B, C], "within": "10m"}
    story = Story(when=when).event("a", "0s").event("a", "1s").event("c", "2s")
    assert story.fired == [("2s", ["e2", "e3"])]


def test_composites_nest_to_any_depth() -> None:
    when = {
        "all": [{"any": [A, {"all": [B, C], "within": "1m"}]}, {"event": "d", "count": 2, "within": "1m"}],
        "within": "1h",
    }
    story = Story(when=when).event("b", "0s").event("c", "30s").event("d", "10m").event("d", "10m30s")
    assert story.fired == [("10m30s", ["e1", "e2", "e3", "e4"])]


def test_children_with_timers_fire_at_their_due_time() -> None:
    when = {"all": [A, {"missing": "hb", "within": "5m"}], "within": "10m"}
    story = Story(when=when).event("hb", "0s").event("a", "1m").until("1h")
    assert story.fired == [("5m5s", ["e1", "e2"])]


def test_a_schedule_may_be_a_child() -> None:
    story = Story(when={"all": [A, {"schedule": {"every": "10m"}}], "within": "1m"})
    assert story.event("a", "9m30s").until("25m").fired == [("10m", ["e1"])]


def test_the_order_of_arrival_does_not_matter() -> None:
    story = Story(when={"all": [A, B], "within": "10m"}).event("b", "12m").event("a", "5m", arrives="12m")
    assert story.fired == [("12m", ["e2", "e1"])]


def test_a_candidate_waits_until_the_last_moment_at_which_its_partner_may_come() -> None:
    when = {"all": [A, B], "within": "10s"}
    # b happened 10 s later, and may come 10 s and the grace after it happened.
    assert Story(when=when).event("a", "0s").event("b", "10s", arrives="25s").times == ["25s"]
    assert Story(when=when).event("a", "0s").until("25s").event("b", "10s", arrives="25s").times == ["25s"]
    story = Story(when=when).event("a", "0s").event("b", "10s", arrives="25s1ms")
    assert (story.times, story.outcomes) == ([], ["pending", "late"])
    assert story.until("1m").state.slots == [{}]


@pytest.mark.parametrize(
    "wrong",
    [{"all": [A, B]}, {"at_least": 3, "of": [A, B], "within": "1m"}, {"at_least": 0, "of": [A, B], "within": "1m"},
     {"all": [], "within": "1m"}, {"at_least": 1, "within": "1m"},
     {"all": [A, {"schedule": {"every": "1m"}}], "within": "1m", "for_each": "data.k"},
     {"all": [A, {"missing": "b", "within": "1m", "arm": "always"}], "within": "1m", "for_each": "data.k"}],
)  # fmt: skip
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        automation(when=wrong)
