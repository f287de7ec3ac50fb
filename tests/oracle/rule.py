"""One automation over one history: every instant of the grid in turn, timers first, then what came."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from oracle.matter import SECOND, SUBJECT, Back, Fire, Key, Seen, Setting, in_order, micros
from oracle.order import Order
from oracle.triggers import Lasting, Trigger, make
from tocsin_events.view import EventView

HOUR = 3600 * SECOND


@dataclass(frozen=True, order=True)
class Told:
    """A firing or a resolution: when by the clock, for which key, on which events (ids, in order)."""

    at: int
    key: str
    state: str
    events: tuple[str, ...] = field(compare=True)
    suppressed: int = 0


def tell(
    rule: Mapping[str, Any], views: Sequence[EventView], *, applied: int, end: int, grid: int = SECOND
) -> list[Told]:
    """What a rule (as in a file) says to events in the order of their arrival, up to the clock ``end``."""
    story = _Story(rule, applied)
    coming = list(views)
    now = applied
    while now <= end:
        story.look(now)
        while coming and coming[0].received <= now:
            story.see(coming.pop(0), now)
        now += grid
    return sorted(story.told)


class _Story:
    def __init__(self, rule: Mapping[str, Any], applied: int) -> None:
        self.rule = rule
        self.grace = micros(rule.get("grace", "5s"))
        self.setting = Setting(self.grace, applied)
        self.when = make(rule["when"], self.setting)
        until = rule.get("until")
        self.natural = until is None and self.when.opposites()
        self.until = until if until not in (None, "never") else None
        self.order = Order(self.when, self.grace)
        self.limits = rule.get("limits", {})
        self.told: list[Told] = []
        self.known: dict[tuple[str, str], int] = {}
        self.place = 0
        self.alerts: dict[Key, Trigger | None] = {}
        self.pending: dict[Key, list[tuple[int, Key, Fire]]] = defaultdict(list)
        self.passed: dict[Key, list[int]] = defaultdict(list)
        self.log: list[int] = []
        self.suppressed: dict[Key, int] = defaultdict(int)

    def look(self, now: int) -> None:
        for key, watch in list(self.alerts.items()):
            if watch is not None and any(k == key and isinstance(one, Fire) for k, one in watch.look(now)):
                self._close(key, now)
        for seen in self.order.until(now):
            self._evaluate(seen, now)
        for seen in self.order.before_timers(now):
            self._evaluate(seen, now)
        for key, signal in self.when.look(now):
            self._take(key, signal, now)
        # What a trigger's timer gives still joins what waits until this very instant.
        for scope in list(self.pending):
            self._release(scope, now)

    def see(self, view: EventView, now: int) -> None:
        first = self.known.get(view.key)
        if first is not None and view.received - first <= HOUR:
            return
        self.known[view.key] = view.received
        self.place += 1
        time = view.received if view.time > view.received + self.grace else view.time
        seen = Seen(view, time, self.place)
        for key, watch in list(self.alerts.items()):
            if watch is not None and any(
                k == key and isinstance(one, Fire) for k, one in watch.see(seen, now)
            ):
                self._close(key, now)
        for one in self.order.came(seen, now):
            self._evaluate(one, now)

    def _evaluate(self, seen: Seen, now: int) -> None:
        for key, signal in self.when.see(seen, now):
            self._take(key, signal, now)

    def _take(self, key: Key, signal: Fire | Back, now: int) -> None:
        if isinstance(signal, Back):
            if self.natural and key in self.alerts:
                self._close(key, now)
            return
        scope = () if self.limits.get("scope") == "automation" else key
        if "debounce" in self.limits or "batch" in self.limits:
            self.pending[scope].append((now, key, signal))
            self._release(scope, now)
        else:
            self._pass(scope, key, signal, now)

    def _release(self, scope: Key, now: int) -> None:
        waiting = self.pending[scope]
        if not waiting:
            return
        first, last = waiting[0][0], waiting[-1][0]
        if "batch" in self.limits:
            batch = self.limits["batch"]
            ready = now >= first + micros(batch["wait"]) or len(waiting) >= batch.get("size", 10**9)
            chosen = waiting
        else:
            debounce = self.limits["debounce"]
            ready = now >= last + micros(debounce["wait"]) or (
                "at_most" in debounce and now >= first + micros(debounce["at_most"])
            )
            by_time = sorted(
                waiting,
                key=lambda one: (one[2].time, max((seen.order for seen in one[2].events), default=(0, 0, 0))),
            )
            deliver = debounce.get("deliver", "last")
            chosen = {"last": by_time[-1:], "first": by_time[:1], "all": waiting}[deliver]
        if ready:
            self.pending[scope] = []
            self.suppressed[scope] += len(waiting) - len(chosen)
            events = in_order([seen for _, _, fire in chosen for seen in fire.events])
            self._pass(scope, chosen[-1][1], Fire(now, events), now)

    def _pass(self, scope: Key, key: Key, fire: Fire, now: int) -> None:
        cooldown, rate = self.limits.get("cooldown"), self.limits.get("rate")
        held = cooldown and any(now < at + micros(cooldown) for at in self.passed[scope])
        if not held and rate:
            held = len([at for at in self.log if at > now - micros(rate["per"])]) >= rate["max"]
        if held:
            self.suppressed[scope] += 1
            return
        self.passed[scope].append(now)
        self.log.append(now)
        suppressed, self.suppressed[scope] = self.suppressed[scope], 0
        ids = tuple(seen.view.id for seen in fire.events)
        self.told.append(Told(now, repr(key), "firing", ids, suppressed))
        if (self.natural or self.until is not None) and key not in self.alerts:
            watch = None
            if self.until is not None:
                outer = self.setting.inside(self.rule["when"], nested=True)
                own_key = outer.for_each or ((SUBJECT,) if isinstance(self.when, Lasting) else ())
                watch = make(self.until, Setting(self.grace, now, own_key, True))
            self.alerts[key] = watch

    def _close(self, key: Key, now: int) -> None:
        del self.alerts[key]
        self.told.append(Told(now, repr(key), "resolved", ()))
