"""The limits that keep an expression from hurting anyone but itself.

The size and the nesting of a text are limited when it is compiled. At run time an evaluation has a number of steps:
each round of a macro costs as many as its body has parts, each element or piece of text that is compared, searched
or copied costs its share. What runs out of steps ends with a `Fault`; nothing in the expression can absorb that.
"""

from typing import Any, Final

MAX_TEXT: Final = 4096
"""The longest expression, in characters."""

MAX_NESTING: Final = 50
"""How deep brackets may nest."""

MAX_DEPTH: Final = 100
"""How deep the parts of an expression may nest; a chain of ``&&`` or ``||`` counts once."""

MAX_STEPS: Final = 200_000
"""The steps of one evaluation: some 20 ms on a slow machine."""

MAX_PATTERN: Final = 1000
"""The longest regular expression, in characters."""


class BudgetExceededError(Exception):
    """An evaluation used up its steps."""


Scope = list[Any]
"""What one evaluation carries: the steps it has left, then the values of the macro variables."""


def charge(scope: Scope, steps: int) -> None:
    """Take steps from an evaluation.

    Raises:
        BudgetExceededError: it has none left.

    """
    scope[0] -= steps
    if scope[0] < 0:
        raise BudgetExceededError
