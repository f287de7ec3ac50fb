"""Which parts of Jinja's language templates may use, and how they are made safe before they are compiled.

What could recur or load something (macros, blocks, includes, imports, recursive loops, ``self``) is refused. Attribute
and item access, method calls, ``~`` and comparisons are rewritten into calls of guarded functions that know the full
name of what they look for; loops get a counter.
"""

from typing import Any, Final

from jinja2 import nodes
from jinja2.exceptions import TemplateSyntaxError
from jinja2.visitor import NodeTransformer

from tocsin_events.template.budget import MAX_DEPTH

SELECT: Final = "~select"
ITEM: Final = "~item"
CUT: Final = "~cut"
JOINED: Final = "~joined"
WEIGHED: Final = "~weighed"
COUNTED: Final = "~counted"

_ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.NSRef, nodes.Const, nodes.Tuple, nodes.List,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.For, nodes.If, nodes.Assign, nodes.AssignBlock, nodes.FilterBlock,
    nodes.With, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Compare,
    nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Pos, nodes.Concat, nodes.Call, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Pow,
)  # fmt: skip
_SAID: Final = {
    nodes.Include: "include", nodes.Import: "import", nodes.FromImport: "import", nodes.Extends: "extends",
    nodes.Block: "block", nodes.Macro: "macro", nodes.CallBlock: "call",
}  # fmt: skip
_FORBIDDEN_NAMES: Final = frozenset({"self", "super", "caller", "varargs", "kwargs"})
_LOOP_METHODS: Final = frozenset({"cycle"})
METHODS: Final = {
    "upper": "upper", "lower": "lower", "title": "title", "capitalize": "capitalize", "strip": "trim",
    "startswith": "startswith", "endswith": "endswith", "split": "split", "replace": "replace", "items": "items",
    "keys": "keys", "values": "values", "get": "get", "isoformat": "isoformat", "strftime": "strftime",
}  # fmt: skip
"""Methods that a template may call, and the filter that does their work: ``x.upper()`` is ``x|upper``."""


def checked(root: nodes.Template) -> int:
    """Refuse what templates may not use; return how many parts they have.

    Raises:
        TemplateSyntaxError: something is not allowed, or nested too deeply.

    """
    count = 0
    todo: list[tuple[nodes.Node, int]] = [(root, 0)]
    while todo:
        node, depth = todo.pop()
        count += 1
        _check(node, depth)
        todo.extend((child, depth + 1) for child in node.iter_child_nodes())
    return count


