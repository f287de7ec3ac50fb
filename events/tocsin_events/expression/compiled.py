"""The compiled expression: what the rest of the house holds in its hands."""

from functools import cached_property, lru_cache
from typing import Any, Final, Protocol

from tocsin_events.expression.budget import BudgetExceededError, Scope
from tocsin_events.expression.conjuncts import Form, indexable, parts_of
from tocsin_events.expression.explain import Explanation, explain
from tocsin_events.expression.lower import Lowering
from tocsin_events.expression.macros import as_failure
from tocsin_events.expression.parse import parse
from tocsin_events.expression.paths import Path
from tocsin_events.expression.tree import Call, Literal, MapLiteral, Name, Node, walk
from tocsin_events.expression.values import FAILURES, TYPES, Absent, Fault, UInt, plain

_LONGEST_KEPT: Final = 500
_OUT_OF_BUDGET: Final = Fault("the evaluation takes too many steps (budget exceeded)")
_TOO_DEEP: Final = Fault("the values are nested too deeply (budget exceeded)")


class Names(Protocol):
    """What an expression is evaluated on: an `EventView`, or anything like it."""

    def resolve(self, name: str) -> Any:
        """Return the value of a top-level name, or `MISSING`."""


class Expression:
    """A compiled expression: immutable, and safe to share between threads.

    ``text`` is what was written, ``root`` its tree.
    """

    def __init__(self, text: str, root: Node) -> None:
        lowering = Lowering(text)
        self.text = text
        self.root = root
        self._closure = lowering.lower(root)
        self._start: Scope = lowering.new_scope()
        self._is_plain = not any(_makes_unplain(node) for node in walk(root))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def evaluate(self, names: Names) -> Any:
        """Return the value as plain Python, `Absent` where a name is missing, or `Fault`; never raise.

        Timestamps are aware datetimes in UTC, durations timedeltas; a list or map may be the event's own: nobody
        changes it.
        """
        value = self.value(names)
        return value if self._is_plain or value.__class__ in FAILURES else plain(value)

    def value(self, names: Names) -> Any:
        """Return the value as the language has it (`tocsin_events.expression.values`), or a failure."""
        try:
            return self._closure(names, self._start.copy())
        except BudgetExceededError:
            return _OUT_OF_BUDGET
        except RecursionError:
            return _TOO_DEEP

    def matches(self, names: Names) -> bool | Absent | Fault:
        """Tell whether the condition holds; failures are falsy values that say what is missing or wrong."""
        try:
            value = self._closure(names, self._start.copy())
        except BudgetExceededError:
            return _OUT_OF_BUDGET
        except RecursionError:
            return _TOO_DEEP
        if value is True or value is False:
            return value
        return as_failure(value)

    @cached_property
    def conjuncts(self) -> tuple["Conjunct", ...]:
        """The parts of the top-level ``&&`` chain; the whole is the only one where there is no chain."""
        return tuple(Conjunct(self.text, part) for part in parts_of(self.root))

    def explain(self, names: Names) -> Explanation:
        """Return why the expression has the value that it has."""
        return explain(self.text, self.root, names)


class Conjunct:
    """One condition of a chain of ``&&``.

    Where it compares a path with constants, ``path`` and ``constants`` say so: the conjunct is true exactly when
    ``path_getter(path)(view) in constants``. Else both are None.
    """

    def __init__(self, text: str, node: Node) -> None:
        form: Form | None = indexable(node)
        self.source = text[node.start : node.end]
        self.path: Path | None = None if form is None else form.path
        self.constants: frozenset[Any] | None = None if form is None else form.constants
        self._text = text
        self._node = node

    def __repr__(self) -> str:
        return f"Conjunct({self.source!r})"

    @cached_property
    def expression(self) -> Expression:
        """The conjunct as an expression of its own."""
        return Expression(self._text, self._node)


def compile_expression(text: str) -> Expression:
    """Return the compiled form of a CEL expression.

    It is kept: a rule is validated, compiled, and compiled again whenever another one changes, and to read an expression
    takes a third of a millisecond.

    Raises:
        ExpressionSyntaxError: the text is no expression, calls what doesn't exist, or is too large.

    """
    return _kept(text) if len(text) <= _LONGEST_KEPT else Expression(text, parse(text))


@lru_cache(maxsize=10_000)
def _kept(text: str) -> Expression:
    return Expression(text, parse(text))


def _makes_unplain(node: Node) -> bool:
    match node:
        case Literal(value=UInt()) | MapLiteral():
            return True
        case Call(function="uint" | "type"):
            return True
        case Name(name=name):
            return name in TYPES or name == "google"
        case _:
            return False
