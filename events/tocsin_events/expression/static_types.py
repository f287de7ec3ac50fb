"""What type a part of an expression certainly has, before any event comes.

Only what cannot be otherwise is said: fields whose types the event's form fixes, literals, and the results of
operators and functions. Everything else (the payload above all) is unknown, None.
"""

from typing import Any, Final

from tocsin_events.expression.tree import (
    Binary,
    Call,
    Comprehension,
    Conditional,
    Has,
    ListLiteral,
    Literal,
    Logic,
    MapLiteral,
    Node,
    Unary,
    path_of,
)
from tocsin_events.expression.values import spoken_type

KINDS: Final = frozenset(
    [
        "flow",
        "flow_run",
        "task_run",
        "deployment",
        "work_pool",
        "work_queue",
        "worker",
        "automation",
        "schedule",
        "alert",
        "notification",
        "silence",
        "webhook",
        "service",
        "config",
        "dead_letter",
    ]
)
"""The kinds of our own resources, as names."""

EVENT_FIELDS: Final = {
    "id": "string", "type": "string", "source": "string", "time": "timestamp", "received": "timestamp",
    "data": None, "follows": "string", "cause": "string",
}  # fmt: skip
RESOURCE_FIELDS: Final = {
    "id": "string", "kind": "string", "name": "string", "labels": "map", "tags": "list", "role": "string",
}  # fmt: skip
NAMES: Final = frozenset({"event", "data", "resource", "related", "tags"}) | KINDS
"""The top-level names that we know."""

_NUMERIC: Final = frozenset({"int", "uint", "double"})
_ARITHMETIC: Final = {
    "+": {("int", "int"): "int", ("uint", "uint"): "uint", ("double", "double"): "double", ("string", "string"): "string",
          ("bytes", "bytes"): "bytes", ("list", "list"): "list", ("timestamp", "duration"): "timestamp",
          ("duration", "timestamp"): "timestamp", ("duration", "duration"): "duration"},
    "-": {("int", "int"): "int", ("uint", "uint"): "uint", ("double", "double"): "double",
          ("timestamp", "timestamp"): "duration", ("timestamp", "duration"): "timestamp",
          ("duration", "duration"): "duration"},
    "*": {("int", "int"): "int", ("uint", "uint"): "uint", ("double", "double"): "double"},
    "/": {("int", "int"): "int", ("uint", "uint"): "uint", ("double", "double"): "double"},
    "%": {("int", "int"): "int", ("uint", "uint"): "uint"},
}  # fmt: skip
_ORDERED: Final = frozenset({"string", "bool", "bytes", "timestamp", "duration"})
_RESULTS: Final = {
    "size": "int", "contains": "bool", "startsWith": "bool", "endsWith": "bool", "matches": "bool",
    "lowerAscii": "string", "upperAscii": "string", "trim": "string",
    "int": "int", "uint": "uint", "double": "double", "bool": "bool", "string": "string", "bytes": "bytes",
    "timestamp": "timestamp", "duration": "duration", "type": "type",
}  # fmt: skip
_TEXT_FUNCTIONS: Final = frozenset(
    {"contains", "startsWith", "endsWith", "matches", "lowerAscii", "upperAscii", "trim"}
)


def certain_type(node: Node, variables: frozenset[str] = frozenset()) -> str | None:
    """Return the type that a part certainly has if it has a value at all, or None."""
    match node:
        case Literal():
            return spoken_type(node.value)
        case Logic() | Has() | Unary(operator="!"):
            return "bool"
        case Unary():
            return certain_type(node.operand, variables)
        case ListLiteral():
            return "list"
        case MapLiteral():
            return "map"
        case Comprehension():
            return "bool" if node.macro in ("all", "exists", "exists_one") else "list"
        case Conditional():
            then, otherwise = certain_type(node.then, variables), certain_type(node.otherwise, variables)
            return then if then == otherwise else None
        case Call():
            return "int" if node.function.startswith("get") else _RESULTS.get(node.function)
        case Binary():
            return _of_operator(node, variables)
        case _:
            path = path_of(node, variables)
            return None if path is None else _of_path(path)


def type_error(node: Node, variables: frozenset[str]) -> str | None:
    """Return what is certainly wrong with the types in one part, or None."""
    match node:
        case Binary():
            return _operator_error(node, variables)
        case Call(function=function, args=args) if function in _TEXT_FUNCTIONS:
            wrong = [
                kind
                for kind in (certain_type(arg, variables) for arg in args)
                if kind not in (None, "string")
            ]
            return f"{function} works on texts, not on {wrong[0]}" if wrong else None
        case Logic(parts=parts):
            wrong = [
                kind
                for kind in (certain_type(part, variables) for part in parts)
                if kind not in (None, "bool")
            ]
            return f"{node.operator} joins conditions; one of these is {wrong[0]}" if wrong else None
        case _:
            return None


def _of_path(path: tuple[str, ...]) -> str | None:
    match path:
        case ("event", field):
            return EVENT_FIELDS.get(field)
        case ("tags",) | ("related",):
            return "list"
        case ("event",) | ("resource",):
            return "map"
        case (root, field) if root == "resource" or root in KINDS:
            return RESOURCE_FIELDS.get(field)
        case (root, "labels", _) if root == "resource" or root in KINDS:
            return "string"
        case _:
            return None


def _of_operator(node: Binary, variables: frozenset[str]) -> str | None:
    table: dict[tuple[Any, Any], str] | None = _ARITHMETIC.get(node.operator)
    if table is None:
        return "bool"
    return table.get((certain_type(node.left, variables), certain_type(node.right, variables)))


def _operator_error(node: Binary, variables: frozenset[str]) -> str | None:
    left, right = certain_type(node.left, variables), certain_type(node.right, variables)
    if node.operator == "in":
        return (
            f"in looks into a list or a map, not into {right}" if right not in (None, "list", "map") else None
        )
    if left is None or right is None:
        return None
    if node.operator in ("==", "!="):
        if left == right or "null" in (left, right) or {left, right} <= _NUMERIC:
            return None
        return f"{left} is never equal to {right}"
    if node.operator in _ARITHMETIC:
        known = (left, right) in _ARITHMETIC[node.operator]
    else:
        known = {left, right} <= _NUMERIC or (left == right and left in _ORDERED)
    return None if known else f"{node.operator} is not defined for {left} and {right}"
