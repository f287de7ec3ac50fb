"""Laws of the engine that hold for all rules and all histories."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.drawing import (
    START,
    History,
    Spec,
    absences,
    aggregates,
    composites,
    event_triggers,
    histories,
    keyed,
    lastings,
    limits,
    ruled,
    sequences,
    silences,
    thresholds,
)
from oracle.engine import Life, live, messages, plain, rules_of
from strategies import json_values
from tocsin_automations.decision import Decision
from tocsin_automations.engine import State, Tick, initial_state, next_due, step, switch, warm_up
from tocsin_automations.replay import replay
from tocsin_events.view import EventView, InvalidEvent

UNTILS = st.sampled_from([None, None, "never"]) | event_triggers | absences
TRIGGERS = st.one_of(
    keyed(event_triggers),
    keyed(thresholds),
    lastings,
    keyed(absences),
    keyed(silences),
    keyed(aggregates),
    keyed(sequences(event_triggers)),
    keyed(composites(event_triggers | thresholds | absences | silences)),
)
RULES = ruled(TRIGGERS, grace=st.sampled_from(["0s", "2s"]), until=UNTILS, limits=limits)
WILD = histories(delay=15, future=10, most=15)
"""Histories that no order holds together: very late, early, doubled."""


def law(examples: int) -> Any:
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )


def seen_in(history: History) -> list[EventView | Tick]:
    return messages(history.views, history.ticks, history.end)


def fired(decisions: list[Decision]) -> list[tuple[Any, ...]]:
    return [
        (one.firing.id, one.firing.at, one.firing.state, one.firing.key, one.firing.sequences)
        for one in decisions
        if one.firing is not None
    ]


@law(80)
@given(RULES, WILD)
def test_a_restart_at_every_point_changes_nothing(rule: Spec, history: History) -> None:
    seen = seen_in(history)
    assert plain(live(rule, seen, START, restarts=True)) == plain(live(rule, seen, START))


@law(40)
@given(RULES, WILD, st.data())
def test_a_crash_between_checkpoints_repeats_the_same_firings(
    rule: Spec, history: History, data: st.DataObject
) -> None:
    seen = seen_in(history)
    saved, crashed = sorted(data.draw(st.tuples(*[st.integers(0, len(seen))] * 2)))
    life = Life(rules_of({"rule": rule}, START), START)
    for one in seen[:saved]:
        life.step(one)
    life.save()
    for one in seen[saved:crashed]:
        life.step(one)
    before = plain(life.decisions)
    again = Life(life.rules, START)
    again.header, again.entries = life.header, life.entries
    again.state = again.restored()
    for one in seen[saved:]:
        again.step(one)
    whole = plain(live(rule, seen, START))
    assert before == whole[: len(before)]
    assert plain(again.decisions) == whole[len(whole) - len(again.decisions) :]


@law(60)
@given(RULES, WILD)
def test_a_replay_equals_life(rule: Spec, history: History) -> None:
    views = [view for view in history.views if view.received <= history.end]
    rules = rules_of({"rule": rule}, START)
    replayed = list(replay(rules, views, start=START, until=history.end))
    assert plain(replayed) == plain(live(rule, seen_in(history), START))


@law(80)
@given(RULES, WILD, st.lists(st.integers(0, 50_000), max_size=20))
def test_ticks_between_messages_change_nothing(rule: Spec, history: History, more: list[int]) -> None:
    few = live(rule, messages(history.views, (), history.end), START)
    ticks = [START + at * 1_000 for at in more]
    many = live(rule, messages(history.views, ticks, history.end), START)
    assert plain(many) == plain(few)


@law(60)
@given(RULES, WILD)
def test_a_tick_for_each_timer_is_as_good_as_one_for_all(rule: Spec, history: History) -> None:
    life = Life(rules_of({"rule": rule}, START), START)
    for one in messages(history.views, (), history.end):
        arrives = one.at if isinstance(one, Tick) else one.received
        while (due := next_due(life.state)) is not None and due <= arrives:
            life.step(Tick(due))
        life.step(one)
    assert plain(life.decisions) == plain(live(rule, messages(history.views, (), history.end), START))


@law(40)
@given(st.lists(RULES, min_size=2, max_size=4), WILD)
def test_rules_do_not_see_each_other(several: list[Spec], history: History) -> None:
    named = {f"rule-{number}": rule for number, rule in enumerate(several)}
    together = lived(named, history)
    for name, rule in named.items():
        alone = plain(lived({name: rule}, history))
        assert alone == plain([one for one in together if one.automation == name])


def lived(rules: Mapping[str, Spec], history: History) -> list[Decision]:
    life = Life(rules_of(rules, START), START)
    for one in seen_in(history):
        life.step(one)
    return life.decisions


@law(40)
@given(RULES, RULES, RULES, WILD, st.integers(0, 16))
def test_an_unchanged_rule_does_not_notice_a_change_of_others(
    mine: Spec, other: Spec, later: Spec, history: History, place: int
) -> None:
    seen = seen_in(history)
    first = rules_of({"mine": mine, "other": other}, START)
    state, decisions = initial_state(first, START), []
    for one in seen[:place]:
        state, more = step(first, state, one)
        decisions += more
    edited = {"other": later, "mine": {**mine, "description": "edited", "labels": {"team": "data"}}}
    second = rules_of(edited, state.now, revision=1)
    state, more = switch(second, state, state.now)
    decisions += more
    for one in seen[place:]:
        state, more = step(second, state, one)
        decisions += more
    assert fired([one for one in decisions if one.automation == "mine"]) == fired(
        lived({"mine": mine}, history)
    )


UNLIMITED = ruled(TRIGGERS, grace=st.sampled_from(["0s", "2s"]), until=st.just("never"))


@law(60)
@given(UNLIMITED, histories(delay=1, most=15), st.integers(0, 15))
def test_a_new_rule_behaves_as_if_it_had_always_been_there(rule: Spec, history: History, place: int) -> None:
    views = history.views
    whole = live(rule, messages(views, (), history.end), START)
    nothing = rules_of({}, START)
    state = initial_state(nothing, START)
    for view in views[:place]:
        state, _ = step(nothing, state, view)
    now = state.now
    applied = rules_of({"rule": rule}, now)
    state, _ = switch(applied, state, now)
    past = [view for view in views[:place] if view.received >= now - applied.horizon(["rule"])]
    state = warm_up(applied, state, past, ["rule"])
    decisions: list[Decision] = []
    for one in messages(views[place:], (), history.end):
        state, more = step(applied, state, one)
        decisions += more
    before = sum(1 for one in _until(rule, views[:place], now) if one.firing is not None)
    assert [one[1:] for one in fired(decisions)] == [one[1:] for one in fired(whole)[before:]]


def _until(rule: Spec, views: tuple[EventView, ...], now: int) -> list[Decision]:
    return live(rule, [*views, Tick(now)], START)


HOSTILE_KEYS = st.one_of(
    json_values, st.sampled_from(["x" * 10_000, "\ud800", 1e308, -0.0, 2**63, -(2**70), [[[[]]]], {"": {}}])
)
MOMENTS = st.sampled_from(
    [
        "2026-01-01T00:00:01Z",
        "2026-01-01T00:00:05+14:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ]
)
HOSTILE = st.tuples(
    st.fixed_dictionaries(
        {
            "id": st.sampled_from(["e", "\ud800", "x" * 500]) | st.text(min_size=1, max_size=3),
            "type": st.sampled_from(["t.a", "t.b", ".", "t.a.", "t..a", ">", "*", "t.*"]) | st.text(min_size=1, max_size=4),
            "source": st.text(min_size=1, max_size=2),
        },
        optional={
            "time": MOMENTS,
            "subject": st.sampled_from(["thing/r1", "/", "thing/", "\x00"]) | st.text(max_size=3),
            "data": st.fixed_dictionaries({}, optional={"k": HOSTILE_KEYS, "j": HOSTILE_KEYS, "x": json_values})
            | json_values,
            "follows": st.text(max_size=2),
            "cause": st.text(max_size=2),
            "hops": st.integers(0, 1_000_000),
        },
    ),
    st.sampled_from([START, START + 3_000_000, 0, 2**53]),
    st.integers(0, 50),
)  # fmt: skip


@law(60)
@given(st.lists(RULES, min_size=1, max_size=2), st.lists(HOSTILE, max_size=8))
def test_no_event_that_can_be_read_makes_the_engine_raise(
    several: list[Spec], wires: list[tuple[Mapping[str, Any], int, int]]
) -> None:
    life = Life(rules_of({f"rule-{n}": rule for n, rule in enumerate(several)}, START), START)
    for wire, received, sequence in wires:
        body = json.dumps({"specversion": "1.0", **wire}).encode()
        with suppress(InvalidEvent):
            life.step(EventView.decode(body, received=received, sequence=sequence))
        life.restart()
    life.step(Tick(2**53))


BOUNDED = st.one_of(
    keyed(event_triggers), keyed(thresholds), keyed(sequences(event_triggers)), keyed(absences),
    keyed(composites(event_triggers | thresholds | absences)), keyed(aggregates),
)  # fmt: skip


@law(80)
@given(ruled(BOUNDED, grace=st.sampled_from(["0s", "2s"]), until=st.just("never"), limits=limits), WILD)
def test_when_all_windows_have_ended_nothing_is_remembered(rule: Spec, history: History) -> None:
    life = Life(rules_of({"rule": rule}, START), START)
    for one in [*seen_in(history), Tick(history.end + 3_600_000_000)]:
        life.step(one)
    life.save()
    kept = {space for space, _ in life.entries} - {"seen", "trail", "lineage"}
    assert not {space for space in kept if not space.startswith("limits/")}
    assert next_due(life.state) is None


@pytest.mark.parametrize(
    "trigger",
    [
        {"event": "t.a", "count": 3, "within": "1h"},
        {"missing": "t.b", "after": "t.a", "within": "1h"},
        {"missing": "t.a", "within": "1h"},
        {"event": "t.a", "aggregate": "count", "over": "1h", "above": 5},
        {"sequence": [{"event": "t.a"}, {"event": "t.b"}], "within": "1h"},
        {"all": [{"event": "t.a"}, {"event": "t.b"}], "within": "1h"},
    ],
    ids=lambda trigger: next(name for name in trigger if name not in ("event", "within")),
)
def test_a_rule_follows_at_most_so_many_keys(trigger: Spec) -> None:
    rules = rules_of({"rule": {"when": {**trigger, "for_each": "data.k"}}}, START, most_keys=50)
    life = Life(rules, START)
    for number in range(500):
        life.step(
            EventView(
                id=f"e{number}",
                type="t.a",
                source="test",
                time=START,
                received=START,
                sequence=number + 1,
                data={"k": number},
            )
        )
        if number % 100 == 0:
            life.save()
    assert _keys(life.save()) <= 50
    life.restart()
    assert _keys(life.state) <= 50


def _keys(state: State) -> int:
    return sum(len(slots) for slots in state.slots)
