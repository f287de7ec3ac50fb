import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin_events.cloudevent import InvalidCloudEvent, from_batch, from_structured, to_json
from tocsin_events.envelope import OUR_SCHEMA
from tocsin_server.api.quick import quick_messages

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
RESOURCE = st.fixed_dictionaries(
    {"id": TEXT},
    optional={
        "kind": TEXT,
        "name": TEXT,
        "labels": st.dictionaries(TEXT, TEXT, max_size=2),
        "tags": st.lists(TEXT, max_size=2),
    },
)
RELATED = st.builds(lambda resource, role: {**resource, "role": role}, RESOURCE, TEXT)
TIMES = st.sampled_from(
    [
        "2026-03-01T10:00:00Z",
        "2026-03-01T10:00:00.123456+02:00",
        "2026-13-01T10:00:00Z",
        "2026-03-01 10:00:00Z",
        "now",
        "",
    ]
)
EVENTS = st.fixed_dictionaries(
    {"specversion": st.sampled_from(["1.0", "1.0", "1.0", "0.3"]), "id": TEXT, "type": TEXT, "source": TEXT, "time": TIMES},
    optional={
        "subject": TEXT, "cause": TEXT, "follows": TEXT | st.none(), "hops": st.integers(-1, 9) | st.just("3"), "color": TEXT,
        "datacontenttype": TEXT, "traceparent": TEXT, "dataschema": st.sampled_from([OUR_SCHEMA, "https://x/schema"]),
        "data": JSON | st.fixed_dictionaries({"resource": RESOURCE}, optional={"related": st.lists(RELATED, max_size=2), "payload": JSON}),
    },
)  # fmt: skip


def slowly(body: bytes) -> tuple[str, str, Any] | None:
    try:
        event = from_structured(body)
    except InvalidCloudEvent:
        return None
    return event.type, event.key, json.loads(to_json(event))


@given(EVENTS)
def test_the_quick_way_gives_what_the_other_gives_or_gives_up(event: dict[str, Any]):
    body = json.dumps(event).encode()
    quick = quick_messages(body, batch=False)
    if quick is not None:
        ((type_, key, encoded),) = quick
        assert (type_, key, json.loads(encoded)) == slowly(body)


def usual(**further: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": "e", "type": "flow-run.failed", "source": "/sdk", "time": "2026-03-01T10:00:00Z",
        "dataschema": OUR_SCHEMA, "subject": "flow-run/r1",
        "data": {"resource": {"kind": "flow-run", "id": "r1"}, "related": [{"id": "etl", "kind": "flow", "role": "flow"}], "payload": {"a": 1}},
        **further,
    }  # fmt: skip


def test_the_usual_event_goes_the_quick_way_alone_and_in_a_batch():
    one = json.dumps(usual()).encode()
    quick = quick_messages(one, batch=False)
    assert quick is not None
    assert json.loads(quick[0][2]) == json.loads(to_json(from_structured(one)))
    many = json.dumps([usual(id=str(number)) for number in range(3)]).encode()
    batch = quick_messages(many, batch=True)
    assert batch is not None
    assert [json.loads(body) for _, _, body in batch] == [
        json.loads(to_json(event)) for event in from_batch(many)
    ]


COMPACT = json.dumps(usual(), separators=(",", ":"))


@pytest.mark.parametrize(
    "body",
    [
        COMPACT.replace('"payload":{"a":1}', '"payload":{"a":1,"a":1}'),
        COMPACT.replace('"payload":{"a":1}', '"payload":{"a":1,"\\u0061":1}'),
        COMPACT.replace('"payload":{"a":1}', '"payload":[{"b":{"a":1,"a":2}}]'),
        COMPACT[:-1] + ',"type":"flow-run.failed"}',
    ],
)
def test_a_key_that_stands_twice_is_found_however_the_event_is_written(body: str):
    assert quick_messages(COMPACT.encode(), batch=False) is not None
    assert quick_messages(body.encode(), batch=False) is None
    with pytest.raises(InvalidCloudEvent, match="twice"):
        from_structured(body.encode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"specversion": "1.0", "id": "a", "id": "b", "type": "t", "source": "/s", "time": "2026-03-01T10:00:00Z"}',
        json.dumps(usual(subject="flow-run/other")).encode(),
        json.dumps(usual(color="red")).encode(),
        json.dumps(usual(hops=True)).encode(),
        json.dumps(usual(data={"resource": {"id": "r", "labels": {"a": 1}}})).encode(),
        json.dumps([usual(), 1]).encode(),
        b"\xff",
        json.dumps(
            usual(data={"resource": {"id": "r"}, "payload": json.loads("[" * 100 + "]" * 100)})
        ).encode(),
        json.dumps(usual(type="\N{EM SPACE}" * 480)).encode(),
        json.dumps(usual(type="x" * 501)).encode(),
        json.dumps(usual(id="x" * 501)).encode(),
        json.dumps(usual(source="x" * 2001)).encode(),
        json.dumps(usual(time="2026-03-01T10:00:00+01:00Z")).encode(),
    ],
)
def test_what_is_wrong_or_rare_is_left_to_the_other_way(body: bytes):
    assert quick_messages(body, batch=body.startswith(b"[")) is None
