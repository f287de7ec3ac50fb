"""From text to tree, by cel-python's grammar.

cel-python reads the text; its tree, which has a level for each rule of the grammar, is folded here into one with a
node for each thing that is said. Chains of ``&&`` and ``||`` become one node; macros are recognised.
"""

from collections.abc import Callable
from typing import Any, Final

from tocsin_events.expression import grammar, lexis
from tocsin_events.expression.budget import MAX_DEPTH
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
)

_RESERVED: Final = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ]
)
_OPERATORS: Final = {
    "relation_lt": "<", "relation_le": "<=", "relation_gt": ">", "relation_ge": ">=", "relation_eq": "==",
    "relation_ne": "!=", "relation_in": "in", "addition_add": "+", "addition_sub": "-",
    "multiplication_mul": "*", "multiplication_div": "/", "multiplication_mod": "%",
}  # fmt: skip
_MACROS: Final = {"all": (2,), "exists": (2,), "exists_one": (2,), "filter": (2,), "map": (2, 3)}
_CHAINS: Final = {"conditionalor": "||", "conditionaland": "&&"}


def parse(text: str) -> Node:
    """Return the tree of an expression.

    Raises:
        ExpressionSyntaxError: the text is no expression, or too large a one.

    """
    blanked, strings = lexis.read(text)
    raw = grammar.read(text, blanked)
    try:
        folded = _Folding(text, strings).fold(raw, 0)
    except RecursionError:
        raise ExpressionSyntaxError.at("the expression is nested too deeply", text, 0) from None
    _check_depth(folded, text)
    return folded


