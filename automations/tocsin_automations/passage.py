"""From a trigger's signal to a firing: the limits, the alert, and the firing itself."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from tocsin_automations.decision import AlertRef, Firing, Outcome
from tocsin_automations.explain import firing_tree
from tocsin_automations.ledger import Ledger
from tocsin_automations.limits import Active, LimitState, Match, collect, in_cooldown, over_rate, release
from tocsin_automations.rules import STARTS_A_RUN, Rule, Rules
from tocsin_automations.selector import key_values
from tocsin_automations.state import Alert, State
from tocsin_automations.trigger import Fire, Ref
from tocsin_events.identity import derived_id
from tocsin_events.view import EventView

_ENDED: Final = frozenset(
    f"flow-run.{state}" for state in ("completed", "failed", "crashed", "cancelled", "timed-out")
)
_NOT_DONE: Final = frozenset({"automation.action-failed", "automation.action-skipped"})
_DONE: Final = "automation.action-succeeded"
_ANYONE: Final = "*"
_OPPOSITE: Final = "the opposite happened"


class Passage:
    """Lets the firings of `when` through the limits, and opens and closes alerts."""

    __slots__ = ("ledger", "rules", "state")

    def __init__(self, rules: Rules, state: State, ledger: Ledger) -> None:
        self.rules = rules
        self.state = state
        self.ledger = ledger

    def admit(self, rule: Rule, key: str, fire: Fire, view: EventView | None) -> None:
        """Let a firing through the limits: chain, debounce or batch, cooldown, rate, concurrency."""
        state, limits = self.state, rule.limits
        if self._is_paused(rule):
            self.ledger.decide(rule.when, key, Outcome.PAUSED, {}, view)
            return
        lineage: Sequence[str] = (rule.name,)
        if fire.event is not None and fire.event.causes:
            if fire.event.loop:
                self.ledger.decide(rule.when, key, Outcome.LOOP, {}, view)
                return
            lineage = sorted({*self._behind(view), rule.name})
        match = Match(_firing_id(rule, key, fire, view), key, state.now, fire)
        state.lineages.put(match.id, lineage)
        if not rule.remembers:
            self._fire(rule, match, 0, view)
            return
        place = limits.place(key)
        limit = state.touch_limit(rule, place)
        limit.over.pop(key, None)
        outcome, ready = collect(limits, limit, match)
        if ready is not None:
            self._pass(rule, ready, view)
        elif outcome is not None:
            self.ledger.decide(rule.when, key, outcome, {"until": limit.due(limits)}, view)
        state.schedule_limit(rule, place, limit)

    def limit_due(self, rule: Rule, place: str) -> None:
        """Fire what a debounce or batch has collected, or forget a cooldown that is over."""
        limits, limit = rule.limits, self.state.touch_limit(rule, place)
        if limit.collected:
            match = release(limits, limit)
            if self._is_paused(rule):
                self.ledger.decide(rule.when, match.key, Outcome.PAUSED, {}, None)
            else:
                self._pass(rule, match, None)
            self.state.schedule_limit(rule, place, limit)
        self._tidy(rule, place, limit)

    def run_ended(self, view: EventView) -> None:
        """Note that a run that a firing started has ended, and let the next firing in the queue go."""
        state = self.state
        if view.cause is None or view.cause not in state.active or not _ends_a_run(view):
            return
        number, place = state.active[view.cause]
        rule = self.rules.rules[number]
        limit = state.touch_limit(rule, place)
        for active in [one for one in limit.active if one.firing == view.cause]:
            active.runs -= 1
            if active.runs <= 0:
                limit.active.remove(active)
                del state.active[view.cause]
        concurrency = rule.limits.concurrency
        while limit.queue and (concurrency is None or len(limit.active) < concurrency.max):
            match = limit.queue.pop(0)
            if self._is_paused(rule):
                self.ledger.decide(rule.when, match.key, Outcome.PAUSED, {}, None)
            else:
                self._start(rule, match, limit, place, None)
        self._tidy(rule, place, limit)

    def resolve(
        self, rule: Rule, key: str, event: Ref | None, reason: str, view: EventView | None = None
    ) -> bool:
        """Close the alert of a key; tell whether one was open."""
        state = self.state
        alert = state.alerts[rule.number].get(key)
        if alert is None:
            return False
        state.set_alert(rule, key, None)
        if rule.until is not None and state.slots[rule.until.number].pop(key, None) is not None:
            state.dirty.add((rule.until.id, key))
        seen = None if event is None else state.recall(event.sequence)
        firing = Firing(
            id=derived_id("resolved", alert.id),
            automation=rule.name,
            revision=self.rules.revision,
            key=key_values(key),
            at=state.now,
            state="resolved",
            sequences=() if event is None else (event.sequence,),
            last=None if event is None else event.sequence,
            events=() if seen is None else (seen,),
            event=seen,
            count=alert.count,
            alert=AlertRef(alert.id, alert.opened, alert.count),
            hops=0 if event is None else event.hops + 1,
            reason=reason,
            explain=partial(firing_tree, rule),
        )
        state.lineages.put(firing.id, sorted({*self._lineage(view), rule.name}))
        part = rule.when if rule.until is None else rule.until
        self.ledger.decide(part, key, Outcome.RESOLVED, {}, view, firing=firing, role="until")
        return True

    def recover(self, rule: Rule, key: str, event: Ref | None, view: EventView | None) -> None:
        """Close the alert of a key because the natural opposite happened, and that of a firing which still waits."""
        self.resolve(rule, key, event, _OPPOSITE, view)
        place = rule.limits.place(key)
        limit = self.state.limits[rule.number].get(place)
        if limit is not None and limit.waits(key):
            self.state.touch_limit(rule, place).over[key] = event

    def watch_for_end(self, rule: Rule, key: str) -> None:
        """Start the `until` of an alert that opens: it is empty, and sees only what comes from now on."""
        part, state = rule.until, self.state
        if part is None:
            return
        begun = part.trigger.begin(key, state.now)
        if begun is not None:
            kept = state.slots[part.number][key] = begun
            state.dirty.add((part.id, key))
            state.schedule(part, key, kept)

    def is_loop(self, rule: Rule, view: EventView) -> bool:
        """Tell whether an event was caused by this automation's own actions, more hops deep than it allows."""
        if view.hops <= rule.limits.chain:
            return False
        behind = self._lineage(view)
        return rule.name in behind or _ANYONE in behind

    def _pass(self, rule: Rule, match: Match, view: EventView | None) -> None:
        """Let a match through what remembers earlier firings: cooldown, rate, concurrency."""
        state, limits = self.state, rule.limits
        place = limits.place(match.key)
        limit = state.touch_limit(rule, place)
        outcome, detail = self._held_back(rule, limit)
        if outcome is not None:
            limit.suppressed += 1
            self.ledger.decide(rule.when, match.key, outcome, detail, view)
            return
        limit.last = state.now
        if limits.rate is not None:
            state.touch_limit(rule, "").log.append(state.now)
        concurrency = limits.concurrency
        if concurrency is not None and len(limit.active) >= concurrency.max and concurrency.mode == "queue":
            limit.queue.append(match)
            why = {"why": "waits until runs of earlier firings have ended"}
            self.ledger.decide(rule.when, match.key, Outcome.WAITING, why, view)
            return
        self._start(rule, match, limit, place, view)

    def _held_back(self, rule: Rule, limit: LimitState) -> tuple[Outcome | None, Mapping[str, Any]]:
        state, limits = self.state, rule.limits
        if in_cooldown(limits, limit, state.now):
            return Outcome.COOLDOWN, {"until": (limit.last or 0) + (limits.cooldown or 0)}
        if limits.rate is not None and over_rate(limits, state.touch_limit(rule, ""), state.now):
            if limits.rate.then == "pause":
                state.fused.add(rule.name)
                return Outcome.RATE_LIMITED, {
                    "pause": True,
                    "why": "the fuse has blown: the automation pauses",
                }
            return Outcome.RATE_LIMITED, {}
        concurrency = limits.concurrency
        if concurrency is not None and concurrency.mode == "skip" and len(limit.active) >= concurrency.max:
            return Outcome.CONCURRENCY_SKIPPED, {}
        return None, {}

    def _start(self, rule: Rule, match: Match, limit: LimitState, place: str, view: EventView | None) -> None:
        """Fire, and follow the runs that the firing starts."""
        suppressed, limit.suppressed = limit.suppressed, 0
        concurrency = rule.limits.concurrency
        cancels: tuple[str, ...] = ()
        if concurrency is not None and rule.runs:
            surplus = max(len(limit.active) - concurrency.max + 1, 0) if concurrency.mode == "restart" else 0
            cancels = tuple(active.firing for active in limit.active[:surplus])
            del limit.active[:surplus]
            for firing in cancels:
                self.state.active.pop(firing, None)
            limit.active.append(Active(match.id, rule.runs))
            self.state.active[match.id] = rule.number, place
        self._fire(rule, match, suppressed, view, cancels)
        if match.key in limit.over:
            self.resolve(rule, match.key, limit.over.pop(match.key), _OPPOSITE)

    def _fire(
        self, rule: Rule, match: Match, suppressed: int, view: EventView | None, cancels: tuple[str, ...] = ()
    ) -> None:
        state, fire = self.state, match.fire
        last = fire.event
        numbers = [ref.sequence for ref in fire.events]
        events = [view for view in map(state.recall, numbers) if view is not None]
        firing = Firing(
            id=match.id,
            automation=rule.name,
            revision=self.rules.revision,
            key=key_values(match.key),
            at=state.now,
            sequences=tuple(numbers),
            last=None if last is None else last.sequence,
            events=tuple(events),
            event=None if last is None else state.recall(last.sequence),
            count=fire.count,
            value=fire.value,
            suppressed=suppressed,
            alert=self._open_alert(rule, match) if rule.opens_alerts else None,
            hops=0 if last is None else last.hops + 1,
            reason=rule.when.trigger.reason(fire),
            explain=partial(firing_tree, rule),
            cancels=cancels,
        )
        self.ledger.decide(rule.when, match.key, Outcome.FIRED, {}, view, firing=firing)

    def _open_alert(self, rule: Rule, match: Match) -> AlertRef:
        state = self.state
        alert = state.alerts[rule.number].get(match.key)
        if alert is None:
            alert = Alert(derived_id("alert", match.id), state.now, 0, match.id)
            self.watch_for_end(rule, match.key)
        alert.count += 1
        state.set_alert(rule, match.key, alert)
        return AlertRef(alert.id, alert.opened, alert.count)

    def _is_paused(self, rule: Rule) -> bool:
        return not rule.enabled or rule.name in self.state.fused

    def _tidy(self, rule: Rule, place: str, limit: LimitState) -> None:
        if limit.is_idle and limit.is_over(rule.limits, self.state.now):
            self.state.drop_limit(rule, place)

    def _behind(self, view: EventView | None) -> Sequence[str]:
        """Return the automations behind a firing; a timer doesn't know who caused the event that set it."""
        return [_ANYONE] if view is None else self._lineage(view)

    def _lineage(self, view: EventView | None) -> Sequence[str]:
        """Return the automations whose actions led to an event; anyone's where that is no longer known."""
        if view is None or not view.hops:
            return []
        known = self.state.lineages.get(view.id)
        if known is None and view.cause is not None:
            known = self.state.lineages.get(view.cause)
        return [_ANYONE] if known is None else known


def _firing_id(rule: Rule, key: str, fire: Fire, view: EventView | None) -> str:
    """Return the id that the same cause always gives; one cause may make several firings, at different times."""
    cause = ("timer", 0 if fire.event is None else fire.event.sequence) if view is None else view.key
    return derived_id("firing", rule.name, rule.fingerprint, key, fire.time, *cause)


def _ends_a_run(view: EventView) -> bool:
    if view.type in _ENDED:
        return True
    data = view.data
    if not isinstance(data, dict) or data.get("kind") != STARTS_A_RUN:
        return False
    if view.type == _DONE:
        # A run that was there already, by its idempotency key, is another firing's.
        detail = data.get("detail")
        return isinstance(detail, dict) and detail.get("new") is False
    return view.type in _NOT_DONE
