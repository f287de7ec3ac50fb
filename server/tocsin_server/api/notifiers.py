"""Notifiers: list them, send a sample through the whole pipeline, and show what an event would become."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from tocsin_events.instant import SECOND
from tocsin_notifiers import ways
from tocsin_notifiers.configuration import NotifierConfig, ServiceNotifier
from tocsin_notifiers.console import payload as as_text
from tocsin_notifiers.delivery import Delivery
from tocsin_notifiers.setup import secrets_of
from tocsin_server.access import Caller, Scope
from tocsin_server.api.paging import Page
from tocsin_server.api.problem import not_found
from tocsin_server.api.security import needs, parts_of
from tocsin_server.api.tellings import delivery_shown, way_shown
from tocsin_server.missing_secrets import missing
from tocsin_server.notification_samples import about, sample
from tocsin_server.parts import Parts

router = APIRouter(prefix="/notifiers", tags=["notifiers"])

_TEST_SECONDS: Final = 20.0
_PASSING: Final = ("", "grouped")
"""What holds a sample that will pass by itself; the rest is looked at again, and may well hold it again."""

Reader = Annotated[Caller, Depends(needs(Scope.READ))]


class PreviewWanted(BaseModel):
    """Which ``event`` to look at; ``source`` says which, where several gave the id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: str = Field(min_length=1, max_length=500)
    source: str | None = Field(default=None, max_length=2000)


@router.get("")
async def list_notifiers(request: Request, _: Reader) -> Page:
    """List the notifiers, the built-in inbox among them, and what is wrong: one can't work, or a target is gone."""
    parts = parts_of(request)
    await parts.notifier_setup.load()
    broken, gone = parts.notifications.broken, await parts.notifications.gone()
    return Page(
        items=[
            {
                "name": name,
                "kind": one.kind if isinstance(one, ServiceNotifier) else _kind_of(one),
                "problem": await _missing_secrets(parts, one)
                or broken.get(name)
                or _gone(gone.get(name, {})),
            }
            for name, one in sorted(parts.notifications.setup.all.items())
        ]
    )


@router.post("/{name}/test")
async def test_notifier(
    name: str, request: Request, caller: Annotated[Caller, Depends(needs(Scope.AUTOMATIONS_WRITE))]
) -> dict[str, Any]:
    """Send a sample message and return each target's result, as far as there is one within 20 seconds.

    ``ways`` says of each notifier that it leads to how far the sample got there, and what holds it back.
    """
    parts = parts_of(request)
    # A secret that was set a moment ago counts already.
    await parts.notifier_setup.load()
    if name not in parts.notifications.setup.all:
        raise not_found("notifier", name)
    wanted = sample(name, caller.name, time.time_ns() // 1000)
    await parts.notifications.submit(wanted)
    await parts.audit.record(caller, "notifier.tested", f"notifier/{name}")
    taken, deliveries = await _results(parts, wanted.id)
    return {
        "notification": wanted.id,
        "ways": [way_shown(one, parts.notifications.broken) for one in taken],
        "deliveries": [delivery_shown(one) for one in deliveries],
    }


@router.post("/{name}/preview")
async def preview_notifier(name: str, wanted: PreviewWanted, request: Request, _: Reader) -> dict[str, Any]:
    """Return the messages that an event would become, by route and template, as if nothing held them back; sends none."""
    parts = parts_of(request)
    if name not in parts.notifications.setup.all:
        raise not_found("notifier", name)
    stored = await parts.events.get(wanted.event, wanted.source)
    if stored is None:
        raise not_found("event", wanted.event)
    found = await parts.notifications.preview(about(name, stored.body, time.time_ns() // 1000))
    return {
        "event": wanted.event,
        "messages": [
            {
                "notifier": one.notifier,
                "kind": one.kind,
                "path": list(one.path),
                "target": one.message.target,
                "text": as_text(one.message),
                "message": one.message.model_dump(mode="json"),
                "payload": one.payload,
            }
            for one in found
        ],
    }


async def _results(parts: Parts, notification: str) -> tuple[Sequence[Mapping[str, Any]], Sequence[Delivery]]:
    """Return a sample's ways and deliveries once nothing more is to come of them soon, or when time is up."""
    end = time.monotonic() + _TEST_SECONDS
    while True:
        async with parts.engine.connect() as connection:
            taken = await ways.ways_of(connection, notification=notification)
        deliveries = await parts.notifications.deliveries.of_notification(notification)
        left = end - time.monotonic()
        soon = time.time_ns() // 1000 + int(left * SECOND)
        waits = any(
            one["state"] == ways.HELD and one["due"] < soon and one["reason"] in _PASSING for one in taken
        )
        untried = any(not (one.is_finished or one.log) for one in deliveries)
        if left < 0 or not (waits or untried):
            return taken, deliveries
        await asyncio.sleep(0.05)


def _gone(targets: Mapping[str, str]) -> str | None:
    return "; ".join(f"{target}: {said}" for target, said in sorted(targets.items())) or None


async def _missing_secrets(parts: Parts, config: NotifierConfig) -> str | None:
    named = sorted(secrets_of(config.settings)) if isinstance(config, ServiceNotifier) else []
    return "; ".join([said for name in named if (said := await missing(parts.vault, name))]) or None


def _kind_of(notifier: object) -> str:
    return type(notifier).__name__.removesuffix("Notifier").lower()
