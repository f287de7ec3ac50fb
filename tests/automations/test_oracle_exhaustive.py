"""All small histories: every sequence of few events from a tiny alphabet, at every few places of the grid."""

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, product

import pytest

from oracle import tell
from oracle.drawing import START, Spec, view
from oracle.engine import Life, rules_of, told
from oracle.matter import SECOND
from tocsin_automations.engine import Tick, initial_state
from tocsin_events.view import EventView

WHERE_X = "data.x >= 1"

RULES: dict[str, Spec] = {
    "event": {"event": "t.a"},
    "threshold of two": {"event": "t.a", "count": 2, "within": "2s"},
    "threshold of three": {"event": ["t.a", "t.b"], "count": 3, "within": "3s"},
    "lasting state": {"event": "t.a", "for": "2s"},
    "absence": {"missing": "t.b", "after": "t.a", "within": "2s"},
    "absence that is not restarted": {"missing": "t.b", "after": "t.a", "within": "3s", "restart": False},
    "heartbeat": {"missing": "t.a", "after": "t.a", "within": "2s"},
    "silence": {"missing": "t.a", "within": "2s"},
    "silence from the start": {"missing": "t.a", "within": "3s", "arm": "always"},
    "sequence": {"sequence": [{"event": "t.a"}, {"event": "t.b"}], "within": "2s"},
    "sequence of the same": {"sequence": [{"event": "t.a"}, {"event": "t.a"}, {"event": "t.b"}], "within": "3s"},
    "sequence that overlaps": {"sequence": [{"event": "t.*"}, {"event": "t.b"}, {"event": "t.*"}], "within": "3s"},
    "sequence with an absence": {
        "sequence": [{"missing": "t.b", "after": "t.a", "within": "1s"}, {"event": "t.b"}],
        "within": "3s",
    },
    "all": {"all": [{"event": "t.a"}, {"event": "t.b"}], "within": "1s"},
    "all of what one event gives": {"all": [{"event": "t.a"}, {"event": "t.*"}], "within": "1s"},
    "at least": {
        "at_least": 2,
        "of": [{"event": "t.a"}, {"event": "t.b"}, {"event": "t.b", "count": 2, "within": "2s"}],
        "within": "2s",
    },
    "any": {"any": [{"event": "t.a"}, {"event": "t.*"}, {"event": "t.b", "count": 2, "within": "2s"}]},
    "all of silence and event": {
        "all": [{"missing": "t.a", "within": "1s"}, {"event": "t.b"}],
        "within": "2s",
    },
}  # fmt: skip

COUNTS: dict[str, Spec] = {
    "count above": {"event": "t.*", "aggregate": "count", "over": "1s500ms", "above": 1},
    "count above for a while": {"event": "t.*", "aggregate": "count", "over": "1s500ms", "above": 1, "for": "1s250ms"},
    "count below": {"event": "t.*", "aggregate": "count", "over": "1s500ms", "below": 2},
    "largest of two": {"event": "t.*", "value": "data.x", "aggregate": "max", "over": "1s500ms", "above": 0, "min_events": 2},
    "mean below": {"event": "t.*", "value": "data.x", "aggregate": "avg", "over": "2s500ms", "below": 1},
}  # fmt: skip


def histories(most: int, last: int, delays: Sequence[int] = (0,)) -> Iterator[list[EventView]]:
    """All histories of at most so many events, in the order of their arrival."""
    for size in range(1, most + 1):
        for times in combinations_with_replacement(range(1, last + 1), size):
            for types in product("ab", repeat=size):
                for late in product(delays, repeat=size):
                    made = sorted(zip(times, types, late, strict=True), key=lambda one: one[0] + one[2])
                    yield [
                        view(number, f"t.{type_}", at, arrives=at + delay, x=int(type_ == "b"))
                        for number, (at, type_, delay) in enumerate(made, 1)
                    ]


def differences(
    trigger: Spec, all_histories: Iterator[list[EventView]], grace: int, *, grid: int = SECOND, bare: bool = False
) -> list[str]:  # fmt: skip
    rule = {"when": trigger, "grace": f"{grace}s"}
    end = START + (14 + grace) * SECOND
    rules = rules_of({"rule": rule}, START)
    found: list[str] = []
    for views in all_histories:
        life = Life(rules, START)
        life.state = initial_state(rules, START)
        for one in [*views, Tick(end)]:
            life.step(one)
        got = told(life.decisions, {one.sequence: one.id for one in views}, bare=bare)
        expected = tell(rule, views, applied=START, end=end, grid=grid)
        if bare:
            expected = sorted(type(one)(one.at, one.key, one.state, (), one.suppressed) for one in expected)
        if got != expected:
            shown = [
                ((one.time - START) // SECOND, (one.received - START) // SECOND, one.type) for one in views
            ]
            found.append(f"{shown}\n  engine {got}\n  oracle {expected}")
    return found


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("grace", [0, 2])
def test_every_history_of_three_events(name: str, grace: int) -> None:
    assert differences(RULES[name], histories(3, 4), grace)[:3] == []


@pytest.mark.parametrize("name", RULES)
def test_every_order_of_arrival_of_three_events(name: str) -> None:
    assert differences(RULES[name], histories(3, 3, delays=(0, 1)), 2)[:3] == []


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("grace", [0, 2])
def test_every_history_of_an_aggregate(name: str, grace: int) -> None:
    found = differences(COUNTS[name], histories(3, 4), grace, grid=SECOND // 4, bare=True)
    assert found[:3] == []


@pytest.mark.deep
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("grace", [0, 2])
def test_every_history_of_five_events(name: str, grace: int) -> None:
    assert differences(RULES[name], histories(5, 5), grace)[:3] == []
    assert differences(RULES[name], histories(4, 4, delays=(0, 1)), 2)[:3] == []
