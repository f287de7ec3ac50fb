"""Pairing what was expected with what came, so that as few as possible are left on either side."""

from collections.abc import Callable, Sequence
from typing import TypeVar

_Wanted = TypeVar("_Wanted")
_Got = TypeVar("_Got")


def unpaired(
    expected: Sequence[_Wanted], happened: Sequence[_Got], fits: Callable[[_Wanted, _Got], bool]
) -> tuple[list[_Wanted], list[_Got]]:
    """Pair as many as can be paired (Kuhn's algorithm), and return what is left on both sides."""
    fitting = [[place for place, one in enumerate(happened) if fits(wanted, one)] for wanted in expected]
    taken: dict[int, int] = {}

    def place(wanted: int, tried: set[int]) -> bool:
        for choice in fitting[wanted]:
            if choice not in tried:
                tried.add(choice)
                if choice not in taken or place(taken[choice], tried):
                    taken[choice] = wanted
                    return True
        return False

    missing = [expected[wanted] for wanted in range(len(expected)) if not place(wanted, set())]
    return missing, [one for number, one in enumerate(happened) if number not in taken]
