"""Events that overtook the one that they follow, and wait for it where order matters."""

from collections.abc import Iterator
from heapq import heappush
from operator import itemgetter

import msgspec

from tocsin_automations.rules import Part
from tocsin_automations.state import HELD, Held, State
from tocsin_events.view import EventView

_FIELDS = (
    "id",
    "type",
    "source",
    "time",
    "received",
    "resource",
    "related",
    "data",
    "follows",
    "cause",
    "hops",
)


def must_wait(state: State, part: Part, view: EventView) -> bool:
    """Tell whether the event that this one follows has not come yet, or waits itself in the same part."""
    subject = view.subject
    if view.follows is None or subject is None or not part.grace or not part.trigger.ordered:
        return False
    if view.follows not in (state.trails.get(subject) or ()):
        return True
    return _waits(state, part.id, view.follows, subject)


def hold(state: State, part: Part, view: EventView, number: int, hits: dict[str, int]) -> int:
    """Let an event wait; return until when at most."""
    until = state.now + part.grace
    key = f"{number:020d} {part.id}"
    body = msgspec.json.encode({**{name: getattr(view, name) for name in _FIELDS}, "sequence": number})
    state.held[key] = Held(
        part.id, view.id, view.follows, view.subject, view.time, body, hits, state.now, until
    )
    state.dirty.add(("held", key))
    heappush(state.heap, (until, HELD, key))
    return until


def let_go(state: State, key: str) -> tuple[Held, EventView]:
    """Take an event out of those that wait."""
    state.dirty.add(("held", key))
    held = state.held.pop(key)
    return held, EventView(**msgspec.json.decode(held.body))


def waiting_for_key(state: State, part: Part, key: str) -> list[str]:
    """Return the events that wait in a part and concern a key, in order of arrival."""
    return sorted(name for name, held in state.held.items() if held.part == part.id and key in held.hits)


def followers(state: State, view: EventView) -> Iterator[tuple[str, Held]]:
    """Yield the events that waited for this one, in order of arrival, unless it waits in their part itself."""
    subject = view.subject
    for key, held in sorted(state.held.items(), key=itemgetter(0)):
        follows = held.follows == view.id and held.subject == subject
        if follows and key in state.held and not _waits(state, held.part, view.id, subject):
            yield key, held


def _waits(state: State, part: str, id_: str, subject: str | None) -> bool:
    return any(
        held.part == part and held.id == id_ and held.subject == subject for held in state.held.values()
    )
