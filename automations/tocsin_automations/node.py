"""The values of a file a user wrote, with the places where they stand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file; line and column count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True, eq=False)
class Scalar:
    """A text, number, truth value or nothing, and where it stands.

    ``written`` is the text as YAML has it. ``style`` is how it was written: empty for plain, else YAML's ``'``,
    ``"``, ``|`` or ``>``; ``indent`` is the column at which the lines of a ``|`` text begin.
    """

    value: str | int | float | bool | None
    place: Place
    written: str = ""
    style: str = ""
    indent: int = 0

    def plain(self) -> Any:
        """Return the value without places."""
        return self.value

    def inside(self, line: int, column: int) -> Place:
        """Return where a line and column of the text, both from 1, stand in the file.

        Exact for texts of one line and for ``|`` texts; elsewhere the place of the text as a whole.
        """
        if self.style == "|":
            return Place(self.place.line + line, self.indent + column)
        if line == 1 and self.style != ">":
            return Place(self.place.line, self.place.column + column - 1 + len(self.style))
        return self.place


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """A list, and where it stands."""

    items: "tuple[Node, ...]"
    place: Place

    def plain(self) -> Any:
        """Return the list without places."""
        return [item.plain() for item in self.items]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key's place, and its value."""

    place: Place
    node: "Node"


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A mapping, and where it stands; ``entries`` are in the order written."""

    entries: Mapping[str, Entry]
    place: Place

    def plain(self) -> Any:
        """Return the mapping without places."""
        return {key: entry.node.plain() for key, entry in self.entries.items()}

    def get(self, key: str) -> "Node | None":
        """Return the value at a key, or None."""
        entry = self.entries.get(key)
        return None if entry is None else entry.node


Node = Scalar | Sequence | Table


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and all nodes below it, in the order written."""
    yield node
    match node:
        case Sequence(items=items):
            for item in items:
                yield from walk(item)
        case Table(entries=entries):
            for entry in entries.values():
                yield from walk(entry.node)
