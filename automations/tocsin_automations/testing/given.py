"""The events of a test as the engine sees them: repeated, numbered, in order of arrival."""

from collections.abc import Iterator
from dataclasses import dataclass

from tocsin_automations.testing.model import FiringRef, GivenEvent, RuleTest
from tocsin_events.envelope import MAX_EVENT_BYTES, encode_event
from tocsin_events.view import EventView


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event of a test; ``at`` and ``arrives`` are in microseconds from the test's start."""

    given: GivenEvent
    id: str
    at: int
    arrives: int

    def view(self, clock: int, cause: str | None, sequence: int) -> EventView:
        """Return the event as the engine sees it: through its form on the bus, so that a test meets what life would.

        Raises:
            ValueError: the event is larger than the bus takes.

        """
        given = self.given
        body = encode_event(
            id=self.id,
            type=given.type,
            source=given.source,
            time=clock + self.at if given.time is None else given.time,
            resource=None if given.resource is None else given.resource.model_dump(mode="json"),
            related=[one.model_dump(mode="json") for one in given.related],
            payload=given.data,
            follows=given.follows,
            cause=cause,
            hops=given.hops,
            traceparent=given.traceparent,
        )
        if len(body) > MAX_EVENT_BYTES:
            raise ValueError(f"event {self.id} is larger than {MAX_EVENT_BYTES // 1024} KiB")
        return EventView.decode(body, received=clock + self.arrives, sequence=sequence)

    @property
    def firing(self) -> FiringRef | None:
        """The firing that the event names as its cause, where it names one by its automation."""
        return self.given.cause if isinstance(self.given.cause, FiringRef) else None

    @property
    def cause(self) -> str | None:
        """The id that the event names as its cause."""
        return self.given.cause if isinstance(self.given.cause, str) else None


def arrivals(test: RuleTest) -> list[Arrival]:
    """Return all events of a test, by arrival; those that arrive at once in the order written."""
    return sorted(_all(test), key=lambda one: one.arrives)


def last_instant(test: RuleTest) -> int:
    """Return until when the clock is moved on, from the test's start.

    That is ``run_until``; without it, the last arrival or acknowledgement, the last expected firing or delivery, whichever
    is latest.
    """
    if test.run_until is not None:
        return test.run_until
    ends = [one.arrives for one in _all(test)] + [one.at for one in test.expect]
    ends += [one.at for one in (*(test.deliveries or ()), *test.acknowledgements)]
    return max(ends, default=0)


def _all(test: RuleTest) -> Iterator[Arrival]:
    for number, given in enumerate(test.events, 1):
        id_ = given.id or f"e{number}"
        arrives = given.at if given.arrives is None else given.arrives
        if given.repeat is None:
            yield Arrival(given, id_, given.at, arrives)
            continue
        for turn in range(given.repeat.times):
            shift = turn * given.repeat.every
            yield Arrival(given, f"{id_}-{turn + 1}", given.at + shift, arrives + shift)
