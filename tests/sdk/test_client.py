"""The HTTP client and the HTTP way to the bus, against a real HTTP server."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tocsin import Secret, Variable
from tocsin.client import (
    ApiError,
    AsyncClient,
    Client,
    Conflict,
    Denied,
    Invalid,
    NotFound,
    Unavailable,
    Unreachable,
)
from tocsin.discovery import Server
from tocsin.http_link import HttpLink
from tocsin.links import Denied as LinkDenied
from tocsin.links import LinkDown, LogRecord
from tocsin.outbox import Entry
from tocsin_events.envelope import encode_event

KEY = "tsk_right"


class Api:
    """A server that takes events as ours does, and finds fault with those of the type ``bad``."""

    def __init__(self) -> None:
        self.url = ""
        self.events: list[str] = []
        self.batches: list[int] = []
        self.logs: list[tuple[str, Any]] = []
        self.answers: list[Response] = []

    async def take_events(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return problem(401, "no such key")
        if self.answers:
            return self.answers.pop(0)
        assert request.headers["content-type"] == "application/cloudevents-batch+json"
        events = json.loads(await request.body())
        if any(event["type"] == "bad" for event in events):
            return problem(400, "[0].type: bad is bad")
        self.events += [event["id"] for event in events]
        self.batches.append(len(events))
        return Response(status_code=202)

    async def take_logs(self, request: Request) -> Response:
        self.logs.append((request.path_params["run"], await request.json()))
        return Response(status_code=202)

    async def status(self, request: Request) -> Response:
        code = int(request.path_params["code"])
        return JSONResponse({"code": code}) if code < 400 else problem(code, f"this is {code}")

    async def named(self, request: Request) -> Response:
        name = request.path_params["name"]
        return (
            problem(404, f"no {name}")
            if name == "missing"
            else JSONResponse({"name": name, "value": f"v/{name}"})
        )

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/api/v1/events", self.take_events, methods=["POST"]),
                Route("/api/v1/runs/{run}/logs", self.take_logs, methods=["POST"]),
                Route("/api/v1/status/{code}", self.status),
                Route("/api/v1/secrets/{name:path}", self.named),
                Route("/api/v1/variables/{name:path}", self.named),
            ]
        )


def problem(status: int, detail: str, **headers: str) -> Response:
    body = {"type": "about:blank", "title": "Oh", "status": status, "detail": detail, "errors": [1]}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


@pytest.fixture
def api() -> Iterator[Api]:
    api = Api()
    config = uvicorn.Config(api.app(), port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    socket = config.bind_socket()
    socket.listen()  # or a request before the thread gets there is refused
    api.url = f"http://127.0.0.1:{socket.getsockname()[1]}"
    thread = threading.Thread(target=server.run, args=([socket],))
    thread.start()
    yield api
    server.should_exit = True
    thread.join()


@pytest.fixture
def link(api: Api) -> Iterator[HttpLink]:
    link = HttpLink(Server(api.url, KEY))
    yield link
    link.close()


def entry(number: int, type_: str = "good", size: int = 0) -> Entry:
    body = encode_event(id=str(number), type=type_, source="/t", time=number, payload="x" * size)
    return Entry(type_, f"/t {number}", body)


STATUSES: list[tuple[int, type[ApiError]]] = [
    (400, Invalid), (401, Denied), (403, Denied), (404, NotFound), (409, Conflict), (412, Conflict), (413, Invalid),
    (422, Invalid), (429, Unavailable), (500, Unavailable), (503, Unavailable),
]  # fmt: skip


@pytest.mark.parametrize(("status", "error"), STATUSES)
async def test_each_status_is_an_error_of_its_own_with_the_servers_words(
    api: Api, status: int, error: type[ApiError]
) -> None:
    with Client(Server(api.url, KEY)) as client, pytest.raises(error, match=f"this is {status}") as raised:
        client.get(f"status/{status}")
    assert type(raised.value) is error
    assert raised.value.problem is not None
    assert raised.value.problem.status == status
    assert raised.value.problem.extra == {"errors": [1]}
    async with AsyncClient(Server(api.url, KEY)) as async_client:
        with pytest.raises(error, match=f"this is {status}"):
            await async_client.request("GET", f"status/{status}")


async def test_an_answer_is_its_json(api: Api) -> None:
    with Client(Server(api.url, KEY)) as client:
        assert client.get("status/200") == {"code": 200}
        assert client.request("POST", "events", content=b"[]", headers={"Content-Type": BATCH}) is None


BATCH = "application/cloudevents-batch+json"


@pytest.mark.parametrize(
    "make", [lambda url: Client(Server(url)), lambda url: Client(Server("http://[::1]:1"))]
)
def test_nobody_at_the_url_is_unreachable_and_says_what_to_do(
    make: Callable[[str], Client], refusing_port: int
) -> None:
    with (
        make(f"http://127.0.0.1:{refusing_port}") as client,
        pytest.raises(Unreachable, match="tocsin server start"),
    ):
        client.get("status/200")


def test_no_key_is_ever_shown(api: Api) -> None:
    with Client(Server(api.url, KEY)) as client:
        assert KEY not in repr(client.server)


def test_secrets_and_variables_come_from_the_server(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_API_URL", api.url)
    assert Secret("sql/main").get() == "v/sql/main"
    assert Variable("region").get() == "v/region"
    with pytest.raises(NotFound, match="no missing"):
        Secret("missing").get()


def test_events_are_posted_in_batches_in_order(api: Api, link: HttpLink) -> None:
    assert link.publish([entry(number, size=400_000) for number in range(5)]) == [None] * 5
    assert api.events == ["0", "1", "2", "3", "4"]
    assert api.batches == [2, 2, 1]


def test_an_event_that_the_server_refuses_does_not_hold_up_the_others(api: Api, link: HttpLink) -> None:
    verdicts = link.publish([entry(number, "bad" if number in (3, 6) else "good") for number in range(9)])
    assert [number for number, verdict in enumerate(verdicts) if verdict] == [3, 6]
    assert "bad is bad" in str(verdicts[3])
    assert api.events == [str(number) for number in range(9) if number not in (3, 6)]


def test_a_server_that_is_busy_says_when_to_come_back(api: Api, link: HttpLink) -> None:
    api.answers.append(problem(429, "slowly", **{"Retry-After": "7"}))
    with pytest.raises(LinkDown, match="slowly") as raised:
        link.publish([entry(1)])
    assert raised.value.retry_after == 7
    api.answers.append(problem(503, "the bus is down"))
    with pytest.raises(LinkDown, match="the bus is down"):
        link.publish([entry(1)])


def test_a_wrong_key_is_no_fault_of_the_events(api: Api) -> None:
    link = HttpLink(Server(api.url, "tsk_wrong"))
    with pytest.raises(LinkDenied, match="TOCSIN_API_KEY"):
        link.publish([entry(1)])
    link.close()


def test_log_lines_are_posted_by_run(api: Api, link: HttpLink) -> None:
    link.publish_logs([LogRecord("a", b'{"n":1}'), LogRecord("b", b'{"n":2}'), LogRecord("a", b'{"n":3}')])
    assert api.logs == [("a", [{"n": 1}, {"n": 3}]), ("b", [{"n": 2}])]


def test_a_script_that_knows_only_the_url_delivers_over_http(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess
    import sys

    monkeypatch.setenv("TOCSIN_API_URL", api.url)
    monkeypatch.setenv("TOCSIN_API_KEY", KEY)
    script = "from tocsin import flow\n@flow\ndef f(): pass\nf()"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert len(api.events) == 2
    assert [line["message"].split(" ")[0] for line in api.logs[0][1]] == ["started", "completed"]
