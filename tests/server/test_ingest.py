import json

import pytest

from server_process import ServerProcess, event, eventually, post_events

STRUCTURED = {"Content-Type": "application/cloudevents+json"}


@pytest.fixture
def client(server: ServerProcess):
    with server.client() as client:
        yield client


def test_a_structured_event_comes_back_as_it_was_sent(client):
    sent = event(id="structured", data={"n": 1}, subject="order/7", color="red", time="2026-03-01T10:00:00Z")
    answer = client.post("/events", content=json.dumps(sent), headers=STRUCTURED)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    found = eventually(lambda: client.get("/events/structured", params={"source": "/test"}))
    stored = eventually(lambda: (got := client.get("/events/structured")).status_code == 200 and got.json())
    assert {key: stored[key] for key in sent} == sent
    assert found is not None


def test_a_binary_event_is_taken(client):
    headers = {
        "ce-specversion": "1.0", "ce-id": "binary", "ce-type": "test.binary", "ce-source": "/test",
        "Content-Type": "application/json",
    }  # fmt: skip
    assert client.post("/events", content=b'{"n": 2}', headers=headers).status_code == 202
    stored = eventually(lambda: (got := client.get("/events/binary")).status_code == 200 and got.json())
    assert stored["data"] == {"n": 2}


def test_our_own_resources_ride_in_data_and_are_searched(client):
    data = {
        "resource": {"kind": "flow-run", "id": "r-own", "name": "jumpy-puppy", "labels": {"env": "prod"}},
        "related": [{"kind": "flow", "id": "etl", "name": "etl", "role": "flow"}],
        "payload": {"message": "boom"},
    }
    sent = event("flow-run.failed", "own", data=data, dataschema="tocsin:event", subject="flow-run/r-own")
    assert client.post("/events", content=json.dumps(sent), headers=STRUCTURED).status_code == 202
    wanted = {"type": "flow-run.*", "resource": "flow-run/r-own", "related": "flow/etl", "label": "env=prod"}
    (found,) = eventually(lambda: client.get("/events", params=wanted).json()["items"])
    assert found["id"] == "own"
    assert client.get("/events", params={"where": 'flow_run.id == "r-own" && data.message == "boom"'}).json()[
        "items"
    ]


def test_the_same_event_twice_is_kept_once(client):
    for _ in range(2):
        assert post_events(client, [event(id="twice", type="test.twice")]).status_code == 202
    assert post_events(client, [event(id="after", type="test.twice")]).status_code == 202
    found = eventually(
        lambda: (
            len(items := client.get("/events", params={"type": "test.twice"}).json()["items"]) >= 2 and items
        )
    )
    assert [one["id"] for one in found] == ["after", "twice"]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"specversion": "1.0", "type": "a", "source": "/s"}, "id"),
        ({"specversion": "0.3", "id": "1", "type": "a", "source": "/s"}, "specversion"),
        (event(time="yesterday"), "time"),
        (event(type="\N{EM SPACE}" * 480), "type"),
        (event(type="x" * 501), "type"),
        (event(id="x" * 501), "id"),
        (event(source="x" * 2001), "source"),
        (event(id="a\nb"), "id"),
        (event(subject="x" * 2001), "subject"),
        (event(data=json.loads("[" * 120 + "]" * 120)), "data"),
        (event(dataschema="tocsin:event", data={"resource": {"kind": "x"}}), "resource"),
    ],
)
def test_a_wrong_event_is_refused_with_the_path_of_what_is_wrong(client, body, path):
    answer = client.post("/events", content=json.dumps(body), headers=STRUCTURED)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert path in answer.json()["errors"][0]["path"]


def test_a_batch_is_refused_whole_and_says_which_event_is_wrong(client):
    answer = post_events(client, [event(id="fine"), {"specversion": "1.0"}])
    assert answer.status_code == 400
    assert "1" in answer.json()["errors"][0]["path"]
    assert client.get("/events/fine").status_code == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_bytes_that_are_no_event_are_refused(client, body):
    assert client.post("/events", content=body, headers=STRUCTURED).status_code == 400


def test_a_body_of_another_kind_is_refused_with_what_is_taken(client):
    answer = client.post("/events", json={"a": 1})
    assert answer.status_code == 415
    assert "application/cloudevents+json" in answer.json()["detail"]


def test_an_event_larger_than_the_bus_takes_is_refused(client):
    answer = client.post("/events", content=json.dumps(event(data="x" * 600_000)), headers=STRUCTURED)
    assert answer.status_code == 413


def test_a_body_is_read_no_further_than_the_limit(client):
    def endless():
        for _ in range(40):
            yield b"[" + b" " * 2**19

    answer = client.post("/events", content=endless(), headers=STRUCTURED)
    assert answer.status_code == 413


def test_pages_go_through_all_events_once(client):
    post_events(client, [event("test.page", f"p{number}") for number in range(25)])
    eventually(lambda: len(client.get("/events", params={"type": "test.page"}).json()["items"]) == 25)
    seen, cursor = [], None
    while True:
        page = client.get(
            "/events", params={"type": "test.page", "limit": 10, **({"cursor": cursor} if cursor else {})}
        )
        seen += [one["id"] for one in page.json()["items"]]
        cursor = page.json()["next"]
        if cursor is None:
            break
    assert seen == [f"p{number}" for number in reversed(range(25))]


def test_a_cursor_of_someone_elses_is_refused(client):
    assert client.get("/events", params={"cursor": "nonsense"}).status_code == 400


def test_a_live_stream_gives_what_arrives_and_resumes_where_it_broke_off(client):
    post_events(client, [event("test.live", "l1"), event("test.live", "l2")])
    first = eventually(lambda: client.get("/events/l1").status_code == 200)
    assert first
    with client.stream(
        "GET", "/events/stream", params={"type": "test.live"}, headers={"Last-Event-ID": "0"}
    ) as stream:
        ids, last = _read(stream.iter_lines(), 2)
    assert ids == ["l1", "l2"]
    post_events(client, [event("test.live", "l3"), event("test.other", "o1"), event("test.live", "l4")])
    with client.stream(
        "GET", "/events/stream", params={"type": "test.live"}, headers={"Last-Event-ID": last}
    ) as stream:
        assert _read(stream.iter_lines(), 2)[0] == ["l3", "l4"]


def _read(lines, count):
    ids, last = [], ""
    for line in lines:
        if line.startswith("id: "):
            last = line.removeprefix("id: ")
        if line.startswith("data: "):
            ids.append(json.loads(line.removeprefix("data: "))["id"])
            if len(ids) == count:
                return ids, last
    raise AssertionError(f"the stream ended after {ids}")
