"""Keeps the garbage collector from looking at the same long-lived objects again and again.

A server keeps hundreds of thousands of objects for as long as it runs: modules, models, compiled rules, the engine's state.
Each full collection walks through all of them and holds everything else up for a tenth of a second and more. So whatever
survived a full collection is put aside, where later ones don't look. Now and then all of it is looked through again, since
some of it (the rules before the last change) has become garbage.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

THOROUGH_SECONDS: Final = 900.0
"""How long what was put aside is left alone, in seconds."""

_SWITCH_SECONDS: Final = 0.0005
_FULL: Final = 2


@contextmanager
def long_lived_objects(clock: Callable[[], float] = time.monotonic) -> Iterator[None]:
    """Put aside what survives a full collection, while the block runs; what there is now is put aside at once."""
    aside = _Aside(clock)
    gc.freeze()
    gc.callbacks.append(aside)
    try:
        yield
    finally:
        gc.callbacks.remove(aside)
        gc.unfreeze()


def give_way_to_database_threads() -> None:
    """Let a thread that waits for the interpreter have it after half a millisecond, not five.

    The database's driver works in threads, with a dozen hand-overs in one small transaction; while events pour in, each of
    them would wait the full time.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)


class _Aside:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._looked_through = clock()

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        if info["generation"] != _FULL:
            return
        if phase == "stop":
            gc.freeze()
        elif self._clock() - self._looked_through > THOROUGH_SECONDS:
            self._looked_through = self._clock()
            gc.unfreeze()
