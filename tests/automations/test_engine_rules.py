"""Many rules at once: the index finds the right ones, and nobody disturbs anybody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine_story import START, Story, automation, resource
from tocsin_automations.engine import Rules, initial_state, step
from tocsin_automations.memory import Remembered
from tocsin_automations.selector import key_text, key_values
from tocsin_events.view import EventView

VALUES = ["a", "b", 1, 1.0, 2, True, False, None, [1], {"a": 1}]
WHERES = [
    'data.v == "a"', "data.v == 1", "data.v == 1.0", "data.v == true", "data.v == null", 'data.v in ["a", 2]',
    'data.v == "a" && data.w == 1', 'data.w in [1, 2] && data.v != "b"', "data.v.x == 1", 'deployment.name == "d"', "true",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(VALUES), st.sampled_from(VALUES)), max_size=6))
def test_the_index_finds_exactly_what_the_conditions_say(pairs: list[tuple[object, object]]) -> None:
    automations = [automation(f"r{n}", when={"event": "x", "where": where}) for n, where in enumerate(WHERES)]
    together = Rules.build(automations, 1, START)
    apart = [Rules.build([one], 1, START) for one in automations]
    for number, (v, w) in enumerate(pairs):
        view = EventView(id=f"e{number}", type="x", source="s", time=START, received=START, sequence=number + 1,
                         data={"v": v, "w": w})  # fmt: skip
        expected = set()
        for rules in apart:
            selector = rules.parts[0].selectors[0]
            assert selector.where is not None
            answer = selector.where.matches(view)
            if answer is True or type(answer).__name__ == "Fault":
                expected.add((rules.rules[0].name, "fired" if answer is True else "condition_error"))
        decided = step(together, initial_state(together, START), view)[1]
        assert {(one.automation, one.outcome.value) for one in decided} == expected


def test_the_index_leaves_out_what_cannot_match() -> None:
    wheres = [f'data.v == {number} && data.w != "b"' for number in range(10)] + [
        'data.w in ["a", "c"]',
        "data.v > 3",
    ]
    rules = Rules.build(
        [automation(f"r{n}", when={"event": "x", "where": where}) for n, where in enumerate(wheres)], 1, START
    )
    view = EventView(
        id="e", type="x", source="s", time=START, received=START, sequence=1, data={"v": 7, "w": "b"}
    )
    asked = {rules.owners[number].name for number, _ in rules.index.of_type("x").candidates(view)}
    assert asked == {"r7", "r11"}


def test_rules_that_the_index_skips_are_counted_all_the_same() -> None:
    story = Story(*[automation(f"r{n}", when={"event": "x", "where": f"data.v == {n}"}) for n in range(3)])
    story.event("x", "1s", v=1).event("x", "2s", v=1).event("x", "3s", v=7)
    assert story.state.take_counters() == {
        ("r0", "when", "no_match", "data.v == 0"): 3,
        ("r1", "when", "fired", ""): 2,
        ("r1", "when", "no_match", "data.v == 1"): 1,
        ("r2", "when", "no_match", "data.v == 2"): 3,
    }


def test_an_error_in_one_rule_does_not_touch_another() -> None:
    bad = automation("bad", when={"event": "x", "where": "1 / data.zero > 0"})
    story = Story(bad, automation("good", when={"event": "x"})).event("x", "1s", zero=0)
    assert [(one.automation, one.outcome.value) for one in story.decisions] == [
        ("bad", "condition_error"),
        ("good", "fired"),
    ]


def test_hostile_numbers_disturb_nothing() -> None:
    story = Story(when={"event": "m", "value": "data.v", "aggregate": "sum", "over": "1h", "above": 5})
    story.event("m", "0s", v=3).event("m", "1s", v=10**400).event("m", "2s", v=3)
    assert story.outcomes == ["pending", "condition_error", "fired"]


def test_the_number_of_keys_is_capped_and_the_oldest_goes_with_a_decision() -> None:
    rules = Rules.build(
        [automation(when={"event": "x", "count": 2, "within": "1h", "for_each": "data.k"})],
        1,
        START,
        most_keys=3,
    )
    state, decided = initial_state(rules, START), []
    for number in range(5):
        view = EventView(
            id=f"e{number}",
            type="x",
            source="s",
            time=START,
            received=START,
            sequence=number + 1,
            data={"k": number},
        )
        state, decisions = step(rules, state, view)
        decided += decisions
    dropped = [one for one in decided if one.outcome.value == "condition_error"]
    assert [one.key for one in dropped] == [(0,), (1,)]
    assert "3 keys" in dropped[0].reason
    assert len(state.slots[0]) == 3


def test_an_oversized_key_is_refused() -> None:
    story = Story(when={"event": "x", "for_each": "data.k"}).event("x", "0s", k="y" * 5000)
    assert story.outcomes == ["condition_error"]


def test_two_automations_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two automations"):
        Rules.build([automation(when={"event": "x"}), automation(when={"event": "y"})], 1, START)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(), st.lists, max_leaves=5
    )
)
def test_keys_survive_their_text(value: object) -> None:
    assert key_values(key_text([value])) == (value,)


def test_a_firing_knows_what_it_no_longer_has() -> None:
    story = Story(when={"event": "x", "count": 2, "within": "1h"}).event("x", "0s")
    story.state.views._young.clear()
    firing = story.event("x", "1s", about="flow/f").last.firing
    assert firing is not None
    assert (firing.sequences, firing.missing) == ((1, 2), (1,))
    assert [view.id for view in firing.with_events({1: story.views[0]}).events] == ["e1", "e2"]


def test_a_firing_has_the_events_of_its_window_with_all_that_they_said() -> None:
    story = Story(when={"event": "x", "count": 3, "within": "1h"})
    for second in (1, 2, 3):
        story.event(
            "x", f"{second}s", about="flow/f", related=[resource("deployment/d", env="prod")], n=second
        )
    firing = story.last.firing
    assert firing is not None
    assert firing.missing == ()
    assert firing.event is firing.events[-1]
    for got, view in zip(firing.events, story.views, strict=True):
        assert {name: getattr(got, name) for name in EventView.__slots__ if name != "_names"} == {
            name: getattr(view, name) for name in EventView.__slots__ if name != "_names"
        }
        assert got.resolve("deployment") == view.resolve("deployment")


def test_a_remembered_event_has_no_more_attributes_than_another() -> None:
    view = Story(when={"event": "x"}).event("x", "1s").views[0]
    assert view.body is not None
    assert not hasattr(Remembered(view.body, view.received, view.sequence), "anything")


def test_a_firing_carries_the_tree_with_its_values() -> None:
    when = {"event": "x", "where": 'deployment.name == "d" && data.n > 1', "count": 2, "within": "1h"}
    story = Story(when=when)
    for second in (1, 2):
        story.event("x", f"{second}s", related=[resource("deployment/d")], n=5)
    assert story.last.firing is not None
    tree = story.last.firing.tree
    assert (tree["kind"], tree["conditions"][0]["passes"]) == ("threshold", True)
    assert tree["conditions"][0]["where"]["parts"][1]["operands"][0]["value"] == 5
    assert story.last.firing.reason == "2 events within 1h"


def test_an_event_that_is_odd_inside_is_an_error_only_of_those_who_look() -> None:
    looks = automation("a", when={"event": "x", "where": 'flow.name == "f"'})
    rules = Rules.build([looks, automation("b", when={"event": "x"})], 1, START)
    odd = {"kind": 5, "id": "f", "name": "f", "labels": {}, "tags": []}
    view = EventView(id="e", type="x", source="s", time=START, received=START, sequence=1, related=[odd])
    decisions = step(rules, initial_state(rules, START), view)[1]
    assert [(one.automation, one.outcome.value) for one in decisions] == [
        ("a", "condition_error"),
        ("b", "fired"),
    ]


def test_a_held_event_with_a_huge_number_survives_a_restart() -> None:
    story = Story(when={"missing": "b", "after": "a", "within": "10m"})
    story.event("a", "0s", about="order/1", follows="lost", n=10**30).until("1h")
    assert story.times == ["10m5s"]
