"""Actions: each once, in order, with its result told; whatever comes again or dies in between."""

import asyncio
import hashlib
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from action_room import SECRET, Room, fired, open_room
from run_rooms import sqlite_url
from tocsin_events.bus import Bus
from tocsin_events.ending import end
from tocsin_events.identity import message_key
from tocsin_server.actions.results import ActionOutcome


@pytest.fixture
async def room(bus: Bus, tmp_path: Path) -> AsyncIterator[Room]:
    async with open_room(sqlite_url(tmp_path), bus) as room:
        yield room


class Receiver:
    """An HTTP server on loopback that keeps what it gets and answers as it is told."""

    def __init__(self, *answers: int, delay: float = 0.0) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._answers = list(answers)
        self._delay = delay
        self.url = ""

    async def __aenter__(self) -> "Receiver":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/in"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
        self.requests.append((headers, await reader.readexactly(int(headers.get("content-length", 0)))))
        await asyncio.sleep(self._delay)
        status = self._answers.pop(0) if self._answers else 200
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".encode())
        await writer.drain()
        writer.close()


# -- the runner --------------------------------------------------------------------------------------------------------


async def test_a_firing_that_comes_again_does_nothing_again(room: Room) -> None:
    await room.rooms.deploy()
    action = {"kind": "run_deployment", "name": "nightly", "parameters": {"n": "{{ data.number }}"}}
    for _ in range(3):
        assert await room.act(action) == [("succeeded", "")]
    (run,) = await room.rooms.runs.ls()
    assert run.parameters == {"n": 12}
    assert run.cause == "f1"
    assert run.automation == "rule"
    assert (await room.rooms.types("automation.*")) == ["automation.action-succeeded"]


async def test_actions_run_in_order_and_a_failed_one_does_not_stop_the_next(room: Room) -> None:
    await room.rooms.deploy()
    outcomes = await room.act(
        {"kind": "pause_deployment", "name": "nope"},
        {"kind": "pause_deployment"},
        {"kind": "notify", "notifier": "oncall"},
    )
    assert [outcome for outcome, _ in outcomes] == ["failed", "succeeded", "succeeded"]
    assert "'nope'" in outcomes[0][1]
    assert (await room.rooms.deployments.get("nightly")).paused_reason == "automation rule"
    failed, *_ = await room.rooms.events("automation.action-failed")
    assert failed.data["kind"] == "pause_deployment"
    assert failed.cause == "f1"
    assert failed.hops == 2


async def test_continue_on_error_false_ends_the_firing(room: Room) -> None:
    actions = (
        {"kind": "pause_deployment", "name": "nope", "continue_on_error": False},
        {"kind": "notify", "notifier": "oncall"},
    )
    assert [outcome for outcome, _ in await room.act(*actions)] == ["failed", "not_run"]
    assert [outcome for outcome, _ in await room.act(*actions)] == ["failed", "not_run"]
    assert room.desk.taken == {}


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ("data.number > 10", "succeeded"),
        ("data.number > 100", "skipped"),
        ("data.nothing == 1", "skipped"),
        ("data.message > 1", "failed"),
    ],
)
async def test_an_action_is_done_only_if_its_condition_is_true(
    room: Room, condition: str, outcome: str
) -> None:
    ((got, reason),) = await room.act({"kind": "notify", "notifier": "oncall", "if": condition})
    assert got == outcome
    assert bool(reason) == (outcome != "succeeded")


async def test_an_unknown_kind_or_field_is_a_failure_with_its_reason(room: Room) -> None:
    outcomes = await room.act(
        {"kind": "fly"},
        {"kind": "notify", "notifier": "x", "severity": "{{ data.message }}"},
        {"kind": "notify"},
    )
    assert [outcome for outcome, _ in outcomes] == ["failed", "failed", "failed"]
    assert "'fly'" in outcomes[0][1]
    assert "severity" in outcomes[1][1]
    assert "notifier" in outcomes[2][1]


async def test_without_an_event_an_action_that_needs_one_says_so(room: Room) -> None:
    ((outcome, reason),) = await room.act({"kind": "pause_deployment"}, event=None, events=[])
    assert outcome == "failed"
    assert reason == "no deployment was named, and no event made this fire"


async def test_firings_off_the_bus_are_acted_on_and_forged_ones_are_not(room: Room, bus: Bus) -> None:
    action = {"kind": "notify", "notifier": "oncall"}
    forged = json.loads(fired(action, id="forged")) | {"source": "/sdk/outside"}
    await bus.publish(json.dumps(forged).encode(), type="automation.fired", key="forged")
    for number in range(5):
        body = fired(action, id=f"f{number}")
        await bus.publish(body, type="automation.fired", key=message_key("/engine", f"f{number}"))
    task = asyncio.create_task(room.runner.run())
    await _until(lambda: len(room.desk.taken) == 5)
    await end(task)
    assert {one.firing["firing"]["id"] for one in room.desk.taken.values()} == {f"f{n}" for n in range(5)}


