"""Why an expression has the value that it has: a tree of its conditions with their values and operands."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tocsin_events.expression.budget import BudgetExceededError
from tocsin_events.expression.conversions import written_duration, written_timestamp
from tocsin_events.expression.lower import Lowering
from tocsin_events.expression.paths import written_path
from tocsin_events.expression.tree import (
    Comprehension,
    Conditional,
    Has,
    Index,
    Logic,
    Name,
    Node,
    Select,
    Unary,
    path_of,
)
from tocsin_events.expression.values import FAILURES, TYPES, Absent, Fault, plain

_SHOWN: Final = 200
_TOO_MUCH: Final = Fault("too many steps (budget exceeded)")


@dataclass(frozen=True, slots=True)
class Operand:
    """A path in a condition, and what it led to."""

    name: str
    value: Any

    def __str__(self) -> str:
        return (
            f"{self.name} is missing"
            if isinstance(self.value, Absent)
            else f"{self.name} is {written(self.value)}"
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """A condition, its value, the operands in it, and the conditions that it is made of.

    ``value`` is plain Python, `Absent` or `Fault`.
    """

    source: str
    value: Any
    operands: tuple[Operand, ...]
    parts: tuple["Explanation", ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self, indent: int = 0) -> list[str]:
        """Return the tree as lines of text, the parts of a condition indented below it."""
        line = f"{'  ' * indent}{self.summary}"
        return [line, *(below for part in self.parts for below in part.lines(indent + 1))]

    @property
    def summary(self) -> str:
        """The condition in one line: ``data.rows > 3 is false: data.rows is 2``."""
        match self.value:
            case Absent(name):
                outcome = f"has no value: {name} is missing"
            case Fault(reason):
                outcome = f"failed: {reason}"
            case _:
                outcome = f"is {written(self.value)}"
        shown = [] if self.parts else [str(one) for one in self.operands]
        if isinstance(self.value, Absent):
            shown = [one for one in shown if not one.startswith(f"{self.value.name} is missing")]
        tail = "; " if isinstance(self.value, Absent | Fault) else ": "
        return f"{' '.join(self.source.split())} {outcome}" + (tail + ", ".join(shown) if shown else "")

    def to_json(self) -> dict[str, Any]:
        """Return the tree as JSON values."""
        tree: dict[str, Any] = {"source": self.source, "value": _json(self.value)}
        if isinstance(self.value, Absent):
            tree["missing"] = self.value.name
        if isinstance(self.value, Fault):
            tree["fault"] = self.value.reason
        if self.operands:
            tree["operands"] = [
                {"name": one.name, "missing": True}
                if isinstance(one.value, Absent)
                else {"name": one.name, "value": _json(one.value)}
                for one in self.operands
            ]
        if self.parts:
            tree["parts"] = [part.to_json() for part in self.parts]
        return tree


def explain(text: str, root: Node, names: Any) -> Explanation:
    """Return why an expression has its value for these names."""
    return _explained(text, root, names)


def written(value: Any) -> str:
    """Return a value as it would be written in an expression, cut where it is long."""
    match value:
        case Absent() | Fault():
            return str(value)
        case datetime():
            return f'timestamp("{written_timestamp(value)}")'
        case timedelta():
            return f'duration("{written_duration(value)}")'
        case _:
            text = json.dumps(_json(value), ensure_ascii=False, default=str)
            return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _explained(text: str, node: Node, names: Any) -> Explanation:
    match node:
        case Logic():
            below = node.parts
        case Unary(operator="!", operand=Logic() | Unary() as operand):
            below = (operand,)
        case Conditional():
            below = (node.condition,)
        case _:
            below = ()
    return Explanation(
        text[node.start : node.end],
        _value(text, node, names),
        tuple(Operand(written_path(path), _value(text, one, names)) for path, one in _paths(node).items()),
        tuple(_explained(text, part, names) for part in below),
    )


def _value(text: str, node: Node, names: Any) -> Any:
    lowering = Lowering(text)
    closure = lowering.lower(node)
    try:
        value = closure(names, lowering.new_scope())
    except (BudgetExceededError, RecursionError):
        return _TOO_MUCH
    return value if value.__class__ in FAILURES else plain(value)


def _paths(root: Node) -> dict[tuple[str, ...], Node]:
    """Return the paths in a condition, those of macro variables left out."""
    paths: dict[tuple[str, ...], Node] = {}
    todo: list[tuple[Node, frozenset[str]]] = [(root, frozenset())]
    while todo:
        node, variables = todo.pop()
        path = path_of(node, variables) if isinstance(node, Name | Select | Index) else None
        if path is not None:
            if path[0] not in TYPES and ".".join(path) not in TYPES:
                paths.setdefault(path, node)
            continue
        if isinstance(node, Has) and path_of(node.operand, variables) is not None:
            todo.append((node.operand, variables))
            continue
        inner = variables | {node.variable} if isinstance(node, Comprehension) else variables
        for place, child in reversed(list(enumerate(node.children()))):
            todo.append((child, variables if place == 0 else inner))
    return paths


def _json(value: Any) -> Any:
    match value:
        case Absent() | Fault():
            return None
        case datetime():
            return written_timestamp(value)
        case timedelta():
            return written_duration(value)
        case bytes():
            return value.decode(errors="replace")
        case list():
            return [_json(one) for one in value]
        case dict():
            return {str(key): _json(one) for key, one in value.items()}
        case _:
            return value
