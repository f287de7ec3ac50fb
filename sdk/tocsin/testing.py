"""For tests of flows: see which events they emit, without disk or network."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tocsin import emitter
from tocsin.links import LogRecord


@dataclass(frozen=True, slots=True)
class Emitted:
    """An event that was emitted: its parts, with ``data`` as it was given to `emit`."""

    type: str
    id: str
    resource: dict[str, Any] | None
    related: tuple[dict[str, Any], ...]
    data: Any
    body: bytes = field(repr=False)


class CapturedEvents(list[Emitted]):
    """The events emitted so far, in order."""

    @property
    def types(self) -> list[str]:
        """Their types."""
        return [event.type for event in self]

    def of_type(self, type_: str) -> list[Emitted]:
        """Return those of a type."""
        return [event for event in self if event.type == type_]


@contextmanager
def capture_events() -> Iterator[CapturedEvents]:
    """Collect the events that this process emits inside, from whichever thread; none of them is sent.

    Example::

        with capture_events() as events:
            etl()
        assert events.types[-1] == "flow-run.completed"

    """
    captured = CapturedEvents()
    previous = emitter.replace(emitter.Emitter(_Collector(captured), emitter.process_source()))
    try:
        yield captured
    finally:
        emitter.replace(previous)


class _Collector:
    def __init__(self, captured: CapturedEvents) -> None:
        self._captured = captured

    def keep(self, body: bytes) -> None:
        event = msgspec.json.decode(body)
        data = event["data"]
        self._captured.append(
            Emitted(
                event["type"], event["id"], data["resource"], tuple(data["related"]), data["payload"], body
            )
        )

    def log(self, record: LogRecord) -> None:
        pass

    def flush(self, timeout: float) -> bool:  # noqa: ARG002 - a carrier's signature
        return True

    def close(self, timeout: float) -> None:
        pass

    def forget(self) -> None:
        pass