async def test_a_slow_action_holds_up_no_other_automation(room: Room, bus: Bus) -> None:
    async with Receiver(delay=30.0) as slow:
        for number in range(40):
            body = fired({"kind": "call_webhook", "url": slow.url}, id=f"s{number}", automation="slow")
            await bus.publish(body, type="automation.fired", key=f"s{number}")
        body = fired({"kind": "notify", "notifier": "oncall"}, id="q", automation="quick")
        await bus.publish(body, type="automation.fired", key="q")
        task = asyncio.create_task(room.runner.run())
        await _until(lambda: len(room.desk.taken) == 1 and slow.requests)
        assert len(slow.requests) == 1
        await end(task)


async def test_a_runner_that_dies_between_two_actions_goes_on_behind_the_first(room: Room, bus: Bus) -> None:
    await room.rooms.deploy()
    async with Receiver(delay=30.0) as hanging:
        actions = (
            {"kind": "run_deployment", "parameters": {"n": 1}},
            {"kind": "call_webhook", "url": hanging.url},
        )
        await bus.publish(fired(*actions), type="automation.fired", key="f1")
        task = asyncio.create_task(room.runner.run())
        await _until(lambda: len(hanging.requests) == 1)
        await end(task)
        hanging._delay = 0.0
        again = asyncio.create_task(room.runner.run())
        async with asyncio.timeout(60):
            while len(await room.results.of_firing("f1")) < 2:
                await asyncio.sleep(0.02)
        await end(again)
        assert {headers["idempotency-key"] for headers, _ in hanging.requests} == {"f1:2"}
    assert len(await room.rooms.runs.ls()) == 1


# -- the kinds ---------------------------------------------------------------------------------------------------------


async def test_a_webhook_is_signed_and_carries_its_idempotency_key(room: Room) -> None:
    async with Receiver() as receiver:
        action = {
            "kind": "call_webhook", "url": receiver.url, "secret": {"secret": "hook"},
            "headers": {"X-Flow": "{{ flow.name }}"}, "body": {"n": "{{ data.number }}", "team": "{{ vars.team }}"},
        }  # fmt: skip
        assert await room.act(action) == [("succeeded", "")]
        ((headers, body),) = receiver.requests
    assert Webhook(SECRET).verify(body, headers) == {"n": 12, "team": "data"}
    assert headers["webhook-id"] == headers["idempotency-key"] == "f1:1"
    assert headers["x-flow"] == "etl"
    signed = f"f1:1.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b64decode(SECRET.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{b64encode(digest).decode()}"


async def test_a_webhook_is_tried_again_while_the_other_side_is_broken(room: Room) -> None:
    async with Receiver(503, 500) as receiver:
        action = {"kind": "call_webhook", "url": receiver.url, "retry": {"times": 2, "backoff": "10ms"}}
        assert await room.act(action) == [("succeeded", "")]
        assert len(receiver.requests) == 3
    (result,) = await room.results.of_firing("f1")
    assert result.attempts == 3


async def test_a_webhook_that_is_refused_fails_at_once(room: Room) -> None:
    async with Receiver(400) as receiver:
        ((outcome, reason),) = await room.act({"kind": "call_webhook", "url": receiver.url})
        assert len(receiver.requests) == 1
    assert outcome == "failed"
    assert "HTTP 400" in reason


async def test_a_private_address_is_refused(bus: Bus, tmp_path: Path) -> None:
    async with open_room(sqlite_url(tmp_path), bus, allow_private=False) as room, Receiver() as receiver:
        ((outcome, reason),) = await room.act({"kind": "call_webhook", "url": receiver.url})
        assert receiver.requests == []
    assert outcome == "failed"
    assert "private address" in reason


@pytest.mark.parametrize("url", ["ftp://example.com", "nonsense", "http://", "http://[::1"])
async def test_what_is_no_url_is_a_failure(room: Room, url: str) -> None:
    ((outcome, reason),) = await room.act({"kind": "call_webhook", "url": url, "retry": {"times": 0}})
    assert outcome == "failed"
    assert reason


async def test_a_secret_that_is_not_kept_is_named(room: Room) -> None:
    ((outcome, reason),) = await room.act({"kind": "call_webhook", "url": {"secret": "nope"}})
    assert (outcome, "'nope'" in reason) == ("failed", True)


async def test_an_action_that_takes_too_long_fails_with_that_reason(room: Room) -> None:
    async with Receiver(delay=30.0) as receiver:
        action = {"kind": "call_webhook", "url": receiver.url, "timeout": "100ms", "retry": {"times": 0}}
        ((outcome, reason),) = await room.act(action)
    assert (outcome, reason) == ("failed", "it took longer than 0.1 s")


