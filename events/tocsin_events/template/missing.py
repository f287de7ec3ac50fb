"""What stands where a template names something that isn't there."""

from collections.abc import Callable
from typing import Any, ClassVar

from jinja2 import ChainableUndefined, StrictUndefined
from jinja2.exceptions import UndefinedError


def spoken(missing: Any) -> str:
    """Return what is wrong, with the full name of what is missing."""
    return f"{missing._undefined_name} is missing"


class Strict(StrictUndefined):
    """A missing name in a strict rendering: any use but ``default`` and ``is defined`` fails."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        return f"{spoken(self)}; if it may be, write default: {{{{ {self._undefined_name} | default('…') }}}}"


class Lenient(ChainableUndefined):
    """A missing name in a lenient rendering: it prints itself, has no elements, and is equal to nothing."""

    __slots__ = ()
    __hash__: ClassVar[Callable[[Any], int]] = object.__hash__

    def __str__(self) -> str:
        return f"⟨missing: {self._undefined_name}⟩"

    def __lt__(self, other: Any) -> bool:  # type: ignore[override]  # jinja2's only raise
        return False

    __le__ = __gt__ = __ge__ = __lt__  # type: ignore[assignment]


def settle(missing: Any) -> Any:
    """Return a missing value where it may go on, or fail.

    Raises:
        UndefinedError: the rendering is strict.

    """
    if isinstance(missing, Strict):
        raise UndefinedError(missing._undefined_message)
    return missing
