"""CEL conditions of routes, groups, inhibitions and silences: compiled once, evaluated without surprises."""

from typing import Any, Final

from tocsin_events.expression import Absent, Expression, Fault, compile_expression
from tocsin_notifiers.names import Names

_MOST: Final = 10_000


class Conditions:
    """Evaluates CEL texts on names, and keeps them compiled."""

    def __init__(self) -> None:
        self._compiled: dict[str, Expression] = {}

    def match(self, text: str, names: Names) -> bool:
        """Tell whether a condition is true; one that is absent or faulty is not.

        Raises:
            ExpressionSyntaxError: the text is no expression.

        """
        return self._expression(text).matches(names) is True

    def value(self, text: str, names: Names) -> Any:
        """Return a value; None where there is none."""
        value = self._expression(text).evaluate(names)
        return None if isinstance(value, Absent | Fault) else value

    def equal(self, text: str, one: Names, other: Names) -> bool:
        """Tell whether an expression has the same value, and has one, for both."""
        value = self.value(text, one)
        return value is not None and value == self.value(text, other)

    def _expression(self, text: str) -> Expression:
        compiled = self._compiled.get(text)
        if compiled is None:
            if len(self._compiled) >= _MOST:
                self._compiled.clear()
            compiled = self._compiled[text] = compile_expression(text)
        return compiled
