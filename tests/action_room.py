"""A room of the action runner with everything that it acts on, for tests."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from run_rooms import Rooms, open_rooms
from tocsin_events.bus import Bus
from tocsin_events.envelope import encode_event
from tocsin_events.instant import parse_rfc3339
from tocsin_events.view import EventView
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.notification import Notification
from tocsin_server.actions.call import Kind, Services, load_kinds
from tocsin_server.actions.fired import Links, read_fired
from tocsin_server.actions.results import ActionResults
from tocsin_server.actions.runner import ActionRunner

NOW = parse_rfc3339("2026-03-01T06:00:00Z")
SECRET = "whsec_" + b64encode(b"0" * 24).decode()


class Desk:
    """Keeps what notifiers would get: the far side of `notify`, not a part under test."""

    def __init__(self) -> None:
        self.taken: dict[str, Notification] = {}

    async def submit(self, notification: Notification) -> None:
        self.taken.setdefault(notification.id, notification)


class Vault:
    async def get(self, name: str) -> str | None:
        return {"hook": SECRET}.get(name)


class Room:
    """A runner with everything that it acts on."""

    def __init__(
        self, bus: Bus, rooms: Rooms, desk: Desk, services: Services, kinds: Mapping[str, Kind]
    ) -> None:
        self.rooms, self.desk, self.services, self.kinds = rooms, desk, services, kinds
        self.results = ActionResults(rooms.engine)
        self._bus = bus
        self.runner = self.new_runner()

    def new_runner(self) -> ActionRunner:
        """Return another runner on the same database."""

        async def variables() -> Mapping[str, Any]:
            return {"team": "data"}

        return ActionRunner(
            self._bus,
            self.rooms.engine,
            self.kinds,
            self.services,
            links=Links("http://t"),
            variables=variables,
        )

    async def act(self, *actions: Mapping[str, Any], **more: Any) -> list[tuple[str, str]]:
        """Act on a firing with these actions and return each one's outcome and reason."""
        view = EventView.decode(fired(*actions, **more), received=NOW)
        found = read_fired(view)
        await self.runner.act_on(found)
        return [(one.outcome.value, one.reason) for one in await self.results.of_firing(found.id)]


def fired(
    *actions: Mapping[str, Any],
    id: str = "f1",  # noqa: A002 - the firing's own word
    data: Any = None,
    automation: str = "rule",
    **more: Any,
) -> bytes:
    event = json.loads(
        encode_event(
            id="e1", type="flow-run.failed", source="/sdk", time=NOW,
            resource={"kind": "flow-run", "id": "r1", "name": "jumpy-puppy"},
            related=[
                {"kind": "deployment", "id": "nightly", "name": "nightly", "role": "deployment"},
                {"kind": "flow", "id": "etl", "name": "etl", "role": "flow"},
            ],
            payload=data if data is not None else {"message": "boom", "number": 12},
        )
    )  # fmt: skip
    payload = {
        "firing": {"id": id, "automation": automation, "key": ["etl"], "count": 3, "state": "firing", "suppressed": 0},
        "alert": None, "reason": "3 in 10m", "tree": {}, "event": event, "events": [event],
        "actions": list(actions), "automation": {"name": automation, "description": "", "labels": {}},
    } | more  # fmt: skip
    resource = {"kind": "automation", "id": automation, "name": automation}
    return encode_event(
        id=id, type="automation.fired", source="/engine", time=NOW, resource=resource, payload=payload, hops=1
    )


@asynccontextmanager
async def open_room(
    url: str, bus: Bus, *, allow_private: bool = True, kinds: Mapping[str, Kind] | None = None
) -> AsyncIterator[Room]:
    async with open_rooms(url, bus) as rooms:
        desk = Desk()
        async with HttpClient(AddressGuard(allow_private=allow_private)) as http:
            services = Services(
                deployments=rooms.deployments, runs=rooms.runs, notifications=desk, outgoing=rooms.outgoing,
                secrets=Vault(), http=http, client=bus.client,
            )  # fmt: skip

            yield Room(bus, rooms, desk, services, {**load_kinds(), **(kinds or {})})
