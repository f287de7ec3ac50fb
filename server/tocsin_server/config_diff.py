"""What an apply changes: created, updated field by field, deleted."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Content = Mapping[str, Mapping[str, Any]]
"""A configuration: section → name → what was written."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs; a side that is absent is None."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one named thing."""

    section: str
    name: str
    change: Literal["create", "update", "delete"]
    fields: tuple[FieldChange, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def merge(current: Content, written: Content, *, prune: bool) -> dict[str, dict[str, Any]]:
    """Return the configuration after files are applied; ``prune`` drops what they no longer define.

    Pruning touches only sections that the files have at all.
    """
    merged = {section: dict(names) for section, names in current.items()}
    for section, names in written.items():
        kept = {} if prune else merged.get(section, {})
        merged[section] = {**kept, **names}
    return {section: names for section, names in merged.items() if names}


def diff(before: Content, after: Content) -> tuple[Change, ...]:
    """Return what differs between two configurations, by section and name."""
    return tuple(_changes(before, after))


def _changes(before: Content, after: Content) -> Iterator[Change]:
    for section in sorted({*before, *after}):
        old, new = before.get(section, {}), after.get(section, {})
        for name in sorted({*old, *new}):
            if name not in old:
                yield Change(section, name, "create")
            elif name not in new:
                yield Change(section, name, "delete")
            elif old[name] != new[name]:
                yield Change(section, name, "update", tuple(_fields(old[name], new[name], "")))


def _fields(old: Any, new: Any, path: str) -> Iterator[FieldChange]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from _fields(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif old != new:
        yield FieldChange(path, old, new)
