"""Our sample event as Prefect's server gets it: the same resource, relations and payload under Prefect's names."""

import json
from datetime import UTC, datetime
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from tocsin_events.instant import SECOND
from tocsin_events.view import EventView

EVENT: Final = "prefect.flow-run.Failed"

Message = tuple[str, str]
"""An event's id and its JSON form."""


def prefect_message(body: bytes, round_: int) -> Message:
    """Return one of our events as Prefect's; ``round_`` gives it an id that this round alone has."""
    view = EventView.decode(body, received=0, sequence=1)
    id_ = str(uuid5(NAMESPACE_URL, f"{round_} {view.id}"))
    event = {
        "id": id_,
        "occurred": datetime.fromtimestamp(view.time / SECOND, UTC).isoformat(),
        "event": EVENT,
        "resource": _resource(view.resource or {}),
        "related": [
            {**_resource(related), "prefect.resource.role": related["role"]} for related in view.related
        ],
        "payload": view.data,
    }
    return id_, json.dumps(event, separators=(",", ":"))


def prefect_id(kind: str, id_: str) -> str:
    """Return what Prefect calls a resource: its kind and a UUID."""
    return f"prefect.{kind}.{uuid5(NAMESPACE_URL, id_)}"


def _resource(resource: Any) -> dict[str, str]:
    labels = {"prefect.resource.id": prefect_id(resource["kind"], resource["id"])}
    if resource.get("name"):
        labels["prefect.resource.name"] = resource["name"]
    return {**labels, **(resource.get("labels") or {})}
