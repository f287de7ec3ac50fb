"""What the payload of a firing says of what it is about, whatever a stranger's event holds. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

from tocsin_events.instant import parse_rfc3339
from tocsin_notifiers.message import RunsOf
from tocsin_notifiers.plain_text import one_line


def description_of(firing: Mapping[str, Any]) -> str:
    """Return what its author says of the automation."""
    return str(mapping(firing.get("automation")).get("description") or "")


def reason_of(firing: Mapping[str, Any]) -> str:
    """Return why it fired."""
    reason = firing.get("reason")
    return reason if isinstance(reason, str) else ""


def key_of(firing: Mapping[str, Any]) -> str:
    """Return the key that a firing is about, in words; empty without one."""
    key = mapping(firing.get("firing")).get("key")
    return one_line(", ".join(str(one) for one in key if one is not None)) if isinstance(key, list) else ""


def subject_of(event: Mapping[str, Any]) -> str:
    """Return what people call the thing it is about: the deployment or flow of a run, else the resource itself."""
    resource = resource_of(event)
    if resource.get("kind") in ("flow-run", "task-run"):
        for kind in ("deployment", "flow"):
            name = name_of_kind(event, kind)
            if name:
                return name
    called = (resource.get("name"), resource.get("id"), event.get("subject"))
    return next((str(one) for one in called if one and one_line(str(one))), "")


def subjects_of(firing: Mapping[str, Any]) -> set[str]:
    """Return what the events of a firing are about."""
    events = firing.get("events")
    return {subject_of(mapping(one)) for one in events} if isinstance(events, list) else set()


def name_of_kind(event: Mapping[str, Any], kind: str) -> str:
    """Return the name of the resource of a kind that an event is about, or is related to; empty without one."""
    related = mapping(event.get("data")).get("related")
    for one in (resource_of(event), *(related if isinstance(related, list) else ())):
        if mapping(one).get("kind") == kind:
            return str(one.get("name") or one.get("id") or "")
    return ""


def run_of(firing: Mapping[str, Any]) -> str:
    """Return the id of the flow run that a firing is about, empty where it is about none."""
    event = mapping(firing.get("event"))
    related = mapping(event.get("data")).get("related")
    for one in (resource_of(event), *(related if isinstance(related, list) else ())):
        if mapping(one).get("kind") == "flow-run":
            return str(one.get("id") or "")
    return ""


def runs_of(firing: Mapping[str, Any]) -> RunsOf | None:
    """Return whose last runs belong to a firing: the deployment's or, without one, the flow's that it is about."""
    event = mapping(firing.get("event"))
    kinds: tuple[Literal["deployment", "flow"], ...] = ("deployment", "flow")
    for kind in kinds:
        name = name_of_kind(event, kind)
        if name:
            state = str(event.get("type", "")).removeprefix("flow-run.")
            at = micros_of(event.get("time"))
            return RunsOf(kind=kind, name=name, run=run_of(firing), state=state, at=at or 0)
    return None


def resource_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the resource that an event is about; empty where it names none."""
    return mapping(mapping(event.get("data")).get("resource"))


def micros_of(at: Any) -> int | None:
    """Return an instant in microseconds, however it is written; None where it is none."""
    if isinstance(at, int):
        return at
    if isinstance(at, str):
        try:
            return parse_rfc3339(at)
        except ValueError:
            return None
    return None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value that is a mapping, else an empty one: anything may be in an event."""
    return value if isinstance(value, Mapping) else {}
