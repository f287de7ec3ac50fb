"""The events that the actions of a firing lead to, as the service publishes them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tocsin_automations.action import Action
from tocsin_automations.decision import Firing
from tocsin_automations.rules import STARTS_A_RUN
from tocsin_automations.testing.rendering import Rendered
from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id

_SWITCHES: Final[Mapping[str, tuple[str, str]]] = {
    "pause_automation": ("automation", "paused"),
    "resume_automation": ("automation", "resumed"),
    "pause_deployment": ("deployment", "paused"),
    "resume_deployment": ("deployment", "resumed"),
    "pause_work_pool": ("work-pool", "paused"),
    "resume_work_pool": ("work-pool", "resumed"),
}
"""Actions whose effect is an event about what they name."""


def action_events(firing: Firing, actions: Sequence[Action], rendered: Sequence[Rendered]) -> Iterator[bytes]:
    """Yield, for each action: the event that is its effect, if it has one, and the event that tells its result."""
    done = {one.number: one for one in rendered}
    for number, action in enumerate(actions, 1):
        one = done.get(number)
        if one is None:
            if action.kind == STARTS_A_RUN:
                yield _result(firing, Rendered(number, action.kind, {}, {}), "skipped")
            continue
        if one.failed is None:
            if one.kind == "emit_event":
                yield _emitted(firing, one)
            elif one.kind in _SWITCHES:
                yield from _switched(firing, one)
        yield _result(firing, one, "succeeded" if one.failed is None else "failed")


def _emitted(firing: Firing, one: Rendered) -> bytes:
    return encode_event(
        id=derived_id("emitted", f"{firing.id}:{one.number}"),
        type=str(one.done["type"]),
        source=f"/automations/{firing.automation}",
        time=firing.at,
        resource=one.done.get("resource"),
        related=one.done.get("related") or (),
        payload=one.done.get("data"),
        cause=firing.id,
        hops=firing.hops + 1,
    )


def _switched(firing: Firing, one: Rendered) -> Iterator[bytes]:
    kind, done = _SWITCHES[one.kind]
    named = one.written.get(one.kind)
    about = _resource(kind, named) if named else _own(firing, kind)
    if about is None:
        return
    yield encode_event(
        id=derived_id("switched", f"{firing.id}:{one.number}"),
        type=f"{kind}.{done}",
        source=f"/server/{kind}s",
        time=firing.at,
        resource=about,
        payload={"reason": f"automation {firing.automation}"},
        cause=firing.id,
        hops=firing.hops + 1,
    )


def _result(firing: Firing, one: Rendered, outcome: str) -> bytes:
    return encode_event(
        id=derived_id("action", firing.id, one.number, outcome),
        type=f"automation.action-{outcome}",
        source="/server/actions",
        time=firing.at,
        resource=_resource("automation", firing.automation),
        payload={
            "firing": firing.id,
            "action": one.number,
            "kind": one.kind,
            "outcome": outcome,
            "detail": {},
            "reason": one.failed or "",
            "attempts": 1,
            "duration": 0,
        },
        cause=firing.id,
        hops=firing.hops + 1,
    )


def _own(firing: Firing, kind: str) -> Mapping[str, Any] | None:
    found = None if firing.event is None else firing.event.resolve(kind.replace("-", "_"))
    if isinstance(found, Mapping):
        return found
    return _resource(kind, firing.automation) if kind == "automation" else None


def _resource(kind: str, name: Any) -> dict[str, Any]:
    return {"kind": kind, "id": str(name), "name": str(name), "labels": {}, "tags": []}
