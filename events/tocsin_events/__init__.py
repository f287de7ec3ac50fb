"""What happened: the event, the bus, the log of events, and the two languages that speak about events.

Importing this package loads no submodule: `Event` and `Resource` are found when they are first asked for, so that a
flow's author pays for nothing that a flow does not use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin_events.event import Event
    from tocsin_events.resource import RelatedResource, Resource

__all__ = ["Event", "RelatedResource", "Resource"]

_HOMES = {"Event": "event", "RelatedResource": "resource", "Resource": "resource"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"tocsin_events.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
