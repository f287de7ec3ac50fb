"""Events of one resource that came in the wrong order: each waits for the one that it follows."""

from collections.abc import Iterator
from dataclasses import replace

from oracle.matter import Seen
from oracle.triggers import Trigger


class Order:
    """Puts what a trigger sees into the order of `follows`, where order matters to it and there is a grace.

    Each method yields the events that the trigger is to see now; what it makes of one is known before the next.
    """

    def __init__(self, trigger: Trigger, grace: int) -> None:
        self.trigger = trigger
        self.grace = grace
        self.known: set[tuple[str | None, str]] = set()
        self.held: list[tuple[Seen, int]] = []

    def came(self, seen: Seen, now: int) -> Iterator[Seen]:
        """An event came: it waits, or is seen; and so are those that waited for it."""
        if self._must_wait(seen):
            self.held.append((seen, now + self.grace))
        else:
            yield seen
        self.known.add((seen.view.subject, seen.view.id))
        yield from self._followers(seen)

    def until(self, now: int) -> Iterator[Seen]:
        """No event waits longer than the grace."""
        for seen, end in list(self.held):
            if end <= now:
                yield from self._let_go(seen)

    def before_timers(self, now: int) -> Iterator[Seen]:
        """Before a timer decides, what came in time and waits counts."""
        keys = self.trigger.deciding(now) if self.held else set()
        for seen, _ in list(self.held):
            if self.trigger.concerns(seen) & keys:
                yield from self._let_go(seen)

    def _must_wait(self, seen: Seen) -> bool:
        before = seen.view.subject, seen.view.follows
        if None in before or not self.grace or not self.trigger.ordered() or not self.trigger.concerns(seen):
            return False
        return before not in self.known or any(self._is(one, *before) for one, _ in self.held)

    def _let_go(self, seen: Seen, behind: int = 0) -> Iterator[Seen]:
        if any(one is seen for one, _ in self.held):
            self.held = [(one, end) for one, end in self.held if one is not seen]
            yield (now_seen := replace(seen, behind=behind))
            yield from self._followers(now_seen)

    def _followers(self, seen: Seen) -> Iterator[Seen]:
        name = seen.view.subject, seen.view.id
        for one, _ in list(self.held):
            follows = (one.view.subject, one.view.follows) == name
            if follows and not any(self._is(other, *name) for other, _ in self.held):
                yield from self._let_go(one, seen.behind + 1 if one.view.time == seen.view.time else 0)

    def _is(self, seen: Seen, subject: str | None, id_: str | None) -> bool:
        return seen.view.subject == subject and seen.view.id == id_
