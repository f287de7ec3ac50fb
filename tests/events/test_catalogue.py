"""The catalogue says what the contract says, and what docs/decisions adds."""

import json

import pytest

from tocsin_events.catalogue import EVENT_TYPES, is_state_type, state_types_of

CONTRACT = {
    "flow-run": "scheduled late pending running paused suspended resumed retrying cancelling cancelled completed failed "
    "crashed timed-out heartbeat",
    "task-run": "pending running retrying completed failed crashed cached cancelled timed-out",
    "deployment": "created updated deleted paused resumed not-ready ready",
    "work-pool": "created updated deleted paused resumed ready not-ready",
    "work-queue": "created updated deleted paused resumed ready not-ready",
    "worker": "started stopped lost",
    "automation": "created updated deleted paused resumed fired resolved action-succeeded action-failed action-skipped "
    "rate-limited errored",
    "alert": "opened updated acknowledged escalated resolved withdrawn",
    "notification": "delivered failed suppressed",
    "silence": "created started expired deleted",
    "webhook": "received rejected",
    "dead-letter": "created replayed dropped",
    "config": "applied rolled-back",
    "service": "started stopped lagging",
    "outbox": "overflowed",
}


@pytest.mark.parametrize(("kind", "words"), CONTRACT.items())
def test_every_type_of_the_contract_is_there_and_no_other(kind: str, words: str) -> None:
    assert {type_ for type_, one in EVENT_TYPES.items() if one.kind == kind} == {
        f"{kind}.{word}" for word in words.split()
    }


def test_there_is_no_kind_that_is_not_written_down() -> None:
    assert {one.kind for one in EVENT_TYPES.values()} == set(CONTRACT)


def test_every_type_says_what_it_means_and_what_it_carries() -> None:
    for type_, one in EVENT_TYPES.items():
        assert one.type == type_
        assert one.summary[0].isupper()
        assert not one.summary.endswith(".")
        assert json.loads(json.dumps(one.payload_schema))["type"] == "object"


def test_a_heartbeat_is_no_state_but_a_failure_is() -> None:
    assert not is_state_type("flow-run.heartbeat")
    assert is_state_type("flow-run.failed")
    assert not is_state_type("deployment.updated")
    assert not is_state_type("order.placed")
    assert state_types_of("worker") == ("worker.lost", "worker.started", "worker.stopped")
    assert "flow-run.heartbeat" not in state_types_of("flow-run")
    assert len(state_types_of("flow-run")) == 14
    assert state_types_of("order") == ()
