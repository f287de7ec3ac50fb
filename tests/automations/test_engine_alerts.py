"""Alerts: opened by firings, closed by `until`, by the natural opposite, or withdrawn."""

import pytest
from pydantic import ValidationError

from engine_story import Story, automation

FAIL = {"when": {"event": "run.failed", "for_each": "data.flow"}, "until": {"event": "run.completed"}}


def alerts(story: Story) -> list[tuple[str, int] | None]:
    return [
        None if one.firing.alert is None else (one.firing.state, one.firing.alert.count)
        for one in story.decisions
        if one.firing is not None
    ]


def test_a_further_firing_updates_the_alert_and_is_a_firing_all_the_same() -> None:
    story = Story(**FAIL).event("run.failed", "0s", flow="a").event("run.failed", "1m", flow="a")
    assert story.times == ["0s", "1m"]
    assert alerts(story) == [("firing", 1), ("firing", 2)]
    story.event("run.completed", "2m", flow="b").event("run.completed", "3m", flow="a").event(
        "run.completed", "4m", flow="a"
    )
    assert story.fired[2:] == [("3m", "resolved", "a", ["e4"])]
    assert len({one.firing.alert.id for one in story.decisions if one.firing and one.firing.alert}) == 1


def test_each_key_has_an_alert_of_its_own_and_a_new_one_after_the_end() -> None:
    story = Story(**FAIL).event("run.failed", "0s", flow="a").event("run.failed", "0s", flow="b")
    story.event("run.completed", "1m", flow="a").event("run.failed", "2m", flow="a")
    ids = [one.firing.alert.id for one in story.decisions if one.firing and one.firing.alert]
    assert len(set(ids)) == 3


def test_without_until_there_is_no_alert() -> None:
    assert alerts(Story(when={"event": "x"}).event("x", "0s")) == [None]


def test_until_may_have_its_own_key() -> None:
    rule = {**FAIL, "until": {"event": "run.completed", "for_each": "data.name"}}
    story = Story(**rule).event("run.failed", "0s", flow="a").event("run.completed", "1m", name="a")
    assert story.times == ["0s", "1m!"]
    with pytest.raises(ValidationError, match="as many"):
        automation(**{**FAIL, "until": {"event": "run.completed", "for_each": ["data.a", "data.b"]}})


def test_until_starts_empty_at_each_opening_and_sees_only_later_events() -> None:
    rule = {**FAIL, "until": {"event": "run.completed", "count": 2, "within": "1h"}}
    story = Story(**rule).event("run.completed", "0s", flow="a").event("run.failed", "1m", flow="a")
    story.event("run.completed", "2m", flow="a")
    assert story.times == ["1m"]
    assert story.event("run.completed", "3m", flow="a").times == ["1m", "3m!"]
    story.event("run.completed", "4m", flow="a").event("run.failed", "5m", flow="a").event(
        "run.completed", "6m", flow="a"
    )
    assert story.times == ["1m", "3m!", "5m"]


def test_an_event_that_is_both_ends_the_old_alert_and_opens_a_new_one() -> None:
    story = Story(when={"event": "x"}, until={"event": "x"}).event("x", "0s").event("x", "1m")
    assert story.times == ["0s", "1m!", "1m"]


def test_until_may_be_a_silence_or_a_schedule_that_counts_from_the_opening() -> None:
    rule = {"when": {"event": "x"}, "until": {"missing": "x", "within": "10m", "arm": "always"}}
    assert Story(**rule).event("x", "5m").event("x", "8m").until("1h").times == ["5m", "8m", "18m5s!"]
    assert Story(when={"event": "x"}, until={"schedule": {"every": "10m"}}).event("x", "5m").until(
        "1h"
    ).times == ["5m", "15m!"]


def test_until_never_turns_the_natural_opposite_off() -> None:
    story = (
        Story(when={"missing": "b", "after": "a", "within": "10m"}, until="never")
        .event("a", "0s")
        .event("b", "1h")
    )
    assert (story.times, alerts(story)) == (["10m5s"], [None])


def test_an_until_of_its_own_replaces_the_natural_opposite() -> None:
    story = Story(when={"missing": "b", "after": "a", "within": "10m"}, until={"event": "ok"}).event(
        "a", "0s"
    )
    assert story.event("b", "1h").event("ok", "2h").times == ["10m5s", "2h!"]


def test_pausing_removing_or_dropping_until_withdraws_the_alert() -> None:
    for after in ([], [automation(**FAIL, enabled=False)], [automation(when=FAIL["when"])]):
        story = Story(**FAIL).event("run.failed", "0s", flow="a").apply(*after)
        assert story.times == ["0s", "0s!"]
        assert story.last.firing is not None
        assert story.last.firing.reason == "withdrawn"


def test_then_resolve_needs_an_end() -> None:
    with pytest.raises(ValidationError, match="until"):
        automation(when={"event": "x"}, then_resolve=[{"notify": "a"}])
    assert automation(when={"missing": "x", "within": "1m"}, then_resolve=[{"notify": "a"}]).then_resolve


def test_the_resolution_tells_which_event_closed_it_and_how_often_it_fired() -> None:
    story = Story(**FAIL).event("run.failed", "0s", flow="a").event("run.failed", "1m", flow="a")
    firing = story.event("run.completed", "2m", flow="a").last.firing
    assert firing is not None
    assert firing.event is not None
    assert (firing.event.id, firing.count, firing.alert and firing.alert.count) == ("e3", 2, 2)
    assert story.last.part == "until"


def test_a_decision_about_the_end_of_an_alert_that_is_not_open_is_no_match() -> None:
    story = Story(**FAIL).event("run.completed", "0s", flow="a")
    assert story.state.take_counters() == {("rule", "until", "no_match", "no alert is open"): 1}
