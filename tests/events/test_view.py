"""What an expression sees of an event, and that no malformed bytes become one."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_events.envelope import MAX_EVENT_BYTES, encode_event
from tocsin_events.view import MAX_DEPTH, MISSING, EventView, InvalidEvent

AT = 1_772_000_000_000_000


def event(**parts: Any) -> bytes:
    return json.dumps({"id": "e1", "type": "flow-run.failed", "source": "/test", **parts}).encode()


def ours(**data: Any) -> bytes:
    return event(dataschema="tocsin:event", data=data)


def view(body: bytes) -> EventView:
    return EventView.decode(body, received=AT, sequence=7)


def test_our_event_shows_its_resource_related_and_payload() -> None:
    seen = view(
        encode_event(
            id="e1",
            type="flow-run.failed",
            source="/sdk",
            time=AT,
            resource={
                "kind": "flow-run",
                "id": "r1",
                "name": "jumpy",
                "labels": {"env": "prod"},
                "tags": ["x"],
            },
            related=[{"kind": "work-pool", "id": "p1", "role": "work-pool"}],
            payload={"rows": 3},
        )
    )
    assert seen.resolve("resource")["labels"] == {"env": "prod"}
    assert seen.resolve("flow_run") is seen.resolve("resource")
    assert seen.resolve("work_pool") == {
        "kind": "work-pool", "id": "p1", "name": "", "labels": {}, "tags": [], "role": "work-pool",
    }  # fmt: skip
    assert seen.resolve("data") == {"rows": 3}
    assert seen.resolve("deployment") is MISSING


def test_tags_are_those_of_run_deployment_and_flow_without_repetition() -> None:
    related = [
        {"kind": "deployment", "id": "d", "tags": ["b", "a"]},
        {"kind": "flow", "id": "f", "tags": ["c"]},
        {"kind": "worker", "id": "w", "tags": ["not me"]},
    ]
    seen = view(ours(resource={"kind": "flow-run", "id": "r", "tags": ["a"]}, related=related))
    assert seen.resolve("tags") == ["a", "b", "c"]


def test_of_several_related_resources_of_a_kind_the_first_is_meant() -> None:
    related = [{"kind": "flow", "id": "f1"}, {"kind": "flow", "id": "f2"}]
    assert view(ours(resource=None, related=related)).resolve("flow")["id"] == "f1"


def test_an_outside_event_keeps_its_data_and_shows_its_subject_as_resource() -> None:
    seen = view(event(subject="repository/tocsin", data={"resource": 5, "labels": {"a": 1}}))
    assert seen.resolve("repository")["id"] == "tocsin"
    assert seen.resolve("data") == {"resource": 5, "labels": {"a": 1}}


def test_our_schema_named_inside_an_outside_payload_changes_nothing() -> None:
    body = b'{"id":"e","type":"t","source":"s","data":{"dataschema":"tocsin:event","resource":5}}'
    assert view(body).data == {"dataschema": "tocsin:event", "resource": 5}


def test_our_schema_is_recognised_however_the_json_is_spaced() -> None:
    body = json.dumps(json.loads(ours(resource={"id": "r"})), indent=2).encode()
    assert view(body).resource == {"id": "r", "kind": "", "name": "", "labels": {}, "tags": []}


def test_an_event_without_a_time_happened_when_it_arrived() -> None:
    assert view(event()).time == AT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b"{}",
        b'{"id":"a","type":"b","source":"\xff"}',
        event(id=5),
        event(id=""),
        event(id="x" * 501),
        event(type=""),
        event(source=None),
        event(time="yesterday"),
        event(time="2026-03-01T00:00:00"),
        event(time="0001-01-01T00:00:00+14:00"),
        event(hops=-1),
        event(hops="1"),
        event(subject=["flow-run/r1"]),
        event(dataschema="tocsin:event", data="text"),
        ours(resource={"id": 1}),
        ours(resource={"kind": "flow-run"}),
        ours(resource={"id": ""}),
        ours(resource=["r1"]),
        ours(resource={"id": "r", "kind": 1}),
        ours(resource={"id": "r", "labels": {"a": 1}}),
        ours(resource={"id": "r", "labels": ["a"]}),
        ours(resource={"id": "r", "labels": None}),
        ours(resource={"id": "r", "tags": "abc"}),
        ours(resource={"id": "r", "tags": [1]}),
        ours(resource=None, related={"kind": "flow", "id": "f"}),
        ours(resource=None, related=[None]),
        ours(resource=None, related=[{"id": "f", "role": 1}]),
        ours(resource=None, related=[{"id": "f", "labels": {"a": None}}]),
    ],
)
def test_malformed_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidEvent):
        view(body)


def nested(depth: int) -> bytes:
    return b'{"id":"a","type":"b","source":"c","data":' + b"[" * depth + b"]" * depth + b"}"


def test_an_event_nested_too_deeply_is_refused() -> None:
    assert view(nested(MAX_DEPTH - 1)).data is not None
    for depth in (MAX_DEPTH, 5_000, 250_000):
        with pytest.raises(InvalidEvent):
            view(nested(depth))


def test_many_brackets_that_are_not_deep_pass_and_brackets_in_texts_do_not_count() -> None:
    data = [[{"a": "[[[{{{" * 50, "b": '\\"]'}]] * 200
    assert view(event(data=data)).data == data


def test_an_event_that_is_too_large_is_refused() -> None:
    with pytest.raises(InvalidEvent, match="bytes"):
        view(event(data="x" * MAX_EVENT_BYTES))


def test_a_refusal_names_the_place_and_not_the_value() -> None:
    with pytest.raises(InvalidEvent) as refusal:
        view(ours(resource={"id": "r", "labels": {"a": {"secret": "hunter2"}}}))
    assert "labels" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "resource": JSON
        | st.fixed_dictionaries({"id": st.text()}, optional={"labels": JSON, "tags": JSON, "kind": JSON}),
        "related": JSON
        | st.lists(st.fixed_dictionaries({"id": JSON}, optional={"labels": JSON, "role": JSON}), max_size=3),
        "payload": JSON,
    },
)


@given(
    st.fixed_dictionaries(
        {
            "id": JSON | st.just("e"),
            "type": JSON | st.just("t"),
            "source": JSON | st.just("s"),
            "data": JSON | PARTS,
        },
        optional={
            "dataschema": st.just("tocsin:event"),
            "time": JSON,
            "subject": JSON,
            "hops": JSON,
            "follows": JSON,
        },
    )
)
def test_whatever_passes_is_well_formed(wire: dict[str, Any]) -> None:
    try:
        seen = view(json.dumps(wire).encode())
    except InvalidEvent:
        return
    assert all(isinstance(one, str) and one for one in (seen.id, seen.type, seen.source))
    for resource in [*([seen.resource] if seen.resource else []), *seen.related]:
        assert isinstance(resource["id"], str)
        assert isinstance(resource["kind"], str)
        assert isinstance(resource["name"], str)
        assert all(
            isinstance(name, str) and isinstance(value, str) for name, value in resource["labels"].items()
        )
        assert all(isinstance(tag, str) for tag in resource["tags"])
    assert all(isinstance(one["role"], str) for one in seen.related)
    for name in ("event", "data", "resource", "related", "tags", "flow", "flow_run"):
        seen.resolve(name)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_an_event_or_refused(body: bytes) -> None:
    with contextlib.suppress(InvalidEvent):
        view(body)
