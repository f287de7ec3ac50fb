"""CEL, the language of conditions: compiled once, then evaluated on every event.

`compile_expression` gives an `Expression`; `check` finds mistakes before any event comes. An evaluation never raises:
it gives a value, `Absent` or `Fault`. What the language means here is in docs/reference/expressions.md.
"""

from tocsin_events.expression.check import Finding, check
from tocsin_events.expression.compiled import Conjunct, Expression, Names, compile_expression
from tocsin_events.expression.explain import Explanation, Operand
from tocsin_events.expression.paths import path_getter, written_path
from tocsin_events.expression.problem import ExpressionSyntaxError
from tocsin_events.expression.values import Absent, Failure, Fault

__all__ = [
    "Absent",
    "Conjunct",
    "Explanation",
    "Expression",
    "ExpressionSyntaxError",
    "Failure",
    "Fault",
    "Finding",
    "Names",
    "Operand",
    "check",
    "compile_expression",
    "path_getter",
    "written_path",
]
