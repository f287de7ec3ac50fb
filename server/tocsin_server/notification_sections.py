"""The part of a configuration that is about notifications."""

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str | int, ...]


def sections_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a configuration that is about notifications, as its room reads it."""
    return {
        "notifiers": content.get("notifiers", {}),
        "quiet_hours": content.get("quiet_hours", {}),
        "inhibit": content.get("inhibit", {}).get("all", []),
    }


def secret_names(value: Any) -> Iterator[str]:
    """Yield the names in every ``{secret: name}`` below a value."""
    return (name for _, name in secret_places(value))


def secret_places(value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Yield the path to every ``{secret: name}`` below a value, and the name in it."""
    if isinstance(value, Mapping):
        if set(value) == {"secret"} and isinstance(value["secret"], str):
            yield path, value["secret"]
        for key, one in value.items():
            yield from secret_places(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from secret_places(one, (*path, number))
