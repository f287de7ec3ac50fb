"""What a template sees (automations.md, section 2)."""

from collections.abc import Iterator, Mapping
from typing import Any

from tocsin_events.view import MISSING, EventView


class _ViewNames(Mapping[str, Any]):
    """The names of an event and some more, found when they are asked for."""

    def __init__(self, view: EventView | None, extra: Mapping[str, Any]) -> None:
        self._view = view
        self._extra = extra

    def __getitem__(self, name: str) -> Any:
        if name in self._extra:
            return self._extra[name]
        value = MISSING if self._view is None else self._view.resolve(name)
        if value is MISSING:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._extra)

    def __len__(self) -> int:
        return len(self._extra)


def template_names(view: EventView | None, **extra: Any) -> Mapping[str, Any]:
    """Return the names that a template sees: ``extra`` first, then those of the event.

    Without an event only ``extra`` is there. Iterating gives ``extra`` alone: which resources an event names is open.
    """
    return _ViewNames(view, extra)
