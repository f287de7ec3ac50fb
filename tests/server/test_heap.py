"""What lives long is put aside, and what becomes garbage there is found in the end."""

import gc
import weakref

from tocsin_server.heap import THOROUGH_SECONDS, long_lived_objects


class Knot:
    """Refers to itself, so that only the garbage collector can free it."""

    def __init__(self) -> None:
        self.self = self


def test_what_survives_a_full_collection_is_put_aside() -> None:
    with long_lived_objects():
        before = gc.get_freeze_count()
        kept = [Knot() for _ in range(100)]
        gc.collect()
        assert gc.get_freeze_count() >= before + len(kept)
    assert gc.get_freeze_count() == 0


def test_garbage_among_what_was_put_aside_is_found_when_all_is_looked_through() -> None:
    now = [0.0]
    with long_lived_objects(lambda: now[0]):
        knot = Knot()
        gone = weakref.ref(knot)
        gc.collect()
        del knot
        gc.collect()
        assert gone() is not None
        now[0] = THOROUGH_SECONDS + 1
        gc.collect()
        assert gone() is None
