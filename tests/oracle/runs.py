"""`concurrency`: the runs that firings started and that have not ended, and the firings that wait for them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from oracle.matter import Fire, Key, Told

ENDS = tuple(f"flow-run.{state}" for state in ("completed", "failed", "crashed", "cancelled", "timed-out"))
"""The events that say that a run has ended."""


class Runs:
    """Each firing starts as many runs as the rule has actions that do; each event of an end ends one of them."""

    def __init__(self, rule: Mapping[str, Any]) -> None:
        self.limit = rule.get("limits", {}).get("concurrency")
        self.each = sum("run_deployment" in action for action in rule.get("then", ()))
        self.active: dict[Key, list[Told]] = defaultdict(list)
        self.left: dict[Told, tuple[Key, int]] = {}
        self.queue: dict[Key, list[tuple[Key, Key, Fire]]] = defaultdict(list)

    def skips(self, scope: Key) -> bool:
        """Whether a firing is dropped."""
        return self._is("skip") and self._is_full(scope)

    def queues(self, scope: Key) -> bool:
        """Whether a firing waits."""
        return self._is("queue") and self._is_full(scope)

    def cancelled(self, scope: Key) -> list[Told]:
        """The oldest firings, whose runs a new one ends."""
        found: list[Told] = []
        while self._is("restart") and self._is_full(scope):
            found.append(self.active[scope].pop(0))
            del self.left[found[-1]]
        return found

    def started(self, scope: Key, firing: Told) -> None:
        """A firing starts its runs."""
        if self.limit is not None and self.each:
            self.active[scope].append(firing)
            self.left[firing] = scope, self.each

    def ended(self, firing: Told) -> Iterator[tuple[Key, Key, Fire]]:
        """A run of a firing has ended: those that may start now, one after the other."""
        if firing not in self.left:
            return
        scope, left = self.left.pop(firing)
        if left > 1:
            self.left[firing] = scope, left - 1
        else:
            self.active[scope].remove(firing)
        while self.queue[scope] and not self._is_full(scope):
            yield self.queue[scope].pop(0)

    def _is(self, mode: str) -> bool:
        return self.limit is not None and self.limit.get("mode", "queue") == mode

    def _is_full(self, scope: Key) -> bool:
        return len(self.active[scope]) >= self.limit["max"]
