"""The engine against the oracle: random rules over random histories give the same firings."""

import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, currently_in_test_context, given, note, settings
from hypothesis import strategies as st

from oracle import tell
from oracle.drawing import (
    START,
    History,
    Spec,
    absences,
    aggregates,
    alls,
    anys,
    at_leasts,
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
    view,
)
from oracle.engine import live, messages, told
from oracle.matter import SECOND

EXAMPLES = int(os.environ.get("TOCSIN_ORACLE_EXAMPLES", "0"))


def quick(examples: int) -> Any:
    return settings(
        max_examples=EXAMPLES or examples,
        deadline=None,
        derandomize=not EXAMPLES,
        suppress_health_check=[HealthCheck.too_slow],
        database=None,
    )


def agree(rule: Spec, history: History, grid: int = 0, *, bare: bool = False) -> None:
    seen = messages(history.views, history.ticks, history.end)
    got = told(live(rule, seen, START), history.ids, bare=bare)
    expected = tell(rule, history.views, applied=START, end=history.end, grid=grid or history.unit)
    if bare:
        expected = sorted(replace(one, events=()) for one in expected)
    if currently_in_test_context():
        note(f"{rule}\n{history!r}")
        for who, all_told in (("oracle", expected), ("engine", got)):
            for one in all_told:
                at = (one.at - START) / history.unit
                note(f"{who} {at} {one.key} {one.state} {one.events} {one.suppressed}")
    assert got == expected


GRACE = st.sampled_from(["0s", "1s", "3s"])


@st.composite
def cases(
    draw: st.DrawFn,
    triggers: Any,
    *,
    ordered: bool = False,
    follows: bool = False,
    late: int | None = None,
    **rule: Any,
) -> tuple[Spec, History]:
    drawn = draw(ruled(triggers, grace=GRACE, **rule))
    grace = int(drawn["grace"][:-1])
    delay = 0 if ordered else grace if late is None else late
    future, most = 0 if ordered else grace, 8 if follows else 12
    return drawn, draw(histories(delay=delay, future=future, ordered=ordered, follows=follows, most=most))


LEAVES = event_triggers | thresholds
NATURAL = absences | silences
UNTILS = st.sampled_from([None, None, "never"]) | LEAVES


@quick(60)
@given(cases(keyed(LEAVES) | NATURAL, until=UNTILS, limits=limits))
def test_simple_triggers(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(keyed(NATURAL), until=UNTILS))
def test_simple_timers_by_key(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(40)
@given(cases(lastings, until=UNTILS))
def test_lasting_states(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(keyed(sequences(event_triggers)), until=UNTILS, limits=limits))
def test_sequences(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(keyed(alls(event_triggers) | at_leasts(event_triggers) | anys(event_triggers)), until=UNTILS))
def test_compounds(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(keyed(composites(LEAVES | NATURAL | composites(event_triggers)))))
def test_nested_triggers(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(keyed(LEAVES | composites(LEAVES | composites(event_triggers))), late=12))
def test_events_that_come_much_too_late(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(keyed(NATURAL), until=UNTILS, follows=True))
def test_timers_over_events_that_overtook_what_they_follow(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(lastings, until=UNTILS, follows=True))
def test_lasting_states_over_events_that_overtook_what_they_follow(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(keyed(composites(LEAVES | NATURAL)), follows=True))
def test_composites_over_events_that_overtook_what_they_follow(case: tuple[Spec, History]) -> None:
    agree(*case)


@quick(60)
@given(cases(keyed(aggregates), ordered=True))
def test_aggregates(case: tuple[Spec, History]) -> None:
    agree(*case, grid=250_000, bare=True)


def test_an_aggregate_that_went_back_and_beyond_within_the_grace_resolves_in_between() -> None:
    when = {"event": "t.a", "aggregate": "count", "over": "2s500ms", "for": "2s250ms", "above": 0}
    views = (view(1, "t.a", 1), view(2, "t.a", 4))
    agree({"when": when, "grace": "1s"}, History(views, (), START + 20 * SECOND), 250_000, bare=True)


def test_an_entry_that_lies_within_a_stay_that_fired_and_is_over_does_not_fire_again() -> None:
    views = (view(1, "t.c", 1), view(2, "t.a", 8), view(3, "t.c", 6, arrives=9))
    agree({"when": {"event": "t.c", "for": "1s"}, "grace": "3s"}, History(views, (), START + 50 * SECOND))


def test_an_event_of_one_resource_does_not_decide_about_another_for_which_one_waits() -> None:
    views = (
        view(1, "t.c", 4),
        view(2, "t.a", 2, arrives=5, thing="r2"),
        view(3, "t.a", 4, arrives=6),
        view(4, "t.a", 6),
    )
    views[1].follows = views[2].follows = "lost"
    agree({"when": {"event": "t.c", "for": "1s"}, "grace": "3s"}, History(views, (), START + 50 * SECOND))


@pytest.mark.soak
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("triggers", "limited"),
    [
        (keyed(LEAVES) | NATURAL, True),
        (keyed(NATURAL), False),
        (lastings, False),
        (keyed(sequences(event_triggers)), True),
        (keyed(alls(event_triggers) | at_leasts(event_triggers) | anys(event_triggers)), True),
        (keyed(composites(LEAVES | NATURAL | composites(event_triggers))), False),
    ],
    ids=["simple", "timers", "lasting", "sequences", "compounds", "nested"],
)
def test_many_more(triggers: st.SearchStrategy[Spec], limited: bool) -> None:
    # Firings of one instant have no order: a limit over several keys may hold back either where timers make them.
    @settings(
        deadline=None, max_examples=EXAMPLES or 1_000, suppress_health_check=list(HealthCheck), database=None
    )
    @given(cases(triggers, until=UNTILS, limits=limits if limited else None))
    def holds(case: tuple[Spec, History]) -> None:
        agree(*case)

    holds()
