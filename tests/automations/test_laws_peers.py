"""The mistakes of other engines, each with a story in which ours must not make it.

A `Story` is told twice, the second time by an engine that is restarted after every message.
"""

from typing import Any

import pytest

from engine_story import Story, automation

FAILED = {"event": "flow-run.failed", "for_each": "data.flow"}


def test_windows_slide_and_do_not_tumble() -> None:
    story = Story(when={**FAILED, "count": 3, "within": "10m"})
    for at in ("9m", "11m", "18m"):  # on both sides of any fixed ten minutes
        story.event("flow-run.failed", at, flow="etl")
    assert story.fired == [("18m", "etl", ["e1", "e2", "e3"])]


@pytest.mark.parametrize("offset", range(10))
def test_three_within_a_window_fire_wherever_they_begin(offset: int) -> None:
    story = Story(when={**FAILED, "count": 3, "within": "10m"})
    for minute in (0, 5, 10):
        story.event("flow-run.failed", f"{offset + minute}m", flow="etl")
    assert story.times == [f"{offset + 10}m"]


def test_an_alarm_is_not_lost_when_the_service_was_down_at_the_deadline() -> None:
    story = Story(when={"missing": "order.confirmed", "after": "order.placed", "within": "10m"}, grace="0s")
    story.event("order.placed", "0s").event("order.confirmed", "3h")  # nothing in between: it was down
    assert story.fired[:2] == [("10m", ["e1"]), ("3h", "resolved", ["e2"])]


def test_a_deadline_that_passed_while_down_fires_before_anything_newer() -> None:
    first = automation("deadline", when={"missing": "load.done", "by": {"cron": "0 6 * * *"}, "within": "6h"})
    story = Story(first, automation("other", when={"event": "load.done"}))
    story.event("load.done", "9h")
    assert [(one.automation, one.firing.state) for one in story.decisions if one.firing is not None] == [
        ("deadline", "firing"),
        ("deadline", "resolved"),
        ("other", "firing"),
    ]


def test_silence_is_noticed_after_its_period_and_not_after_three() -> None:
    story = Story(when={"missing": "hb", "within": "1m"}, grace="0s").event("hb", "30s").jump("1h")
    assert story.fired == [("1m30s", ["e1"])]


def test_a_sequence_goes_by_the_time_of_the_events_and_not_of_the_evaluator() -> None:
    def steps() -> Story:
        return Story(when={"sequence": [{"event": "a"}, {"event": "b"}], "within": "1m"})

    assert steps().event("b", "10s").event("a", "5s", arrives="11s").fired == [("11s", ["e2", "e1"])]
    assert steps().event("a", "10s").event("b", "5s", arrives="11s").until("1h").fired == []


@pytest.mark.parametrize(
    "composite",
    [
        {"all": [{"event": "a"}, {"event": "b"}]},
        {"sequence": [{"event": "a"}, {"event": "b"}]},
        {"at_least": 2, "of": [{"event": "a"}, {"event": "b"}, {"event": "c"}]},
    ],
    ids=["all", "sequence", "at_least"],
)
def test_composites_do_not_mix_keys(composite: dict[str, Any]) -> None:
    story = Story(when={**composite, "within": "1h", "for_each": "data.order"})
    story.event("a", "1m", order=1).event("b", "2m", order=2)
    assert story.fired == []
    assert story.event("b", "3m", order=1).fired == [("3m", 1, ["e1", "e3"])]


def test_one_event_does_not_satisfy_two_identical_steps() -> None:
    story = Story(when={"sequence": [{"event": "a"}, {"event": "a"}], "within": "1h"}).event("a", "1m")
    assert story.fired == []
    assert story.event("a", "1m").fired == [("1m", ["e1", "e2"])]  # two events at one instant are two


@pytest.mark.parametrize(
    ("when", "before", "after", "at"),
    [
        ({"event": "a", "count": 3, "within": "1h"}, ["a", "a"], ["a"], "30m"),
        ({"missing": "b", "after": "a", "within": "40m"}, ["a"], [], "41m5s"),
        ({"missing": "a", "within": "40m"}, ["a"], [], "41m5s"),
        ({"event": "a", "aggregate": "count", "over": "1h", "above": 2}, ["a", "a"], ["a"], "30m"),
        ({"sequence": [{"event": "a"}, {"event": "b"}], "within": "1h"}, ["a"], ["b"], "30m"),
        ({"all": [{"event": "a"}, {"event": "b"}], "within": "1h"}, ["a"], ["b"], "30m"),
    ],
    ids=["threshold", "absence", "silence", "aggregate", "sequence", "all"],
)
def test_editing_a_description_loses_no_state(
    when: dict[str, Any], before: list[str], after: list[str], at: str
) -> None:
    story = Story(automation(when=when))
    for type_ in before:
        story.event(type_, "1m")
    story.apply(automation(when=when, description="edited", labels={"team": "data"}))
    for type_ in after:
        story.event(type_, "30m")
    assert story.until("45m").times[:1] == [at]


def test_editing_a_description_keeps_the_alert_open() -> None:
    written: dict[str, Any] = {"when": {"event": "a"}, "until": {"event": "b"}}
    story = Story(automation(**written)).event("a", "1m")
    story.apply(automation(**written, description="edited")).event("b", "2m")
    assert story.times == ["1m", "2m!"]


def test_an_error_is_told_also_where_another_condition_of_the_rule_just_does_not_hold() -> None:
    plain, wrong = {"event": "a", "where": "data.n == 1"}, {"event": "a", "where": "1 / data.n > 0"}
    for children in ([plain, wrong], [wrong, plain]):
        story = Story(when={"any": children}).event("a", "1m", n=0)
        assert story.outcomes == ["condition_error"]


def test_an_error_in_one_rule_does_not_make_another_fire_twice() -> None:
    good = automation("good", when={"event": "a"})
    bad = automation("bad", when={"event": "a", "where": "1 / data.zero > 0"})
    story = Story(bad, good).event("a", "1m", zero=0).event("a", "1m", id="e1", zero=0).until("1h")
    of_good = [one.outcome.value for one in story.decisions if one.automation == "good"]
    assert of_good == ["fired", "duplicate"]
    assert [one.outcome.value for one in story.decisions if one.automation == "bad"] == [
        "condition_error",
        "duplicate",
    ]
