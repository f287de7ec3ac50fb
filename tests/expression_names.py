"""Names for expressions in tests: given values, everything else missing."""

from typing import Any

from tocsin_events.view import MISSING


class Names:
    """What an expression is evaluated on, from keyword arguments."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def resolve(self, name: str) -> Any:
        return self.values.get(name, MISSING)
