"""New revisions: what did not change keeps its windows; what did is as if it had always been there."""

from engine_story import Story, automation

THREE = {"event": "x", "count": 3, "within": "10m"}


def test_editing_a_description_an_action_or_the_grace_loses_no_window() -> None:
    story = Story(automation(when=THREE)).event("x", "0s").event("x", "1m")
    story.apply(automation(when=THREE, description="better", then=[{"notify": "a"}], grace="10s")).event(
        "x", "2m"
    )
    assert story.fired == [("2m", ["e1", "e2", "e3"])]


def test_other_rules_coming_and_going_disturb_nothing() -> None:
    mine, other = (
        automation("mine", when={"missing": "b", "after": "a", "within": "10m"}),
        automation("a", when=THREE),
    )
    story = (
        Story(mine)
        .event("a", "0s")
        .apply(other, mine)
        .event("b", "9m")
        .event("a", "10m")
        .apply(mine)
        .until("1h")
    )
    assert story.times == ["20m5s"]


def test_a_changed_trigger_is_warmed_up_with_history() -> None:
    story = Story(automation(when=THREE)).event("x", "0s").event("x", "1m")
    story.apply(automation(when={**THREE, "within": "20m"}), warm=True).event("x", "15m")
    assert story.fired == [("15m", ["e1", "e2", "e3"])]


def test_a_new_rule_does_not_fire_for_what_lies_before() -> None:
    story = Story(automation("other", when={"event": "y"}))
    for minute in range(4):
        story.event("x", f"{minute}m")
    story.apply(automation(when=THREE), warm=True)
    assert story.fired == []
    # Three of the four are used up, as they would have been.
    assert story.event("x", "4m").fired == []
    assert story.event("x", "5m").fired == [("5m", ["e4", "e5", "e6"])]


def test_a_deadline_that_runs_when_the_rule_is_applied_fires_at_its_time() -> None:
    story = Story(automation("other", when={"event": "y"})).event("a", "0s")
    story.until("3m").apply(
        automation(when={"missing": "b", "after": "a", "within": "10m"}), warm=True
    ).until("1h")
    assert story.fired == [("10m5s", ["e1"])]


def test_one_that_passed_before_is_not_made_up_for() -> None:
    story = Story(automation("other", when={"event": "y"})).event("a", "0s").until("30m")
    story.apply(automation(when={"missing": "b", "after": "a", "within": "10m"}), warm=True).until("1h")
    assert story.fired == []


def test_a_duplicate_of_what_warmed_a_rule_up_is_a_duplicate() -> None:
    story = Story(automation("other", when={"event": "y"})).event("x", "0s", id="1").event("x", "1m", id="2")
    story.apply(automation(when=THREE), warm=True).event("x", "1m", id="2", arrives="2m")
    assert story.outcomes == ["duplicate"]


def test_an_aggregate_that_was_outside_already_is_no_edge() -> None:
    when = {"event": "m", "value": "data.v", "aggregate": "avg", "over": "1h", "above": 5}
    story = Story(automation("other", when={"event": "y"})).event("m", "0s", v=9)
    assert story.apply(automation(when=when), warm=True).event("m", "1m", v=9).times == []


def test_silence_and_schedules_that_count_from_application_do() -> None:
    story = Story(automation("other", when={"event": "y"})).event("hb", "0s").until("3m")
    silence = automation("silence", when={"missing": "hb", "within": "10m", "arm": "always"})
    story.apply(silence, automation("clock", when={"schedule": {"every": "7m"}}), warm=True).until("14m")
    assert story.times == ["10m", "13m5s"]


def test_alerts_and_cooldowns_belong_to_the_name() -> None:
    rule = {"until": {"event": "ok"}, "limits": {"cooldown": "1h"}}
    story = Story(automation(when={"event": "x"}, **rule)).event("x", "0s")
    story.apply(automation(when={"event": ["x", "y"]}, **rule)).event("y", "1m").event("ok", "2m")
    assert story.times == ["0s", "2m!"]
    assert story.outcomes == ["fired", "cooldown"]


def test_a_changed_until_starts_empty_for_the_alerts_that_are_open() -> None:
    story = Story(automation(when={"event": "x"}, until={"event": "ok"})).event("x", "0s")
    story.apply(automation(when={"event": "x"}, until={"schedule": {"every": "10m"}})).until("1h")
    assert story.times == ["0s", "10m!"]


def test_a_paused_rule_goes_on_watching_and_fires_only_when_resumed() -> None:
    rule = automation(when=THREE)
    paused = rule.model_copy(update={"enabled": False})
    story = Story(rule).event("x", "0s").apply(paused).event("x", "1m").apply(rule).event("x", "2m")
    assert story.fired == [("2m", ["e1", "e2", "e3"])]
    story.apply(paused)
    for minute in (3, 4, 5):
        story.event("x", f"{minute}m")
    assert story.outcomes[-1] == "paused"


def test_ids_of_firings_do_not_depend_on_the_revision() -> None:
    rule = automation(when={"event": "x"})
    plain, edited = Story(rule).event("x", "0s"), Story(rule).apply(rule).event("x", "0s")
    assert plain.ids() == edited.ids()