async def test_a_notification_is_told_even_where_its_template_misses_a_name(room: Room) -> None:
    action = {
        "kind": "notify",
        "notifier": "oncall",
        "severity": "critical",
        "title": "{{ flow.name }} {{ data.gone }}",
    }
    assert await room.act(action) == [("succeeded", "")]
    (notification,) = room.desk.taken.values()
    assert notification.title is not None
    assert notification.title.startswith("etl ")
    assert "data.gone" in notification.title
    assert notification.severity == "critical"
    assert notification.automation == "rule"


async def test_an_emitted_event_is_on_the_bus_once_with_its_cause(room: Room) -> None:
    action = {
        "kind": "emit_event", "type": "com.example.{{ flow.name }}", "resource": "order/{{ data.number }}",
        "related": {"flow": "{{ flow.id }}"}, "data": {"n": "{{ data.number }}"},
    }  # fmt: skip
    await room.act(action)
    await room.act(action)
    (event,) = await room.rooms.events("com.example.*")
    assert event.type == "com.example.etl"
    assert event.subject == "order/12"
    assert event.data == {"n": 12}
    assert event.resolve("flow")["id"] == "etl"
    assert (event.cause, event.hops) == ("f1", 2)


async def test_an_action_cannot_forge_the_services_own_events(room: Room) -> None:
    ((outcome, reason),) = await room.act({"kind": "emit_event", "type": "automation.fired"})
    assert outcome == "failed"
    assert "only the service" in reason


async def test_a_message_is_published_but_never_on_our_own_subjects(room: Room, bus: Bus) -> None:
    subscription = await bus.client.subscribe("orders.>")
    outcomes = await room.act(
        {"kind": "publish", "subject": "orders.{{ flow.name }}", "body": {"n": "{{ data.number }}"}},
        {"kind": "publish", "subject": "tocsin.runs.default.default", "body": "x"},
        {"kind": "publish", "subject": "$JS.API.STREAM.DELETE.EVENTS", "body": ""},
    )
    assert [outcome for outcome, _ in outcomes] == ["succeeded", "failed", "failed"]
    message = await subscription.next_msg(timeout=60)
    assert (message.subject, message.data) == ("orders.etl", b'{"n":12}')
    assert (message.headers or {})["Nats-Msg-Id"] == "f1:1"


async def test_parameters_that_do_not_fit_fail_the_action_and_start_nothing(room: Room) -> None:
    await room.rooms.deploy()
    ((outcome, reason),) = await room.act(
        {"kind": "run_deployment", "parameters": {"n": "{{ data.message }}"}}
    )
    assert outcome == "failed"
    assert "n: 'boom' is not of type 'integer'" in reason
    assert await room.rooms.runs.ls() == []


async def test_an_own_idempotency_key_makes_one_run_of_two_firings(room: Room) -> None:
    await room.rooms.deploy()
    action = {"kind": "run_deployment", "parameters": {"n": 1}, "idempotency_key": "{{ data.number }}"}
    await room.act(action, id="f1")
    await room.act(action, id="f2")
    assert len(await room.rooms.runs.ls()) == 1


async def test_pause_and_resume_of_an_automation_are_events_that_the_engine_obeys(room: Room) -> None:
    await room.act({"kind": "pause_automation", "name": "other"}, {"kind": "resume_automation"})
    paused, resumed = [
        one for one in await room.rooms.events("automation.*") if one.source == "/server/automations"
    ]
    assert (paused.type, paused.subject) == ("automation.paused", "automation/other")
    assert (resumed.type, resumed.subject) == ("automation.resumed", "automation/rule")


async def test_a_run_is_cancelled_and_retried(room: Room) -> None:
    from tocsin_server.runs import RunRequest

    await room.rooms.deploy()
    run, _ = await room.rooms.runs.create("nightly", RunRequest({"n": 5}))
    assert await room.act({"kind": "cancel_run", "run": run.id}, {"kind": "retry_run", "run": run.id}) == [
        ("succeeded", ""),
        ("succeeded", ""),
    ]
    assert (await room.rooms.runs.get(run.id)).state == "cancelling"
    newest, _ = await room.rooms.runs.ls()
    assert newest.parameters == {"n": 5}


async def test_a_run_that_was_not_to_be_started_is_told(room: Room) -> None:
    await room.rooms.deploy()
    await room.act(
        {"kind": "run_deployment", "parameters": {"n": 1}, "if": "data.number > 100"},
        {"kind": "notify", "notifier": "oncall", "if": "false"},
        {"kind": "pause_deployment", "name": "nope", "continue_on_error": False},
        {"kind": "run_deployment", "parameters": {"n": 1}},
    )
    skipped = await room.rooms.events("automation.action-skipped")
    assert [(one.data["action"], one.data["kind"], one.data["outcome"]) for one in skipped] == [
        (1, "run_deployment", "skipped"),
        (4, "run_deployment", "not_run"),
    ]
    assert {one.cause for one in skipped} == {"f1"}


async def test_outcomes_are_a_closed_list() -> None:
    assert {one.value for one in ActionOutcome} == {"succeeded", "failed", "skipped", "not_run"}


async def _until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
