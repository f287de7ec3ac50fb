"""From tree to closures: each part of an expression becomes a Python function ``f(names, scope) -> value``.

``names`` is anything with ``resolve(name)``; ``scope`` is a list of the steps left and the values of macro variables.
Closures return failures like values and never raise, but for `BudgetExceededError`. The common shapes (a path, a path
compared with a constant, a chain of two conditions) have closures of their own: this is the hot path of the engine.
"""

import difflib
from collections.abc import Callable
from typing import Any, Final, NoReturn

from tocsin_events.expression import closures, functions, macros, operators
from tocsin_events.expression.budget import MAX_STEPS, Scope
from tocsin_events.expression.paths import absent_at, field_closure, field_of_variable, path_closure
from tocsin_events.expression.problem import ExpressionSyntaxError
from tocsin_events.expression.tree import (
    Binary,
    Call,
    Comprehension,
    Conditional,
    Has,
    Index,
    ListLiteral,
    Literal,
    Logic,
    MapLiteral,
    Name,
    Node,
    Select,
    Unary,
    path_of,
    walk,
)
from tocsin_events.expression.values import FAILURES, SCALARS, TYPES, Absent, Fault
from tocsin_events.view import MISSING

Closure = Callable[[Any, Scope], Any]


class Lowering:
    """The lowering of one expression; ``text`` is what its nodes point into."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.variables: dict[str, int] = {}
        self.slots = 1

    def lower(self, node: Node) -> Closure:
        """Return the closure of a node.

        Raises:
            ExpressionSyntaxError: it calls what doesn't exist.

        """
        return _LOWERINGS[node.__class__](self, node)

    def fail(self, message: str, node: Node) -> NoReturn:
        """Refuse a node."""
        raise ExpressionSyntaxError.at(message, self.text, node.start)

    def new_scope(self) -> Scope:
        """Return the scope that an evaluation starts with."""
        return [MAX_STEPS] + [None] * (self.slots - 1)

    def bind(self, variable: str) -> int:
        """Take a slot for a macro variable."""
        slot = self.variables[variable] = self.slots
        self.slots += 1
        return slot

    def source(self, node: Node) -> str:
        """Return the text of a node."""
        return self.text[node.start : node.end]

    def _literal(self, node: Literal) -> Closure:
        return closures.constant(node.value)

    def _name(self, node: Name) -> Closure:
        if node.name in self.variables and not node.rooted:
            return closures.variable(self.variables[node.name])
        if node.name in TYPES:
            return closures.constant(TYPES[node.name])
        return path_closure((node.name,))

    def _select(self, node: Select) -> Closure:
        operand = node.operand
        if (path := path_of(node, frozenset(self.variables))) is not None:
            if (type_value := TYPES.get(".".join(path))) is not None:
                return closures.constant(type_value)
            return path_closure(path)
        if isinstance(operand, Name):
            return field_of_variable(
                self.variables[operand.name], node.field, self.source(node), operand.name
            )
        return field_closure(self.lower(operand), node.field, self.source(node), self.source(operand))

    def _has(self, node: Has) -> Closure:
        inner = node.operand
        if isinstance(inner, Name):
            if inner.name in self.variables and not inner.rooted:
                self.fail("has(…) takes one path that ends in a name, as in has(x.rows)", node)
            name = inner.name
            return lambda names, _scope: names.resolve(name) is not MISSING
        assert isinstance(inner, Select)
        operand, field = self.lower(inner.operand), inner.field
        absent, source = Absent(self.source(inner)), self.source(inner.operand)

        def run(names: Any, scope: Scope) -> Any:
            value = operand(names, scope)
            return field in value if value.__class__ is dict else absent_at(value, absent, source)

        return run

    def _index(self, node: Index) -> Closure:
        if (path := path_of(node, frozenset(self.variables))) is not None:
            return path_closure(path)
        return closures.index(self.lower(node.operand), self.lower(node.key), self.source(node.operand))

    def _call(self, node: Call) -> Closure:
        table = functions.MEMBER if node.member else functions.GLOBAL
        function = table.get((node.function, len(node.args)))
        if function is None:
            self._no_function(node)
        if node.function == "matches" and isinstance(node.args[1], Literal):
            return self._constant_pattern(node)
        return closures.call(function, [self.lower(arg) for arg in node.args])

    def _no_function(self, node: Call) -> NoReturn:
        table = functions.MEMBER if node.member else functions.GLOBAL
        name = node.function
        if name in ("all", "exists", "exists_one", "filter", "map") and node.member:
            self.fail(f"{name} takes a name and a condition, as in data.files.{name}(f, f.size > 0)", node)
        if any(known == name for known, _ in table):
            self.fail(f"{name}(…) does not take that many arguments", node)
        if any(known == name for known, _ in (functions.GLOBAL if node.member else functions.MEMBER)):
            written = f"{name}(x)" if node.member else f"x.{name}(…)"
            self.fail(f"{name} is written {written}", node)
        near = difflib.get_close_matches(name, {known for known, _ in table}, 1)
        self.fail(f"there is no function {name}" + (f"; did you mean {near[0]}?" if near else ""), node)

    def _constant_pattern(self, node: Call) -> Closure:
        pattern = node.args[1]
        assert isinstance(pattern, Literal)
        program = functions.compile_pattern(pattern.value) if pattern.value.__class__ is str else None
        if program is None:
            self.fail("matches(…) takes a regular expression as text", pattern)
        if program.__class__ is Fault:
            self.fail(program.reason, pattern)
        text = self.lower(node.args[0])

        def run(names: Any, scope: Scope) -> Any:
            value = text(names, scope)
            return value if value.__class__ in FAILURES else functions.search(scope, value, program)

        return run

    def _binary(self, node: Binary) -> Closure:
        if (fast := self._with_constant(node)) is not None:
            return fast
        return closures.operation(
            operators.binary(node.operator), self.lower(node.left), self.lower(node.right)
        )

    def _with_constant(self, node: Binary) -> Closure | None:
        """Return the closure of a comparison with a constant, where it has a shape of its own."""
        match node:
            case (
                Binary(operator="==" | "!=" as operator, left=Literal(value=value), right=other)
                | Binary(operator="==" | "!=" as operator, left=other, right=Literal(value=value))
            ) if value.__class__ in SCALARS:
                return (closures.equals if operator == "==" else closures.differs)(self.lower(other), value)
            case Binary(
                operator="<" | "<=" | ">" | ">=" as operator,
                left=other,
                right=Literal(value=int() | float() as value),
            ):
                return closures.ordered(operator, self.lower(other), value)
            case Binary(operator="in", left=other, right=ListLiteral(items=items)):
                texts = [
                    item.value for item in items if isinstance(item, Literal) and item.value.__class__ is str
                ]
                if len(texts) == len(items):
                    return closures.one_of(self.lower(other), frozenset(texts))
            case Binary(operator="in", left=Literal(value=str() as text), right=other):
                return closures.holds(text, self.lower(other))
        return None

    def _unary(self, node: Unary) -> Closure:
        make = closures.negation if node.operator == "-" else closures.inversion
        return make(self.lower(node.operand))

    def _logic(self, node: Logic) -> Closure:
        return closures.chain([self.lower(part) for part in node.parts], absorbing=node.operator == "||")

    def _conditional(self, node: Conditional) -> Closure:
        return closures.choice(*(self.lower(part) for part in node.children()))

    def _list(self, node: ListLiteral) -> Closure:
        return closures.list_of([self.lower(item) for item in node.items])

    def _map(self, node: MapLiteral) -> Closure:
        return closures.map_of([(self.lower(key), self.lower(value)) for key, value in node.entries])

    def _comprehension(self, node: Comprehension) -> Closure:
        source = self.lower(node.range)
        outer = dict(self.variables)
        slot = self.bind(node.variable)
        condition = None if node.condition is None else self.lower(node.condition)
        body = self.lower(node.body)
        self.variables = outer
        cost = sum(1 for part in node.children()[1:] for _ in walk(part))
        return macros.lower_macro(node.macro, source, slot, condition, body, cost)


_LOWERINGS: Final[dict[type, Callable[[Lowering, Any], Closure]]] = {
    Literal: Lowering._literal,
    Name: Lowering._name,
    Select: Lowering._select,
    Has: Lowering._has,
    Index: Lowering._index,
    Call: Lowering._call,
    Binary: Lowering._binary,
    Unary: Lowering._unary,
    Logic: Lowering._logic,
    Conditional: Lowering._conditional,
    ListLiteral: Lowering._list,
    MapLiteral: Lowering._map,
    Comprehension: Lowering._comprehension,
}
