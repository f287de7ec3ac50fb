"""Automations over one history: every instant of the grid in turn, timers first, then what came."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from oracle.matter import (
    SECOND,
    SUBJECT,
    Back,
    Cause,
    Fire,
    Key,
    Origin,
    Seen,
    Setting,
    Told,
    in_order,
    micros,
)
from oracle.order import Order
from oracle.runs import ENDS, Runs
from oracle.triggers import Lasting, Trigger, make
from tocsin_events.view import EventView

HOUR = 3600 * SECOND


def tell(
    rule: Mapping[str, Any], views: Sequence[EventView], *, applied: int, end: int, grid: int = SECOND
) -> list[Told]:
    """What a rule (as in a file) says to events in the order of their arrival, up to the clock ``end``."""
    return tell_all({"rule": rule}, views, {}, applied=applied, end=end, grid=grid)["rule"]


def tell_all(
    rules: Mapping[str, Mapping[str, Any]],
    views: Sequence[EventView],
    causes: Mapping[int, Cause],
    *,
    applied: int,
    end: int,
    grid: int = SECOND,
) -> dict[str, list[Told]]:
    """What rules say to events, some of which (by their numbers) are caused by earlier firings."""
    stories = {name: _Story(name, rule, applied) for name, rule in rules.items()}
    coming = list(views)
    now = applied
    while now <= end:
        for story in stories.values():
            story.look(now)
        while coming and coming[0].received <= now:
            view = coming.pop(0)
            name, firing = causes.get(view.sequence, ("", None))
            origin = stories[name].fired[firing] if firing is not None else Origin()
            for story in stories.values():
                story.see(view, now, origin, firing if name == story.name else None)
        now += grid
    return {name: sorted(story.told) for name, story in stories.items()}


class _Story:
    def __init__(self, name: str, rule: Mapping[str, Any], applied: int) -> None:
        self.name = name
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
        self.origins: dict[int, Origin] = {}
        self.fired: dict[Told, Origin] = {}
        self.runs = Runs(rule)
        self.over: set[Key] = set()

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

    def see(self, view: EventView, now: int, origin: Origin, cause: Told | None) -> None:
        first = self.known.get(view.key)
        if first is not None and view.received - first <= HOUR:
            return
        self.known[view.key] = view.received
        self.place += 1
        time = view.received if view.time > view.received + self.grace else view.time
        seen = Seen(view, time, self.place)
        self.origins[self.place] = origin
        if cause is not None and view.type in ENDS:
            for waiting in self.runs.ended(cause):
                self._start(*waiting, now)
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
        scope = () if self.limits.get("scope") == "automation" else key
        if isinstance(signal, Back):
            if self.natural and key in self.alerts:
                self._close(key, now)
            if self.natural and any(key == one[1] for one in (*self.pending[scope], *self.runs.queue[scope])):
                self.over.add(key)
            return
        origin = self._behind(signal)
        if origin.hops > self.limits.get("chain", 8) and self.name in origin.rules:
            return
        self.over.discard(key)
        if "debounce" in self.limits or "batch" in self.limits:
            self.pending[scope].append((now, key, signal))
            self._release(scope, now)
        else:
            self._pass(scope, key, signal, now)

    def _behind(self, fire: Fire) -> Origin:
        return self.origins[fire.events[-1].place] if fire.events else Origin()

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
        if held or self.runs.skips(scope):
            self.suppressed[scope] += 1
            return
        self.passed[scope].append(now)
        self.log.append(now)
        if self.runs.queues(scope):
            self.runs.queue[scope].append((scope, key, fire))
        else:
            self._start(scope, key, fire, now)

    def _start(self, scope: Key, key: Key, fire: Fire, now: int) -> None:
        suppressed, self.suppressed[scope] = self.suppressed[scope], 0
        ids = tuple(seen.view.id for seen in fire.events)
        cancels = tuple((one.at, one.events) for one in self.runs.cancelled(scope))
        told = Told(now, repr(key), "firing", ids, suppressed, cancels)
        self.told.append(told)
        self.runs.started(scope, told)
        origin = self._behind(fire)
        self.fired[told] = Origin(origin.hops + 1, origin.rules | {self.name})
        if (self.natural or self.until is not None) and key not in self.alerts:
            watch = None
            if self.until is not None:
                outer = self.setting.inside(self.rule["when"], nested=True)
                own_key = outer.for_each or ((SUBJECT,) if isinstance(self.when, Lasting) else ())
                watch = make(self.until, Setting(self.grace, now, own_key, True))
            self.alerts[key] = watch
        if key in self.over:
            self.over.discard(key)
            self._close(key, now)

    def _close(self, key: Key, now: int) -> None:
        del self.alerts[key]
        self.told.append(Told(now, repr(key), "resolved", ()))
