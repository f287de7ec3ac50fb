"""The conditions of a chain of ``&&``, and which of them an index can answer."""

from dataclasses import dataclass
from typing import Any, Final

from tocsin_events.expression.paths import Path, index_key
from tocsin_events.expression.tree import Binary, ListLiteral, Literal, Logic, Node, path_of
from tocsin_events.expression.values import TYPES
from tocsin_events.view import MISSING

_EXACT: Final = 2**53
"""From here on a double does not tell all integers apart."""


@dataclass(frozen=True, slots=True)
class Form:
    """A condition that a path has one of some constants, as keys of the rule index."""

    path: Path
    constants: frozenset[Any]


def parts_of(node: Node) -> tuple[Node, ...]:
    """Return the parts of a top-level chain of ``&&``, or the node itself."""
    return node.parts if isinstance(node, Logic) and node.operator == "&&" else (node,)


def indexable(node: Node) -> Form | None:
    """Return a condition as path and constants, where it is ``path == constant`` or ``path in [constants]``."""
    match node:
        case Binary(operator="==", left=left, right=Literal() as constant):
            return _form(left, (constant,))
        case Binary(operator="==", left=Literal() as constant, right=right):
            return _form(right, (constant,))
        case Binary(operator="in", left=left, right=ListLiteral(items=items)):
            return _form(left, items)
        case _:
            return None


def _form(node: Node, constants: tuple[Node, ...]) -> Form | None:
    path = path_of(node)
    if path is None or path[0] in TYPES:
        return None
    keys = frozenset(_key(one) for one in constants)
    return None if MISSING in keys else Form(path, keys)


def _key(node: Node) -> Any:
    """Return a constant as a key; large numbers are none, since the language compares them as doubles."""
    if not isinstance(node, Literal) or (isinstance(node.value, int | float) and abs(node.value) >= _EXACT):
        return MISSING
    return index_key(node.value)
