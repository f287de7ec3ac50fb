"""How long to wait before the next attempt, and when to leave a target alone for a while."""

import hashlib
from dataclasses import dataclass
from typing import Final

from tocsin_events.instant import SECOND

FIRST: Final = 2 * SECOND
LONGEST: Final = 900 * SECOND
_TRIPS_AFTER: Final = 5
_PAUSE: Final = 30 * SECOND
_LONGEST_PAUSE: Final = 600 * SECOND


def wait_after(delivery: str, attempt: int, asked: int | None = None) -> int:
    """Return the wait after the n-th failed attempt (from 1), in microseconds.

    It doubles from two seconds to fifteen minutes, with a quarter more or less that depends on the delivery and the
    attempt alone, so that deliveries that failed together don't come back together. What the service ``asked`` for
    (``Retry-After``) is the least, and a little is added for the same reason.
    """
    share = int.from_bytes(hashlib.blake2b(f"{delivery} {attempt}".encode(), digest_size=4).digest()) / 2**32
    if asked is not None:
        return asked + round(share * min(asked, SECOND))
    wait = min(FIRST << min(attempt - 1, 20), LONGEST)
    return round(wait * (0.75 + share / 2))


@dataclass(frozen=True, slots=True)
class Breaker:
    """What is known of a target's health: failures in a row, and until when it is left alone."""

    failures: int = 0
    until: int = 0

    def allows(self, now: int) -> bool:
        """Tell whether an attempt may be made now."""
        return now >= self.until

    def failed(self, now: int) -> "Breaker":
        """Return the breaker after a failure: from the fifth in a row on it pauses, longer each time."""
        failures = self.failures + 1
        if failures < _TRIPS_AFTER:
            return Breaker(failures)
        return Breaker(failures, now + min(_PAUSE << min(failures - _TRIPS_AFTER, 10), _LONGEST_PAUSE))

    def begins_probe(self, now: int) -> "Breaker":
        """Return the breaker while the one attempt after a pause is under way: others wait for its result."""
        if self.failures < _TRIPS_AFTER:
            return self
        return Breaker(self.failures, now + _PAUSE)
