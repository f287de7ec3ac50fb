"""Row `latency` beside Prefect: from publishing an event to the request that a webhook's receiver gets, idle.

Both have 1,000 rules on one event name and are servers as their users run them. Rounds alternate. What is fair about
it, and what is not, is in docs/benchmarks.md.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, ExitStack
from typing import Any, Final

import httpx2

from benchmarks.latency import RULES, apply_rules, timed_event
from benchmarks.peers.conversation import Ask, prefect_script
from benchmarks.peers.environment import PREFECT
from benchmarks.peers.lead import Lead
from benchmarks.peers.prefect_server import PrefectServer, prefect_server
from benchmarks.report import Figure, percentile
from benchmarks.servers import DURABILITIES, Durability, Receiver, Running, own_server

_ROUNDS: Final = 5
_EVENTS: Final = 40
_PREFECTS_EVENTS: Final = 20
"""Events a round."""

_LAST: Final = RULES - 1
"""The rule that fires before the clock starts."""

_REST: Final = 0.3
"""Seconds in which Prefect's server does what is left to do after a webhook, before it gets the next event."""

_LOST: Final = 60
"""Seconds without a request after which an event is lost."""

Publish = Callable[[int], Awaitable[float]]
"""Publishes the event of a number and returns the milliseconds to the request that it causes."""


def measure() -> list[Figure]:
    """Return milliseconds, ours beside Prefect's."""
    with ExitStack() as stack:
        theirs = stack.enter_context(prefect_server())
        ours = {durability: stack.enter_context(own_server(durability)) for durability in DURABILITIES}
        return asyncio.run(_measure(theirs, ours))


async def _measure(theirs: PrefectServer, ours: dict[Durability, Running]) -> list[Figure]:
    async with AsyncExitStack() as stack:
        prefect = await _prefect(stack, theirs)
        tocsin = {durability: await _tocsin(stack, server) for durability, server in ours.items()}
        beside: list[float] = []
        took: dict[Durability, list[float]] = {durability: [] for durability in tocsin}
        for round_ in range(_ROUNDS):
            beside += await _each(prefect, _numbers(round_, _PREFECTS_EVENTS))
            for durability, publish in tocsin.items():
                took[durability] += await _each(publish, _numbers(round_, _EVENTS))
    return [
        Lead(
            f"publish → webhook with {RULES:,} rules, idle, {name}, {durability}",
            percentile(took[durability], share), "ms", percentile(beside, share), PREFECT,
            "≥ 50 ×" if durability == "relaxed" else "",
        )
        for durability in tocsin
        for name, share in (("p50", 0.5), ("p99", 0.99))
    ]  # fmt: skip


def _numbers(round_: int, count: int) -> Iterable[int]:
    return range(round_ * count, (round_ + 1) * count)


async def _each(publish: Publish, numbers: Iterable[int]) -> list[float]:
    return [await publish(number) for number in numbers]


async def _tocsin(stack: AsyncExitStack, server: Running) -> Publish:
    receiver = await stack.enter_async_context(Receiver())
    client = await stack.enter_async_context(server.client())
    await asyncio.to_thread(apply_rules, server, receiver.url)

    async def publish(number: int) -> float:
        async with asyncio.timeout(_LOST):
            return await timed_event(client, receiver, number)

    await publish(_LAST)
    return publish


async def _prefect(stack: AsyncExitStack, server: PrefectServer) -> Publish:
    receiver = await stack.enter_async_context(Receiver())
    await asyncio.to_thread(_store, server, receiver.url)
    ask = stack.enter_context(prefect_script("prefect_emitting.py", server.environment))

    async def publish(number: int) -> float:
        took = await _timed_event(ask, receiver, number)
        await asyncio.sleep(_REST)
        return took

    # The rules are loaded in their order: when the last one fires, all are.
    await publish(_LAST)
    return publish


def _store(server: PrefectServer, receiver: str) -> None:
    """Give Prefect the rules: automations that each call a webhook; the timed ones have one of their own."""
    with server.client() as client:
        kind = _webhook_kind(client)

        def webhook(number: int) -> str:
            block = {**kind, "name": f"hook-{number}", "data": {"url": f"{receiver}/{number}"}}
            id_: str = _post(client, "/block_documents/", block)["id"]
            return id_

        shared = webhook(_LAST)
        for number in range(RULES):
            trigger = {
                "type": "event",
                "posture": "Reactive",
                "expect": ["order.checked"],
                "match": {"prefect.resource.id": _resource(number)},
                "threshold": 1,
                "within": 0,
            }
            called = webhook(number) if number < _ROUNDS * _PREFECTS_EVENTS else shared
            action = {"type": "call-webhook", "block_document_id": called}
            _post(
                client, "/automations/", {"name": f"rule-{number}", "trigger": trigger, "actions": [action]}
            )


def _webhook_kind(client: httpx2.Client) -> dict[str, str]:
    """Return the ids by which Prefect knows its own block for webhooks."""
    answer = client.get("/block_types/slug/webhook")
    answer.raise_for_status()
    type_ = answer.json()["id"]
    schemas = _post(client, "/block_schemas/filter", {"block_schemas": {"block_type_id": {"any_": [type_]}}})
    return {"block_type_id": type_, "block_schema_id": schemas[0]["id"]}


def _post(client: httpx2.Client, path: str, body: object) -> Any:
    answer = client.post(path, json=body)
    while answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE:
        # Its database was locked by a service of its own; its own client comes again, too.
        time.sleep(1)
        answer = client.post(path, json=body)
    answer.raise_for_status()
    return answer.json()


async def _timed_event(ask: Ask, receiver: Receiver, number: int) -> float:
    told = await asyncio.to_thread(ask, {"resource": _resource(number), "number": number})
    async with asyncio.timeout(_LOST):
        while number not in receiver.arrivals:  # noqa: ASYNC110 - the receiver notes the instant itself
            await asyncio.sleep(0.001)
    sent: float = told["sent"]
    return (receiver.arrivals[number] - sent) * 1e3


def _resource(number: int) -> str:
    return f"order.rule-{number}"
