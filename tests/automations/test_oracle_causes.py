"""The engine against the oracle where firings cause events: `chain` and `concurrency`."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, note, settings
from hypothesis import strategies as st

from oracle.drawing import (
    START,
    History,
    Spec,
    caused_histories,
    event_triggers,
    keyed,
    mappings,
    ruled,
    spans,
    thresholds,
)
from oracle.engine import caused, messages
from oracle.rule import tell_all
from oracle.runs import ENDS

Case = tuple[History, dict[int, int]]


def quick(examples: int) -> Any:
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None)


def agree(rules: Mapping[str, Spec], case: Case) -> None:
    history, picks = case
    seen = messages(history.views, history.ticks, history.end)
    got, causes = caused(rules, seen, picks, history.ids, START)
    note(f"{rules}\n{history!r}\n{causes}\nengine {got}")
    assert got == tell_all(rules, history.views, causes, applied=START, end=history.end)


WIDE = st.sampled_from([{"event": ["t.a", "t.b"]}, {"event": "t.*"}, {"event": ">"}])
"""Triggers that fire often, so that there is something to cause events."""

CHAINED = st.builds(
    lambda spec, limits: {**spec, "limits": limits},
    ruled(WIDE | keyed(event_triggers), grace=st.just("1s")),
    mappings({"chain": st.integers(0, 2)}, cooldown=spans(1, 4)),
)


@quick(60)
@given(st.lists(CHAINED, min_size=2, max_size=3), caused_histories(least=6, most=15))
def test_chains(several: list[Spec], case: Case) -> None:
    agree({f"rule-{number}": rule for number, rule in enumerate(several)}, case)


RUN = {"run_deployment": "nightly"}
CONCURRENCY = mappings({"max": st.integers(1, 2), "mode": st.sampled_from(["queue", "skip", "restart"])})
OTHERS = st.one_of(
    st.just({}),
    st.just({"scope": "automation"}),
    mappings({"cooldown": spans(1, 3)}),
    mappings({"debounce": mappings({"wait": spans(1, 2)})}),
    mappings({"rate": mappings({"max": st.integers(1, 3), "per": spans(2, 8)})}),
)
RUNNING = st.builds(
    lambda when, grace, concurrency, others, actions: {
        "when": when,
        "grace": grace,
        "limits": {"concurrency": concurrency, **others},
        "then": actions,
    },
    WIDE | keyed(mappings({"event": "t.*"}) | thresholds),
    st.sampled_from(["0s", "2s"]),
    CONCURRENCY,
    OTHERS,
    st.sampled_from([[RUN], [RUN], [RUN, RUN], [{"notify": "oncall"}]]),
)


@quick(80)
@given(RUNNING, caused_histories(types=(*ENDS, "flow-run.running"), least=8, most=15))
def test_concurrency(rule: Spec, case: Case) -> None:
    agree({"rule": rule}, case)
