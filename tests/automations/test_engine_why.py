"""`why` and replay: the engine asked again over stored events."""

from engine_story import START, Story, automation
from tocsin_automations.engine import Rules, initial_state
from tocsin_automations.replay import play, replay, why


def asked(story: Story, name: str = "rule") -> list[str]:
    """Ask why about the last event of a story."""
    rules = Rules.build(story.automations, 1, START)
    state = play(rules, initial_state(rules, START), story.views[:-1])
    return why(rules, state, story.views[-1], name)[1].lines()


def test_it_says_which_condition_failed_and_with_which_value() -> None:
    story = Story(when={"event": "x", "where": "data.rows > 3 && data.ok"}).event("x", "1s", rows=2, ok=True)
    told = "\n".join(asked(story))
    assert told.startswith("when: no_match (data.rows > 3)")
    assert "data.rows > 3 is false: data.rows is 2" in told
    assert "data.ok is true" in told


def test_it_says_how_far_a_window_was() -> None:
    story = Story(when={"event": "x", "count": 3, "within": "10m"}).event("x", "0s").event("x", "1m")
    told = asked(story)
    assert told[0] == "when: pending (2 of 3, until 2026-01-01T00:10:00Z)"
    assert "have 1, need 3" in told[1]


def test_only_steps_in_order_count_as_progress_of_a_sequence() -> None:
    when = {"sequence": [{"event": "a"}, {"event": "b"}, {"event": "a"}], "within": "10m"}
    story = Story(when=when).event("b", "0s").event("a", "1m")
    assert asked(story)[0] == "when: pending (1 of 3, until 2026-01-01T00:11:00Z)"
    assert asked(story.event("b", "2m"))[0].startswith("when: pending (2 of 3,")


def test_it_shows_the_whole_tree_of_a_composite() -> None:
    when = {"all": [{"event": "a", "where": "data.v > 1"}, {"event": "b"}], "within": "10m"}
    story = Story(when=when).event("b", "0s").event("a", "1s", v=0)
    rules = Rules.build(story.automations, 1, START)
    _, told = why(rules, play(rules, initial_state(rules, START), story.views[:-1]), story.views[-1], "rule")
    tree = told.to_json()["parts"][0]["tree"]
    assert [child["kind"] for child in tree["children"]] == ["event", "event"]
    assert tree["children"][0]["conditions"][0]["passes"] is False
    assert tree["children"][1]["conditions"] == []


def test_it_says_that_the_automation_does_not_listen() -> None:
    assert asked(Story(when={"event": "x"}).event("y", "0s")) == ["rule does not listen to y"]


def test_both_parts_have_their_decision() -> None:
    story = Story(when={"event": "x"}, until={"event": ["x", "ok"]}).event("x", "0s")
    rules = Rules.build(story.automations, 1, START)
    _, told = why(rules, initial_state(rules, START), story.views[0], "rule")
    assert [(part.role, part.outcome.value, part.reason) for part in told.parts] == [
        ("until", "no_match", "no alert is open"), ("when", "fired", "fired")
    ]  # fmt: skip


def test_replay_equals_life() -> None:
    rules = [
        automation("silence", when={"missing": "a", "within": "10m"}),
        automation("three", when={"event": ">", "count": 3, "within": "10m"}, limits={"cooldown": "15m"}),
        automation("clock", when={"schedule": {"every": "7m"}}),
    ]
    story = Story(*rules)
    for minute in (1, 2, 3, 9, 25, 26, 27, 50):
        story.event("ab"[minute % 2], f"{minute}m")
    story.until("2h")
    again = replay(Rules.build(rules, 1, START), story.views, start=START, until=story.state.now)
    assert [one.firing.id for one in again if one.firing is not None] == story.ids()
