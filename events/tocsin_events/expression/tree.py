"""The tree of an expression: what the parser makes, and what lowering, checks and explanations walk.

Every node knows its place in the text as ``start`` and ``end`` offsets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression, from offset ``start`` to ``end`` of its text."""

    start: int
    end: int

    def children(self) -> tuple["Node", ...]:
        """Return the parts that this one is made of, in reading order."""
        return ()


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value that is written out."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A name: of the event's parts, of a macro's variable, or of a type.

    A ``rooted`` one is written with a dot before it and is never a macro's variable.
    """

    name: str
    rooted: bool = False


@dataclass(frozen=True, slots=True)
class Select(Node):
    """``operand.field``."""

    operand: Node
    field: str

    def children(self) -> tuple[Node, ...]:
        """Return the operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Has(Node):
    """``has(operand.field)``, or ``has(name)``."""

    operand: Node

    def children(self) -> tuple[Node, ...]:
        """Return the operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Index(Node):
    """``operand[key]``."""

    operand: Node
    key: Node

    def children(self) -> tuple[Node, ...]:
        """Return operand and key."""
        return (self.operand, self.key)


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function with its arguments; ``member`` where the first was written before the dot."""

    function: str
    args: tuple[Node, ...]
    member: bool

    def children(self) -> tuple[Node, ...]:
        """Return the arguments."""
        return self.args


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An operator between two operands: ``+ - * / % == != < <= > >= in``."""

    operator: str
    left: Node
    right: Node

    def children(self) -> tuple[Node, ...]:
        """Return both operands."""
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``!operand`` or ``-operand``."""

    operator: str
    operand: Node

    def children(self) -> tuple[Node, ...]:
        """Return the operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """``&&`` or ``||`` over two or more parts."""

    operator: str
    parts: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        """Return the parts."""
        return self.parts


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """``condition ? then : otherwise``."""

    condition: Node
    then: Node
    otherwise: Node

    def children(self) -> tuple[Node, ...]:
        """Return all three."""
        return (self.condition, self.then, self.otherwise)


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """``[a, b]``."""

    items: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        """Return the items."""
        return self.items


@dataclass(frozen=True, slots=True)
class MapLiteral(Node):
    """``{key: value}``."""

    entries: tuple[tuple[Node, Node], ...]

    def children(self) -> tuple[Node, ...]:
        """Return keys and values in turn."""
        return tuple(part for entry in self.entries for part in entry)


@dataclass(frozen=True, slots=True)
class Comprehension(Node):
    """A macro over the elements of ``range``: ``all, exists, exists_one, filter`` or ``map``.

    ``body`` is the condition, or for ``map`` the result; ``condition`` is the optional filter of ``map``.
    """

    macro: str
    range: Node
    variable: str
    body: Node
    condition: Node | None = None

    def children(self) -> tuple[Node, ...]:
        """Return range, condition and body."""
        return (self.range, self.body) if self.condition is None else (self.range, self.condition, self.body)


def walk(node: Node) -> Iterator[Node]:
    """Yield a node and everything below it."""
    todo = [node]
    while todo:
        one = todo.pop()
        yield one
        todo.extend(reversed(one.children()))


def path_of(node: Node, variables: frozenset[str] = frozenset()) -> tuple[str, ...] | None:
    """Return the names of a plain path such as ``deployment.labels["env"]``, or None where it is something else.

    ``variables`` are the macro variables in scope: a path does not start at one of those.
    """
    names: list[str] = []
    while True:
        match node:
            case Select():
                names.append(node.field)
                node = node.operand
            case Index(key=Literal(value=str() as key)):
                names.append(key)
                node = node.operand
            case Name():
                if node.name in variables and not node.rooted:
                    return None
                return (node.name, *reversed(names))
            case _:
                return None
