"""The table of transitions."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.states import FINAL, FLOW_RUN, TASK_RUN, State, StateType, allowed, event_type, successors

KINDS = st.sampled_from([FLOW_RUN, TASK_RUN])


def test_a_run_goes_from_pending_over_running_to_completed() -> None:
    path = [None, StateType.PENDING, StateType.RUNNING, StateType.COMPLETED]
    for kind in (FLOW_RUN, TASK_RUN):
        assert all(allowed(before, after, kind) for before, after in pairwise(path))  # type: ignore[arg-type]


@given(KINDS, st.sampled_from(sorted(FINAL)))
def test_nothing_follows_a_final_state_but_a_rerun_after_a_crash(kind: str, state: StateType) -> None:
    expected = {StateType.SCHEDULED, StateType.PENDING, StateType.RETRYING}
    is_rerun = kind == FLOW_RUN and state is StateType.CRASHED
    assert successors(state, kind) == (expected if is_rerun else set())


@given(KINDS, st.sampled_from(list(StateType)))
def test_no_state_follows_itself(kind: str, state: StateType) -> None:
    assert not allowed(state, state, kind)


def test_every_unfinished_state_of_a_flow_run_can_still_end() -> None:
    for state in set(StateType) - FINAL:
        reachable = set(successors(state))
        while (more := reachable | {after for one in reachable for after in successors(one)}) != reachable:
            reachable = more
        assert StateType.COMPLETED in reachable
        assert StateType.CANCELLED in reachable


def test_going_on_after_a_pause_is_an_event_of_its_own() -> None:
    assert event_type(StateType.PAUSED, StateType.RUNNING) == "flow-run.resumed"
    assert event_type(StateType.PENDING, StateType.RUNNING) == "flow-run.running"
    assert event_type(StateType.RUNNING, StateType.TIMED_OUT, TASK_RUN) == "task-run.timed-out"


def test_a_state_names_itself_unless_it_is_named() -> None:
    assert State(StateType.TIMED_OUT).name == "Timed out"
    assert State.completed(name="Nothing to do").name == "Nothing to do"
    assert State("failed").type is StateType.FAILED  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nonsense"):
        State("nonsense")  # type: ignore[arg-type]
