"""Whether, and after how long, a failed attempt is made again. Pure: chance comes in as an argument."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from tocsin_events.duration import parse_duration
from tocsin_events.instant import SECOND

Delay = float | int | str | timedelta
"""Seconds as a number, a written duration (``"1m30s"``), or a timedelta."""
Delays = Delay | Sequence[Delay] | Callable[[int], Delay]
"""One delay for all retries; one for each, the last repeated; or a function of the number of the failed attempt."""


def seconds(delay: Delay) -> float:
    """Return a delay in seconds.

    Raises:
        ValueError: it is negative, or no duration.

    """
    match delay:
        case timedelta():
            value = delay.total_seconds()
        case str():
            value = parse_duration(delay) / SECOND
        case _:
            value = float(delay)
    if not 0 <= value < float("inf"):
        raise ValueError(f"{delay!r} is not a duration: write seconds as a number, or '30s', '1h30m'")
    return value


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a failed run is tried again, and when.

    ``times`` is the number of attempts after the first. ``jitter`` is the share of the delay by which it is
    lengthened at random, at most (0.5: up to half as long again), so that many runs do not come back at once.
    ``only_if`` is asked with the exception; where it says no, the run has failed.
    """

    times: int = 0
    delay: Delays = 0.0
    jitter: float = 0.0
    only_if: Callable[[BaseException], bool] | None = None

    def __post_init__(self) -> None:
        if self.times < 0:
            raise ValueError(f"retries is {self.times}: it is the number of further attempts, 0 or more")
        if self.jitter < 0:
            raise ValueError(f"retry_jitter is {self.jitter}: it is a share of the delay, 0 or more")
        if not callable(self.delay):
            for one in [self.delay] if _is_single(self.delay) else self.delay:  # type: ignore[union-attr]
                seconds(one)  # type: ignore[arg-type]

    def delay_after(self, failed_attempts: int, error: BaseException, chance: float) -> float | None:
        """Return how many seconds to wait before the next attempt; None if there is none.

        ``failed_attempts`` counts from 1; ``chance`` is a random number in [0, 1).
        """
        if failed_attempts > self.times:
            return None
        if self.only_if is not None and not self.only_if(error):
            return None
        return self._base(failed_attempts) * (1 + self.jitter * chance)

    def _base(self, failed_attempts: int) -> float:
        delay = self.delay
        if callable(delay):
            return seconds(delay(failed_attempts))
        if _is_single(delay):
            return seconds(delay)  # type: ignore[arg-type]
        if not delay:
            return 0.0
        return seconds(delay[min(failed_attempts, len(delay)) - 1])  # type: ignore[index,arg-type]


def _is_single(delay: object) -> bool:
    return isinstance(delay, (int, float, str, timedelta))
