"""What can be said about an expression before any event comes: errors, and warnings about likely mistakes."""

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tocsin_events.expression.compiled import Expression, compile_expression
from tocsin_events.expression.problem import ExpressionSyntaxError
from tocsin_events.expression.static_types import (
    EVENT_FIELDS,
    KINDS,
    NAMES,
    RESOURCE_FIELDS,
    certain_type,
    type_error,
)
from tocsin_events.expression.tree import Comprehension, Has, Index, Name, Node, Select, path_of, walk
from tocsin_events.expression.values import TYPES, Fault
from tocsin_events.view import MISSING

_CLOSE = 0.75


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found in an expression; ``line`` and ``column`` count from 1."""

    message: str
    severity: Literal["error", "warning"]
    line: int
    column: int


def check(text: str, *, condition: bool = False, names: Iterable[str] = ()) -> list[Finding]:
    """Return what is wrong or doubtful in an expression, errors first; empty where it is fine.

    Set ``condition`` where the expression has to be true or false. ``names`` are further top-level names that are
    known in its place. A name that nobody knows is no error, since outside kinds are open; one that is nearly the
    same as a known one is a warning.
    """
    try:
        expression = compile_expression(text)
    except ExpressionSyntaxError as problem:
        return [Finding(problem.message, "error", problem.line, problem.column)]
    found = _Findings(text)
    _check_types(expression.root, found)
    kind = certain_type(expression.root)
    if condition and kind not in (None, "bool"):
        found.add(f"a condition is true or false; this is {kind}", "error", expression.root)
    _check_names(expression.root, NAMES | set(names), found)
    if not found.has_errors:
        _check_sense(expression, found)
    return found.sorted()


class _Findings:
    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[Finding, None] = {}

    @property
    def has_errors(self) -> bool:
        return any(one.severity == "error" for one in self._found)

    def add(self, message: str, severity: Literal["error", "warning"], node: Node) -> None:
        place = ExpressionSyntaxError.at(message, self._text, node.start)
        self._found[Finding(message, severity, place.line, place.column)] = None

    def source(self, node: Node) -> str:
        return " ".join(self._text[node.start : node.end].split())

    def sorted(self) -> list[Finding]:
        return sorted(self._found, key=lambda one: (one.severity, one.line, one.column))


def _with_variables(root: Node) -> Iterator[tuple[Node, frozenset[str]]]:
    """Yield every part with the macro variables that it sees."""
    todo: list[tuple[Node, frozenset[str]]] = [(root, frozenset())]
    while todo:
        node, variables = todo.pop()
        yield node, variables
        inner = variables | {node.variable} if isinstance(node, Comprehension) else variables
        todo.extend((child, inner if place else variables) for place, child in enumerate(node.children()))


def _check_types(root: Node, found: _Findings) -> None:
    for node, variables in _with_variables(root):
        if (problem := type_error(node, variables)) is not None:
            found.add(f"{found.source(node)}: {problem}", "error", node)


def _check_names(root: Node, known: frozenset[str], found: _Findings) -> None:
    inner: set[int] = set()
    for node, variables in _with_variables(root):
        if id(node) in inner or not isinstance(node, Name | Select | Index):
            continue
        path = path_of(node, variables)
        if path is None:
            continue
        inner.update(id(below) for below in walk(node))
        if path[0] not in TYPES and ".".join(path) not in TYPES:
            _check_path(path, node, known, found)


def _check_path(path: tuple[str, ...], node: Node, known: frozenset[str], found: _Findings) -> None:
    root = path[0]
    if root not in known:
        near = difflib.get_close_matches(root, sorted(known), 1, _CLOSE)
        if near:
            found.add(f"{root} is no name that Tocsin knows; did you mean {near[0]}?", "warning", node)
        return
    fields = (
        EVENT_FIELDS if root == "event" else RESOURCE_FIELDS if root == "resource" or root in KINDS else None
    )
    if fields is not None and len(path) > 1 and path[1] not in fields:
        near = difflib.get_close_matches(path[1], sorted(fields), 1, 0.5)
        hint = f"did you mean {root}.{near[0]}?" if near else f"it has {', '.join(fields)}"
        found.add(f"{root} has no field {path[1]}; {hint}", "warning", node)


class _Nothing:
    """Names of which none has a value."""

    def resolve(self, name: str) -> Any:  # noqa: ARG002 - the interface of names
        return MISSING


def _check_sense(expression: Expression, found: _Findings) -> None:
    root = expression.root
    value = expression.matches(_Nothing())
    # What is false although every name is missing is false whatever comes.
    if value is False and not any(_asks_for_presence(node) for node in walk(root)):
        found.add(f"{found.source(root)} is never true", "warning", root)
    elif (
        not any(isinstance(node, Name) for node in walk(root))
        and certain_type(root) == "bool"
        and isinstance(value, Fault)
    ):
        found.add(f"{found.source(root)} always fails: {value.reason}", "error", root)
    _check_contradictions(expression, found)


def _asks_for_presence(node: Node) -> bool:
    return isinstance(node, Has) and isinstance(node.operand, Name)


def _check_contradictions(expression: Expression, found: _Findings) -> None:
    wanted: dict[tuple[str, ...], tuple[frozenset[Any], str]] = {}
    for conjunct in expression.conjuncts:
        if conjunct.path is None or conjunct.constants is None:
            continue
        before = wanted.get(conjunct.path)
        both = conjunct.constants if before is None else before[0] & conjunct.constants
        if not both:
            reason = "an empty list has no elements" if before is None else "they exclude each other"
            sources = conjunct.source if before is None else f"{before[1]} && {conjunct.source}"
            found.add(f"{sources} is never true: {reason}", "warning", expression.root)
        wanted[conjunct.path] = (both, conjunct.source)
