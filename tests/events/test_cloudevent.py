"""CloudEvents in and out, with the `cloudevents` package as the other side."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http as oracle
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from strategies import binary_events, our_events, outside_events
from tocsin_events.cloudevent import (
    EventTooLarge,
    InvalidCloudEvent,
    from_batch,
    from_binary,
    from_structured,
    to_binary,
    to_json,
)
from tocsin_events.envelope import MAX_EVENT_BYTES, encode_event
from tocsin_events.event import Event
from tocsin_events.instant import from_micros, to_micros
from tocsin_events.view import EventView

ORDER = {
    "specversion": "1.0",
    "id": "1",
    "type": "order.placed",
    "source": "/shop",
    "time": "2026-01-09T12:00:00Z",
    "subject": "order/17",
    "datacontenttype": "application/json",
    "region": "eu",
    "data": {"total": 12.5},
}
OURS = {
    **ORDER,
    "dataschema": "tocsin:event",
    "data": {
        "resource": {"kind": "order", "id": "17"},
        "related": [{"kind": "shop", "id": "s", "role": "seller"}],
    },
}


def structured(**changes: Any) -> bytes:
    return json.dumps({**ORDER, **changes}).encode()


def same_but_for_text(event: Event) -> Event:
    """Return the event as binary mode can carry it: every extension is text there."""
    as_text = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in event.extensions.items()
    }
    return event.model_copy(update={"extensions": as_text})


# -- nothing is lost ---------------------------------------------------------------------------------------------------


@given(our_events | outside_events | binary_events)
def test_an_event_comes_back_from_structured_mode_equal(event: Event) -> None:
    assert from_structured(to_json(event)) == event


@given(our_events | outside_events.filter(lambda event: event.data is not None) | binary_events)
def test_an_event_comes_back_from_binary_mode_equal(event: Event) -> None:
    returned = from_binary(*to_binary(event))
    if event.data_base64 is not None and returned.data_base64 is None:
        # Bytes that happen to be text come back as text.
        assert to_binary(returned)[1] == to_binary(event)[1]
    else:
        assert returned == same_but_for_text(event)


@given(st.lists(our_events | outside_events, max_size=4))
def test_a_batch_comes_back_equal(events: list[Event]) -> None:
    assert from_batch(b"[" + b",".join(map(to_json, events)) + b"]") == events


@given(our_events | outside_events)
def test_whatever_is_accepted_here_is_understood_on_the_bus(event: Event) -> None:
    view = EventView.decode(to_json(event), received=0)
    assert (view.id, view.type, view.source, view.time) == (
        event.id,
        event.type,
        event.source,
        to_micros(event.time),
    )
    assert view.data == event.data
    assert (view.follows, view.cause, view.hops) == (event.follows, event.cause, event.hops)
    assert view.subject == (None if event.resource is None else event.resource.subject)
    assert [one["role"] for one in view.related] == [one.role for one in event.related]


@given(outside_events)
def test_the_cloudevents_package_understands_what_we_write(event: Event) -> None:
    theirs = JSONFormat().read(CloudEvent, to_json(event))
    assert (theirs.get_id(), theirs.get_type(), theirs.get_source()) == (event.id, event.type, event.source)
    assert theirs.get_time() == event.time
    assert theirs.get_data() == event.data
    for name, value in event.extensions.items():
        assert theirs.get_extension(name) == value
    assert from_structured(JSONFormat().write(theirs)) == event


@given(outside_events.filter(lambda event: isinstance(event.data, dict)))
def test_the_cloudevents_package_reads_and_writes_the_same_headers(event: Event) -> None:
    headers, body = to_binary(event)
    theirs = oracle.from_binary(oracle.HTTPMessage(headers, body), JSONFormat(), CloudEvent)
    assert (theirs.get_id(), theirs.get_source(), theirs.get_data()) == (event.id, event.source, event.data)
    message = oracle.to_binary(theirs, JSONFormat())
    assert from_binary(message.headers, message.body) == same_but_for_text(event)


def test_what_the_light_encoder_writes_is_the_same_event() -> None:
    encoded = encode_event(
        id="1", type="flow-run.failed", source="/sdk", time=5, resource={"kind": "flow-run", "id": "r"},
        related=[{"kind": "flow", "id": "f", "role": "flow"}], payload={"a": 1}, cause="c", hops=2,
    )  # fmt: skip
    event = from_structured(encoded)
    assert (event.cause, event.hops, event.data) == ("c", 2, {"a": 1})
    assert from_structured(to_json(event)) == event


def test_text_that_is_no_json_stays_as_it_is() -> None:
    headers = {
        "Content-Type": "text/plain",
        "CE-SpecVersion": "1.0",
        "ce-id": "1",
        "ce-type": "t",
        "ce-source": "/s",
    }
    event = from_binary(headers, "grüß".encode(), received=7)
    assert (event.data, event.datacontenttype, event.time) == ("grüß", "text/plain", from_micros(7))
    assert to_binary(event)[1] == "grüß".encode()
    assert from_structured(to_json(event)) == event


def test_a_header_is_decoded_as_the_binding_says() -> None:
    headers = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-type": "t",
        "ce-source": "/s%20%C3%BC",
        "ce-hops": "3",
    }
    event = from_binary(headers, b"", received=0)
    assert (event.source, event.hops) == ("/s ü", 3)
    assert to_binary(event)[0]["ce-source"] == "/s%20%C3%BC"


def test_an_event_without_a_time_happened_when_it_arrived() -> None:
    body = json.dumps({name: value for name, value in ORDER.items() if name != "time"}).encode()
    assert from_structured(body, received=1_000_000).time == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    with pytest.raises(InvalidCloudEvent, match="time: it is missing"):
        from_structured(body)


# -- what is wrong is said, and where ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path", "problem"),
    [
        ({"id": None}, "id", "missing"),
        ({"id": ""}, "id", "empty"),
        ({"id": 5}, "id", "must be text, not a number"),
        ({"id": "x" * 501}, "id", "at most 500"),
        ({"type": "a\nb"}, "type", "control"),
        ({"source": ["/s"]}, "source", "must be text, not a list"),
        ({"specversion": "0.3"}, "specversion", "1.0"),
        ({"specversion": 1.0}, "specversion", "1.0"),
        ({"time": "yesterday"}, "time", "RFC 3339"),
        ({"time": "2026-01-09T12:00:00"}, "time", "RFC 3339"),
        ({"time": "2026-W02-5T12:00:00Z"}, "time", "RFC 3339"),
        ({"time": "2026-02-30T12:00:00Z"}, "time", "RFC 3339"),
        ({"time": "0001-01-01T00:00:00+10:00"}, "time", "RFC 3339"),
        ({"time": 5}, "time", "must be text"),
        ({"subject": 5}, "subject", "must be text"),
        ({"subject": ""}, "subject", "empty"),
        ({"subject": "x" * 3000}, "subject", "at most 2000"),
        ({"hops": -1}, "hops", "greater than or equal to 0"),
        ({"hops": 1.5}, "hops", "whole number"),
        ({"hops": True}, "hops", "whole number"),
        ({"cause": 5}, "cause", "must be text"),
        ({"Region": "eu"}, "Region", "small letters"),
        ({"my-region": "eu"}, "my-region", "small letters"),
        ({"region": {"a": 1}}, "region", "not an object"),
        ({"region": 1.5}, "region", "not a number"),
        ({"region": 2**70}, "region", "not a number"),
        ({"data_base64": "AA=="}, "data_base64", "one of them"),
        ({"data": None, "data_base64": "no base64!"}, "data_base64", "not Base64"),
        ({"data": None, "data_base64": 5}, "data_base64", "must be text"),
        ({"datacontenttype": 5}, "datacontenttype", "must be text"),
    ],
)
def test_what_is_wrong_in_an_event_is_said_with_its_place(
    changes: dict[str, Any], path: str, problem: str
) -> None:
    with pytest.raises(InvalidCloudEvent) as caught:
        from_structured(structured(**changes))
    assert caught.value.path == path
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("data", "path", "problem"),
    [
        (5, "data", "object"),
        ({"payload": 1, "lables": {}}, "data.lables", "resource, related and payload"),
        ({"resource": 5}, "data.resource", "valid dictionary"),
        ({"resource": {"kind": "order"}}, "data.resource.id", "required"),
        ({"resource": {"kind": "order", "id": "18"}}, "subject", "does not name"),
        (
            {"resource": {"kind": "order", "id": "17", "labels": {"team": 5}}},
            "data.resource.labels.team",
            "string",
        ),
        ({"resource": {"kind": "order", "id": "17", "colour": 5}}, "data.resource.colour", "not permitted"),
        ({"related": {}}, "data.related", ""),
        ({"related": [{"id": "a"}, {"id": ""}]}, "data.related[1].id", "at least 1"),
        ({"related": [{"id": "a", "tags": ["x", 5]}]}, "data.related[0].tags[1]", "string"),
    ],
)
def test_what_is_wrong_in_our_data_is_said_with_its_place(data: Any, path: str, problem: str) -> None:
    if data == {"related": {}}:
        data = {"related": {"a": 1}}
    with pytest.raises(InvalidCloudEvent) as caught:
        from_structured(json.dumps({**OURS, "data": data}).encode())
    assert caught.value.path == path
    assert problem in caught.value.problem


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"[]", "not a list"),
        (b"null", "not null"),
        (b'"text"', "not text"),
        (structured()[:-1] + b', "data": {"a": NaN}}', "no JSON"),
        (structured()[:-1] + b', "data": {"a": 1e999}}', "no JSON"),
        (structured()[:-1] + b', "id": "2"}', "'id' stands twice"),
        (structured()[:-1] + b', "more": {"a": 1, "a": 2}}', "'a' stands twice"),
        (structured().replace(b"/shop", b"/\xff"), "UTF-8"),
        (structured().replace(b"/shop", b"\\ud800"), "no JSON"),
        (structured()[:-1] + b', "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "deep"),
        (b"\xef\xbb\xbf" + structured(), "no JSON"),
    ],
)
def test_bytes_that_are_no_event_are_refused(body: bytes, problem: str) -> None:
    with pytest.raises(InvalidCloudEvent, match=problem):
        from_structured(body)


def test_an_event_that_is_too_large_is_refused_in_every_mode() -> None:
    large = "x" * MAX_EVENT_BYTES
    body = structured(data=large)
    for read in (from_structured, lambda body: to_json(from_batch(b"[" + body + b"]")[0])):
        with pytest.raises(EventTooLarge, match="at most 524288"):
            read(body)
    with pytest.raises(EventTooLarge):
        from_binary({}, (large + "x").encode())
    with pytest.raises(EventTooLarge):
        to_json(Event(id="1", type="t", source="/s", time=datetime.now(UTC), data=large))


def test_an_event_that_readers_of_the_bus_would_refuse_is_refused_at_once() -> None:
    nested = json.loads("[" * 120 + "]" * 120)
    body = structured(data=nested)
    for read in (from_structured, lambda body: from_batch(b"[" + body + b"]")):
        with pytest.raises(InvalidCloudEvent, match="nested more than 100 deep"):
            read(body)
    from_structured(structured(data=[[nested[0][:0]] * 500]))


def test_the_place_in_a_batch_is_said() -> None:
    with pytest.raises(InvalidCloudEvent) as caught:
        from_batch(b"[" + structured() + b"," + structured(id="") + b"]")
    assert caught.value.path == "[1].id"
    with pytest.raises(InvalidCloudEvent, match=r"^\[0\]: an event is an object"):
        from_batch(b"[5]")
    with pytest.raises(InvalidCloudEvent, match="a batch is a list"):
        from_batch(b"{}")


def test_a_wrong_header_is_named() -> None:
    with pytest.raises(InvalidCloudEvent) as caught:
        from_binary(
            {"ce-specversion": "1.0", "ce-id": "1", "ce-type": "t", "ce-source": "/s", "ce-time": "now"}, b""
        )
    assert caught.value.path == "ce-time"
    with pytest.raises(InvalidCloudEvent, match="ce-specversion"):
        from_binary({"content-type": "application/json"}, b"{}")
    with pytest.raises(InvalidCloudEvent, match="UTF-8"):
        from_binary({"ce-id": "%ff"}, b"")
    with pytest.raises(InvalidCloudEvent, match="data: it is no JSON"):
        from_binary({"content-type": "application/json"}, b"{")


@given(
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))
)
def test_no_bytes_make_reading_fail_in_another_way(body: bytes) -> None:
    for read in (
        from_structured,
        from_batch,
        lambda body: from_binary({"content-type": "application/json"}, body),
    ):
        try:
            read(body)
        except InvalidCloudEvent:
            continue


@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.none()
            | st.booleans()
            | st.integers()
            | st.text(max_size=5)
            | st.lists(st.integers(), max_size=2)
            for name in [*ORDER, "hops", "cause", "dataschema", "data_base64"]
        },
    )
)
def test_no_values_make_reading_fail_in_another_way(changes: dict[str, Any]) -> None:
    try:
        event = from_structured(structured(**changes), received=0)
    except InvalidCloudEvent:
        return
    assert from_structured(to_json(event)) == event
