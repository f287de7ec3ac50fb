"""The aggregates by their school definitions."""

from collections.abc import Sequence
from math import ceil

from oracle.matter import SECOND


def aggregate(name: str, values: Sequence[float], over: int) -> float | None:
    """The aggregate of values; None where it has none."""
    if name == "count":
        return len(values)
    if name == "rate":
        return len(values) / (over / SECOND)
    if name == "sum":
        return sum(values)
    if not values:
        return None
    if name == "avg":
        return sum(values) / len(values)
    if name == "min":
        return min(values)
    if name == "max":
        return max(values)
    percent = int(name[1:])
    return sorted(values)[ceil(percent * len(values) / 100) - 1]  # nearest rank
