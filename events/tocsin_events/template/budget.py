"""The limits that keep a template from hurting anyone: work is counted, text may only grow so far.

Nothing here watches a clock: the same template on the same event ends the same way on every machine.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from jinja2.exceptions import SecurityError

MAX_SOURCE: Final = 32 * 1024
"""The longest template, in characters."""

MAX_OUTPUT: Final = 64 * 1024
"""The longest text that a template gives, in characters."""

MAX_TEXT: Final = 512 * 1024
"""The longest text that a template may hold on the way, in characters: that of the largest event."""

MAX_STEPS: Final = 100_000
"""The steps of one rendering: a round of a loop costs as many as its body has parts."""

MAX_RANGE: Final = 1_000
"""The longest ``range()``."""

MAX_DEPTH: Final = 60
"""How deep the parts of a template may nest."""

NAME: Final = "~budget"
"""Under which name a rendering finds its budget; no template can write it."""


class Budget:
    """What one rendering has left, and the problems that it went past."""

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.output = MAX_OUTPUT
        self.problems: list[str] = []

    def charge(self, steps: int) -> None:
        """Take steps; refuse when there are none left."""
        self.steps -= steps
        if self.steps < 0:
            raise SecurityError(f"the template takes more than {MAX_STEPS} steps (loops count in total)")

    def counted(self, items: Iterable[Any], cost: int = 1) -> Iterator[Any]:
        """Yield the items, each at its cost."""
        for item in items:
            self.charge(cost)
            yield item

    def weigh(self, value: Any) -> None:
        """Take what it costs to look at the whole of a value."""
        todo = [value]
        while todo:
            one = todo.pop()
            self.charge(1)
            if isinstance(one, str | bytes):
                self.charge(len(one) >> 8)
            elif isinstance(one, dict):
                self.charge(len(one))
                todo.extend(one.values())
            elif isinstance(one, list | tuple):
                self.charge(len(one))
                todo.extend(one)
            elif isinstance(one, int):
                self.charge(one.bit_length() >> 8)

    def grow(self, length: int) -> None:
        """Refuse a text of so many characters if that is too long; take what it costs to write it."""
        if length > MAX_TEXT:
            raise SecurityError(
                f"the template makes a text of {length} characters; at most {MAX_TEXT} are allowed"
            )
        self.charge(length >> 8)

    def written(self, piece: str) -> str:
        """Return a piece of output, counted."""
        self.output -= len(piece)
        if self.output < 0:
            raise SecurityError(f"the template's output is longer than {MAX_OUTPUT} characters")
        return piece