def _check(node: nodes.Node, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise TemplateSyntaxError(f"the template is nested more than {MAX_DEPTH} deep", node.lineno)
    if not isinstance(node, _ALLOWED):
        said = _SAID.get(node.__class__, node.__class__.__name__.lower())  # type: ignore[arg-type]
        raise TemplateSyntaxError(f"{said} can't be used in templates", node.lineno)
    if isinstance(node, nodes.For) and node.recursive:
        raise TemplateSyntaxError("a recursive loop can't be used in templates", node.lineno)
    if isinstance(node, nodes.Name) and node.name in _FORBIDDEN_NAMES:
        raise TemplateSyntaxError(f"{node.name} can't be used in templates", node.lineno)
    if isinstance(node, nodes.Getattr | nodes.NSRef) and node.attr.startswith("_"):
        raise TemplateSyntaxError(f"{node.attr}: names that begin with _ can't be used", node.lineno)
    if isinstance(node, nodes.Call):
        _check_call(node)


def _check_call(node: nodes.Call) -> None:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise TemplateSyntaxError("* and ** can't be used in calls", node.lineno)
    called = node.node
    if isinstance(called, nodes.Name) and called.name in ("range", "namespace"):
        return
    if isinstance(called, nodes.Getattr) and (called.attr in METHODS or _is_loop_method(called)):
        return
    raise TemplateSyntaxError(
        f"{described(called)}(…) can't be called; look for a filter that does it", node.lineno
    )


def _is_loop_method(node: nodes.Getattr) -> bool:
    return isinstance(node.node, nodes.Name) and node.node.name == "loop" and node.attr in _LOOP_METHODS


def described(node: nodes.Node) -> str:
    """Return an expression as a message names it: ``data.files[0].name``."""
    parts: list[str] = []
    while True:
        match node:
            case nodes.Getattr():
                parts.append(f".{node.attr}")
                node = node.node
            case nodes.Getitem(arg=nodes.Const(value=str() as key)):
                parts.append(f".{key}" if key.isidentifier() else f'["{key[:60]}"]')
                node = node.node
            case nodes.Getitem(arg=nodes.Const(value=int() as place)):
                parts.append(f"[{place}]")
                node = node.node
            case nodes.Getitem():
                parts.append("[…]")
                node = node.node
            case nodes.Name():
                return node.name + "".join(reversed(parts))
            case _:
                return "…" + "".join(reversed(parts))


def only_expression(root: nodes.Template) -> nodes.Expr | None:
    """Return the expression of a template that is exactly one ``{{ … }}``; white space around it does not count."""
    parts = [part for output in root.body if isinstance(output, nodes.Output) for part in output.nodes]
    if any(not isinstance(output, nodes.Output) for output in root.body):
        return None
    said = [part for part in parts if not (isinstance(part, nodes.TemplateData) and not part.data.strip())]
    return said[0] if len(said) == 1 and not isinstance(said[0], nodes.TemplateData) else None


class Guarding(NodeTransformer):
    """Rewrites a checked template into one whose every costly step goes through a guarded function."""

    def visit_Getattr(self, node: nodes.Getattr) -> nodes.Node:  # noqa: N802 - jinja2 finds it by this name
        """Rewrite ``a.b``."""
        source = described(node)
        if isinstance(node.node, nodes.Name) and node.node.name == "loop":
            return node
        return _guarded(SELECT, node, self.visit(node.node), nodes.Const(node.attr), nodes.Const(source))

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        """Rewrite ``a[b]`` and ``a[b:c]``."""
        source, operand, arg = described(node), self.visit(node.node), self.visit(node.arg)
        if isinstance(arg, nodes.Slice):
            bounds = (one or nodes.Const(None) for one in (arg.start, arg.stop, arg.step))
            return _guarded(CUT, node, operand, *bounds)
        return _guarded(ITEM, node, operand, arg, nodes.Const(source))

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802
        """Rewrite ``a.upper()``."""
        called = node.node
        if isinstance(called, nodes.Getattr) and not _is_loop_method(called):
            args = [self.visit(arg) for arg in node.args]
            kwargs = [self.visit(arg) for arg in node.kwargs]
            made = nodes.Filter(self.visit(called.node), METHODS[called.attr], args, kwargs, None, None)
            return made.set_lineno(node.lineno)
        return self.generic_visit(node)

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:  # noqa: N802
        """Let ``a if b`` without an else be null, which prints as nothing."""
        self.generic_visit(node)
        if node.expr2 is None:
            node.expr2 = nodes.Const(None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        """Rewrite ``a ~ b``."""
        parts = [self.visit(one) for one in node.nodes]
        return _guarded(JOINED, node, nodes.List(parts).set_lineno(node.lineno))

    def visit_Operand(self, node: nodes.Operand) -> nodes.Node:  # noqa: N802
        """Weigh the right side of a comparison."""
        self.generic_visit(node)
        node.expr = _weighed(node.expr)
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802
        """Weigh the left side of a comparison."""
        self.generic_visit(node)
        node.expr = _weighed(node.expr)
        return node

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802
        """Count the rounds of a loop."""
        parts = [one for part in (*node.body, *([node.test] if node.test else [])) for one in _below(part)]
        written = sum(len(one.data) for one in parts if isinstance(one, nodes.TemplateData))
        cost = 2 + len(parts) + (written >> 6)
        self.generic_visit(node)
        node.iter = _guarded(COUNTED, node, node.iter, nodes.Const(cost))
        return node


def _below(root: nodes.Node) -> list[nodes.Node]:
    found, todo = [], [root]
    while todo:
        node = todo.pop()
        found.append(node)
        todo.extend(node.iter_child_nodes())
    return found


def _weighed(node: Any) -> Any:
    return node if isinstance(node, nodes.Const) else _guarded(WEIGHED, node, node)


def _guarded(name: str, place: nodes.Node, operand: nodes.Node, *args: nodes.Node) -> nodes.Filter:
    for arg in args:
        arg.set_lineno(place.lineno)
    return nodes.Filter(operand, name, list(args), [], None, None, lineno=place.lineno)
