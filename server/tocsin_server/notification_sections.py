"""The part of a configuration that is about notifications."""

from collections.abc import Iterator, Mapping
from typing import Any


def sections_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a configuration that is about notifications, as its room reads it."""
    return {
        "notifiers": content.get("notifiers", {}),
        "quiet_hours": content.get("quiet_hours", {}),
        "inhibit": content.get("inhibit", {}).get("all", []),
    }


def secret_names(value: Any) -> Iterator[str]:
    """Yield the names in every ``{secret: name}`` below a value."""
    if isinstance(value, Mapping):
        if set(value) == {"secret"} and isinstance(value["secret"], str):
            yield value["secret"]
        for one in value.values():
            yield from secret_names(one)
    elif isinstance(value, list):
        for one in value:
            yield from secret_names(one)
