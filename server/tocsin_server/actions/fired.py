"""A firing as the runner reads it from its event: the actions, and the names that their templates see."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from tocsin_events.duration import parse_duration
from tocsin_events.instant import from_micros
from tocsin_events.view import EventView, InvalidEvent
from tocsin_server.actions.call import Retry

REPLACES: Final = "replace_firings"
"""The kind of a firing's first step where it replaces others; see `tocsin_server.actions.replacement`."""

_COMMON: Final = frozenset({"kind", "if", "retry", "continue_on_error", "timeout"})


class InvalidFiring(ValueError):  # noqa: N818 - it names what was found
    """An event that is no firing of the engine's."""


@dataclass(frozen=True)
class Step:
    """One action of a firing, unrendered. ``timeout`` is in microseconds; ``retry`` is None where nothing is said."""

    number: int
    kind: str
    args: Mapping[str, Any]
    condition: str | None
    retry: Retry | None
    continue_on_error: bool
    timeout: int | None

    @property
    def asks_for_variables(self) -> bool:
        """Whether a template or the condition may name a variable: one that never says ``vars`` can't."""
        return any("vars" in text for text in _texts([self.args, self.condition]))

    def key(self, firing: str) -> str:
        """Return the action's idempotency key."""
        return f"{firing}:{self.number}"


@dataclass(frozen=True)
class Fired:
    """A firing: the payload of its event, the events that made it, its actions."""

    id: str
    automation: str
    payload: Mapping[str, Any]
    view: EventView | None
    events: tuple[EventView, ...]
    steps: tuple[Step, ...]
    resource: Mapping[str, Any]
    related: tuple[Mapping[str, Any], ...]
    at: int
    hops: int

    def names(self, links: "Links", variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names that templates see besides those of the event."""
        firing = self.payload.get("firing") or {}
        run = self._run_id()
        return {
            "events": [one.resolve("event") for one in self.events],
            "key": firing.get("key") or [],
            "count": firing.get("count"),
            "value": firing.get("value"),
            "suppressed": firing.get("suppressed") or 0,
            "alert": self.payload.get("alert"),
            "firing": {**firing, "reason": self.payload.get("reason")},
            "now": from_micros(self.at),
            "run_url": links.run(run) if run else "",
            "why_url": links.firing(self.id),
            "vars": dict(variables),
        }

    def _run_id(self) -> str | None:
        found = self.view.resolve("flow_run") if self.view is not None else None
        return str(found["id"]) if isinstance(found, dict) else None


@dataclass(frozen=True)
class Links:
    """Where people find things: under the server's public address."""

    base: str

    def run(self, id_: str) -> str:
        """Return the address of a run's page."""
        return f"{self.base}/runs/{id_}"

    def firing(self, id_: str) -> str:
        """Return the address of the page that says why something fired."""
        return f"{self.base}/firings/{id_}"


def read_fired(view: EventView) -> Fired:
    """Return the firing that an event of the engine's tells of.

    Raises:
        InvalidFiring: it tells of none.

    """
    payload = view.data
    try:
        firing = payload["firing"]
        steps = tuple(_step(number, written) for number, written in enumerate(payload["actions"], 1))
        replaced = firing.get("cancels")
        if replaced:
            steps = (_step(0, {"kind": REPLACES, "firings": [str(one) for one in replaced]}), *steps)
        return Fired(
            id=str(firing["id"]),
            automation=str(firing["automation"]),
            payload=payload,
            view=_view(payload.get("event"), view.received),
            events=tuple(
                found for found in (_view(one, view.received) for one in payload.get("events") or ()) if found
            ),
            steps=steps,
            resource=view.resource or {"kind": "automation", "id": str(firing["automation"])},
            related=tuple(view.related),
            at=view.time,
            hops=view.hops,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise InvalidFiring(f"not a firing: {type(problem).__name__}: {problem}") from problem


def _step(number: int, written: Mapping[str, Any]) -> Step:
    retry = written.get("retry")
    timeout = written.get("timeout")
    return Step(
        number=number,
        kind=str(written["kind"]),
        args={name: value for name, value in written.items() if name not in _COMMON},
        condition=written.get("if"),
        retry=None if retry is None else Retry(int(retry["times"]), _duration(retry.get("backoff", "10s"))),
        continue_on_error=written.get("continue_on_error", True) is not False,
        timeout=None if timeout is None else _duration(timeout),
    )


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for one in value.values():
                yield from _texts(one)
        case list() | tuple():
            for one in value:
                yield from _texts(one)


def _duration(written: Any) -> int:
    return written if isinstance(written, int) else parse_duration(str(written))


def _view(event: Any, received: int) -> EventView | None:
    if not isinstance(event, dict):
        return None
    try:
        return EventView.decode(msgspec.json.encode(event), received=received)
    except InvalidEvent as problem:
        raise InvalidFiring(f"an event in it is none: {problem}") from problem
