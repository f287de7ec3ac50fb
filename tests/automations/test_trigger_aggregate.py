"""``aggregate``: a figure over a sliding window crosses a bound."""

import pytest
from pydantic import ValidationError

from engine_story import Story, automation

AVG = {"event": "m", "value": "data.v", "aggregate": "avg", "over": "10m", "above": 5}


def story(values: list[float], **when: object) -> Story:
    told = Story(when={**AVG, **when})
    for minute, value in enumerate(values):
        told.event("m", f"{minute}m", v=value)
    return told


def test_it_fires_on_the_edge_and_again_only_after_it_went_back() -> None:
    told = story([4, 10, 10, 0, 0, 100])
    assert told.times == ["1m", "4m!", "5m"]
    assert told.decisions[1].firing.value == 7  # type: ignore[union-attr]


def test_a_bound_crossed_at_the_first_evaluation_is_an_edge() -> None:
    assert story([6]).times == ["0s"]


def test_the_bound_itself_is_not_crossed() -> None:
    assert story([5]).times == []


def test_it_is_evaluated_when_values_leave_the_window() -> None:
    told = Story(when=AVG).event("m", "0s", v=0).event("m", "1m", v=8).until("1h")
    # avg 4; at 10m the 0 leaves: avg 8; at 11m there is nothing left.
    assert told.times == ["10m5s", "11m5s!"]


def test_below_and_count_and_rate_need_no_value() -> None:
    when = {"event": "m", "aggregate": "count", "over": "10m", "below": 2, "min_events": 0}
    told = Story(when=when).event("m", "0s").event("m", "1m").until("1h")
    assert told.times == ["0s", "1m!", "10m5s"]
    when = {"event": "m", "aggregate": "rate", "over": "10s", "above": 0.1}
    assert Story(when=when).event("m", "0s").event("m", "5s").times == ["5s"]


def test_min_events_holds_it_back() -> None:
    assert story([9, 9, 9], min_events=3).times == ["2m"]


@pytest.mark.parametrize(
    ("name", "figure"), [("p50", 5), ("p95", 10), ("p99", 10), ("min", 1), ("max", 10), ("sum", 55)]
)
def test_percentiles_are_by_nearest_rank(name: str, figure: float) -> None:
    told = story([10, 1, 2, 3, 4, 5, 6, 7, 8, 9], aggregate=name, above=0, min_events=10)
    assert told.decisions[-1].firing.value == figure  # type: ignore[union-attr]


def test_for_waits_until_it_has_stayed_so() -> None:
    told = Story(when={**AVG, "for": "5m"}).event("m", "0s", v=9).until("1h")
    assert told.times == ["5m5s", "10m5s!"]


def test_for_is_cancelled_when_it_goes_back() -> None:
    told = Story(when={**AVG, "for": "5m"}).event("m", "0s", v=9).event("m", "4m", v=0).until("1h")
    assert told.times == []


def test_going_back_after_for_but_before_the_decision_fires_and_resolves() -> None:
    told = Story(when={**AVG, "for": "5m"}).event("m", "0s", v=9).event("m", "5m2s", v=0).until("6m")
    assert told.times == ["5m5s", "5m5s!"]


def test_what_went_back_before_the_decision_fires_with_the_figure_that_crossed() -> None:
    told = Story(when={**AVG, "for": "5m"}).event("m", "0s", v=9).event("m", "5m2s", v=0).until("6m")
    assert [one.firing.value for one in told.decisions if one.firing and one.firing.state == "firing"] == [9]


def test_back_and_beyond_again_before_the_decision_fires_and_resolves_and_waits_anew() -> None:
    told = Story(when={**AVG, "for": "5m"}).event("m", "0s", v=9).event("m", "5m1s", v=0)
    told.event("m", "5m2s", v=99).until("5m6s")
    assert told.times == ["5m5s", "5m5s!"]
    # At 10m the 9 leaves, at 15m1s the 0: it stays beyond until the 99 leaves.
    assert told.until("1h").times == ["5m5s", "5m5s!", "10m7s", "15m7s!"]


def test_edges_are_told_in_the_order_of_their_times() -> None:
    when = {"event": "m", "value": "data.v", "aggregate": "avg", "over": "10s", "below": 5}
    told = Story(when=when).event("m", "0s", v=100).event("m", "1s", v=0)
    # At 10s the 100 leaves: below, to be told when the grace is over. What comes after it waits for it.
    told.event("m", "11s", v=100).event("m", "12s", v=-200).until("14s")
    assert (told.times, told.outcomes[-1]) == ([], "waiting")
    assert told.until("15s").times == ["15s", "15s!", "15s"]


def test_a_number_of_any_size_is_taken() -> None:
    told = Story(when=AVG).event("m", "0s", v=10**30).event("m", "1m", v=-(10**30)).event("m", "2m", v=2**63)
    assert told.times == ["0s", "1m!", "2m"]


def test_an_event_without_the_value_is_no_match_and_a_text_an_error() -> None:
    told = Story(when=AVG).event("m", "0s").event("m", "1s", v="9").event("m", "2s", v=True)
    assert told.outcomes == ["no_match", "condition_error", "condition_error"]


def test_a_late_value_does_not_count() -> None:
    told = Story(when=AVG).event("m", "0s", v=9, arrives="10m6s")
    assert (told.times, told.outcomes) == ([], ["late"])


def test_keys_have_windows_of_their_own() -> None:
    told = Story(when={**AVG, "for_each": "data.k"}).event("m", "0s", v=9, k="a").event("m", "1s", v=1, k="b")
    assert told.fired == [("0s", "a", ["e1"])]


@pytest.mark.parametrize(
    "wrong", [{"above": None}, {"value": None}, {"aggregate": "median"}, {"above": 1, "below": 2}]
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        automation(when={**AVG, **wrong})


@pytest.mark.parametrize(("name", "rank"), [("p50", 50), ("p95", 95), ("p99", 99)])
def test_a_percentile_is_the_value_at_its_nearest_rank(name: str, rank: int) -> None:
    when = {
        "event": "x", "value": "data.n", "aggregate": name, "over": "1h", "above": rank - 0.5, "min_events": 100,
    }  # fmt: skip
    story = Story(when=when)
    for number in range(1, 101):
        story.event("x", f"{number}s", n=number)
    assert story.last.firing is not None
    assert story.last.firing.value == rank