class _Folding:
    def __init__(self, text: str, strings: dict[int, str | bytes]) -> None:
        self.text = text
        self.strings = strings

    def fold(self, tree: Any, depth: int) -> Node:
        if depth > 2 * MAX_DEPTH:
            raise self._too_deep(tree)
        rule = tree.data
        while len(tree.children) == 1 and rule not in _LEAVES:
            tree = tree.children[0]
            rule = tree.data
        return _LEAVES.get(rule, _Folding._operator)(self, tree, depth + 1)

    def _operator(self, tree: Any, depth: int) -> Node:
        start, end = tree.meta.start_pos, tree.meta.end_pos
        rule = str(tree.data)
        if rule == "expr":
            condition, then, otherwise = (self.fold(child, depth) for child in tree.children)
            return Conditional(start, end, condition, then, otherwise)
        if rule in _CHAINS:
            return self._chain(tree, depth)
        if rule == "unary":
            return self._unary(tree, depth)
        return self._binary(tree, depth)

    def _chain(self, tree: Any, depth: int) -> Node:
        """Fold ``a && (b && c)`` into one node of three parts: the order of errors is the only thing it loses."""
        start, end = tree.meta.start_pos, tree.meta.end_pos
        rule, parts = tree.data, []
        while tree.data == rule and len(tree.children) > 1:
            parts.append(tree.children[1])
            tree = tree.children[0]
        parts.append(tree)
        operator = _CHAINS[rule]
        folded: list[Node] = []
        for part in reversed(parts):
            node = self.fold(part, depth)
            same = isinstance(node, Logic) and node.operator == operator
            folded.extend(node.children() if same else (node,))
        return Logic(start, end, operator, tuple(folded))

    def _unary(self, tree: Any, depth: int) -> Node:
        end = tree.meta.end_pos
        signs: list[tuple[int, str]] = []
        while tree.data == "unary" and len(tree.children) > 1:
            signs.append((tree.meta.start_pos, "!" if tree.children[0].data == "unary_not" else "-"))
            tree = tree.children[1]
        if len(signs) > MAX_DEPTH:
            raise self._too_deep(tree)
        node = self.fold(tree, depth)
        for start, sign in reversed(signs):
            node = Unary(start, end, sign, node)
        return node

    def _binary(self, tree: Any, depth: int) -> Node:
        start, rule = tree.meta.start_pos, tree.data
        rights: list[tuple[str, Any]] = []
        while tree.data == rule and len(tree.children) == 2:
            left, right = tree.children
            rights.append((_OPERATORS[left.data], right))
            tree = left.children[0]
        if len(rights) > MAX_DEPTH:
            raise self._too_deep(tree)
        node = self.fold(tree, depth)
        for operator, right in reversed(rights):
            node = Binary(start, right.meta.end_pos, operator, node, self.fold(right, depth))
        return node

    def _member(self, tree: Any, depth: int) -> Node:
        """Fold ``a.b[c].d(e)`` from its beginning on."""
        suffixes = []
        while tree.data in _SUFFIXES:
            suffixes.append(tree)
            tree = tree.children[0]
            while tree.data in ("member", "primary"):
                tree = tree.children[0]
        if len(suffixes) > MAX_DEPTH:
            raise self._too_deep(tree)
        node = self.fold(tree, depth)
        for suffix in reversed(suffixes):
            node = self._suffix(node, suffix, depth)
        return node

    def _suffix(self, operand: Node, suffix: Any, depth: int) -> Node:
        start, end = suffix.meta.start_pos, suffix.meta.end_pos
        match suffix.data:
            case "member_dot":
                return Select(start, end, operand, self._field(suffix.children[1]))
            case "member_index":
                return Index(start, end, operand, self.fold(suffix.children[1], depth))
            case "member_dot_arg":
                name = suffix.children[1]
                args = self._list(suffix.children[2:], depth)
                if name in _MACROS and len(args) in _MACROS[name]:
                    return self._macro(str(name), operand, args, start, end)
                return Call(start, end, self._field(name), (operand, *args), member=True)
            case _:
                raise self._error("messages such as Name{field: value} don't exist here; write a map", start)

    def _macro(self, macro: str, operand: Node, args: tuple[Node, ...], start: int, end: int) -> Node:
        variable = args[0]
        if not isinstance(variable, Name):
            raise self._error(f"the first part of {macro}(…) is a name for the element", variable.start)
        condition = args[1] if len(args) == 3 else None
        return Comprehension(start, end, macro, operand, variable.name, args[-1], condition)

    def _literal(self, tree: Any, depth: int) -> Node:  # noqa: ARG002 - one signature for all leaves
        token = tree.children[0]
        place, end = token.start_pos, token.end_pos
        if token.type in ("STRING_LIT", "MLSTRING_LIT", "BYTES_LIT"):
            if place not in self.strings:
                raise self._error("a string stands where none can be", place)
            return Literal(place, end, self.strings[place])
        if token.type == "NULL_LIT":
            return Literal(place, end, None)
        if token.type == "BOOL_LIT":
            return Literal(place, end, token.value == "true")
        try:
            return Literal(place, end, lexis.number(token.type, str(token)))
        except ValueError as problem:
            raise self._error(str(problem), place) from None

    def _name(self, tree: Any, depth: int) -> Node:  # noqa: ARG002 - one signature for all leaves
        token = tree.children[0]
        if token in _RESERVED:
            raise self._error(f"{str(token)!r} is a reserved word", token.start_pos)
        return Name(tree.meta.start_pos, tree.meta.end_pos, str(token), rooted=tree.data == "dot_ident")

    def _call(self, tree: Any, depth: int) -> Node:
        start, end, token = tree.meta.start_pos, tree.meta.end_pos, tree.children[0]
        if token in _RESERVED:
            raise self._error(f"{str(token)!r} is a reserved word", token.start_pos)
        args = self._list(tree.children[1:], depth)
        if token == "has":  # noqa: S105 - a token of the grammar
            if len(args) != 1 or not isinstance(args[0], Select | Name):
                raise self._error("has(…) takes one path that ends in a name, as in has(data.rows)", start)
            return Has(start, end, args[0])
        return Call(start, end, str(token), args, member=False)

    def _list_literal(self, tree: Any, depth: int) -> Node:
        return ListLiteral(tree.meta.start_pos, tree.meta.end_pos, self._list(tree.children, depth))

    def _map_literal(self, tree: Any, depth: int) -> Node:
        parts = [self.fold(child, depth) for group in tree.children for child in group.children]
        entries = tuple(zip(parts[::2], parts[1::2], strict=True))
        return MapLiteral(tree.meta.start_pos, tree.meta.end_pos, entries)

    def _list(self, groups: list[Any], depth: int) -> tuple[Node, ...]:
        return tuple(self.fold(child, depth) for group in groups for child in group.children)

    def _field(self, token: Any) -> str:
        if token in ("in", "true", "false", "null"):
            raise self._error(f'{str(token)!r} can\'t follow a dot; write ["{token}"]', token.start_pos)
        return str(token)

    def _error(self, message: str, place: int) -> ExpressionSyntaxError:
        return ExpressionSyntaxError.at(message, self.text, place)

    def _too_deep(self, tree: Any) -> ExpressionSyntaxError:
        return self._error(f"the expression is nested more than {MAX_DEPTH} deep", tree.meta.start_pos)


_SUFFIXES: Final = frozenset({"member_dot", "member_dot_arg", "member_index", "member_object"})
_LEAVES: Final[dict[str, Callable[[_Folding, Any, int], Node]]] = {
    **dict.fromkeys(_SUFFIXES, _Folding._member),
    "literal": _Folding._literal,
    "ident": _Folding._name,
    "dot_ident": _Folding._name,
    "ident_arg": _Folding._call,
    "dot_ident_arg": _Folding._call,
    "list_lit": _Folding._list_literal,
    "map_lit": _Folding._map_literal,
}


def _check_depth(root: Node, text: str) -> None:
    todo = [(root, 1)]
    while todo:
        node, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise ExpressionSyntaxError.at(
                f"the expression is nested more than {MAX_DEPTH} deep", text, node.start
            )
        todo.extend((child, depth + 1) for child in node.children())
