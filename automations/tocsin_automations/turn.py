"""One step of the engine: time moves on, an event is looked at, triggers answer."""

from collections.abc import Sequence
from heapq import heappop
from itertools import islice
from typing import Final

from tocsin_automations.decision import Outcome
from tocsin_automations.held import followers, hold, let_go, must_wait, waiting_for_key
from tocsin_automations.index import Entry, TypeIndex
from tocsin_automations.ledger import Ledger
from tocsin_automations.passage import Passage
from tocsin_automations.rules import Part, Rule, Rules
from tocsin_automations.selector import Miss
from tocsin_automations.state import State, Timer, TypeCount
from tocsin_automations.trigger import Fire, Kept, Recovery, Ref, Sighting, Verdict
from tocsin_events.view import EventView

_MOST_HOPS: Final = 1_000_000


class Turn:
    """A step in the making. It changes the state; what it decides is in its ledger."""

    __slots__ = ("ledger", "passage", "rules", "state")

    def __init__(self, rules: Rules, state: State) -> None:
        self.rules = rules
        self.state = state
        self.ledger = Ledger(rules, state)
        self.passage = Passage(rules, state, self.ledger)

    def advance(self, to: int) -> None:
        """Let everything happen that is due until an instant, each at its own time."""
        state = self.state
        heap = state.heap
        while heap and heap[0][0] <= to:
            timer = heappop(heap)
            if not state.is_valid(timer):
                continue
            due, about, key = timer
            state.now = max(state.now, due)
            match self.rules.about(about):
                case Part() as part:
                    self._expire(part, key, due)
                case Rule() as rule:
                    self.passage.limit_due(rule, key)
                case None:
                    self.let_go(key)
        state.now = max(state.now, to)

    def see(self, view: EventView) -> None:
        """Take in an event."""
        state = self.state
        if view.received > state.now:
            self.advance(view.received)
        elif state.heap:
            self.advance(state.now)
        number = state.sequence = view.sequence or state.sequence + 1
        state.latest = view
        if not state.seen.add(view.source, view.id, state.now):
            self._duplicate(view)
            return
        if view.cause is not None and state.active:
            self.passage.run_ended(view)
        index = self.rules.index.of_type(view.type)
        if index.parts:
            matched, missed = self._match(view, index)
            for place, miss in missed.items():
                self.ledger.missed(self.rules.parts[place], miss, view)
            if matched:
                self._evaluate_all(view, number, matched)
        if self.rules.follows_matter:
            state.follow(view)
            self._release_followers(view, 0)

    def let_go(self, key: str, behind: int = 0) -> None:
        """Evaluate an event that was held back, and those that waited for it.

        ``behind`` is its place among the events of its instant that follow one another.
        """
        held, view = let_go(self.state, key)
        part = self.rules.part_by_id.get(held.part)
        if part is not None:
            ref = self._ref(part, view, view.sequence, behind)
            self._evaluate(part, view, ref, held.hits, held.arrived)
            self._release_followers(view, behind)

    def _match(self, view: EventView, index: TypeIndex) -> tuple[dict[int, dict[str, int]], dict[int, Miss]]:
        """Return the keys and selectors that an event passes, by part; and why it passes none, or what went wrong."""
        state = self.state
        count = state.types.get(view.type)
        if count is None:
            count = state.types[view.type] = TypeCount()
        count.total += 1
        looked, skipped = count.looked, index.skipped
        matched: dict[int, dict[str, int]] = {}
        missed: dict[int, Miss] = {}
        try:
            candidates: Sequence[Entry] = index.candidates(view)
        except Exception:  # noqa: BLE001 - so odd that the index can't tell: each selector that stumbles says so itself
            candidates = index.entries
        for number, selector in candidates:
            if number in skipped:
                looked[number] = looked.get(number, 0) + 1
            try:
                key = selector.key_of(view)
            except Exception as problem:  # noqa: BLE001 - one part's error must not stop the others
                key = Miss(Outcome.CONDITION_ERROR, f"{type(problem).__name__}: {problem}")
            if not isinstance(key, str):
                if number not in missed or key.outcome is Outcome.CONDITION_ERROR:
                    missed[number] = key
            elif number in matched:
                hits = matched[number]
                hits[key] = hits.get(key, 0) | selector.bit
            else:
                matched[number] = {key: selector.bit}
        if missed and matched:
            for number in missed.keys() & matched.keys():
                if missed[number].outcome is not Outcome.CONDITION_ERROR:
                    del missed[number]
        return matched, missed

    def _duplicate(self, view: EventView) -> None:
        matched, missed = self._match(view, self.rules.index.of_type(view.type))
        for number in sorted({*matched, *missed}):
            part, miss = self.rules.parts[number], missed.get(number)
            if miss is not None and miss.outcome is Outcome.NO_MATCH:
                self.ledger.missed(part, miss, view)
            else:
                self.ledger.decide(part, None, Outcome.DUPLICATE, {}, view)

    def _evaluate_all(self, view: EventView, number: int, matched: dict[int, dict[str, int]]) -> None:
        state = self.state
        state.remember(number, view)
        for place, hits in matched.items():
            part = self.rules.parts[place]
            if view.follows is not None and must_wait(state, part, view):
                until = hold(state, part, view, number, hits)
                self.ledger.decide(part, next(iter(hits)), Outcome.HELD, {"until": until}, view)
            else:
                self._evaluate(part, view, self._ref(part, view, number), hits, state.now)

    def _ref(self, part: Part, view: EventView, number: int, behind: int = 0) -> Ref:
        """Return an event as a part remembers it; a time that lies too far ahead is taken as the arrival."""
        time = view.time if view.time <= view.received + part.grace else view.received
        hops = min(view.hops, _MOST_HOPS)
        if hops <= 0:
            return Ref(time, behind, number)
        return Ref(
            time,
            behind,
            number,
            -hops if self.passage.is_loop(self.rules.owners[part.number], view) else hops,
        )

    def _evaluate(self, part: Part, view: EventView, ref: Ref, hits: dict[str, int], arrived: int) -> None:
        for key, bits in hits.items():
            sighting = Sighting(view, ref, key, bits, arrived, self.state.now)
            try:
                self._observe(part, key, sighting)
            except Exception as problem:  # noqa: BLE001 - one part's error must not stop the others
                self._drop(part, key)
                self.ledger.broken(part, key, view, problem)

    def _observe(self, part: Part, key: str, sighting: Sighting) -> None:
        state, trigger = self.state, part.trigger
        if part.role == "until" and key not in state.alerts[self.rules.owners[part.number].number]:
            self.ledger.count(part, "until", Outcome.NO_MATCH, "no alert is open")
            return
        if trigger.stateless:
            self._act(part, key, trigger.observe(None, sighting), sighting.view)
            return
        slots = state.slots[part.number]
        kept: Kept = slots.get(key) or trigger.fresh(state.now)
        if key not in slots:
            slots[key] = kept
            if len(slots) > self.rules.most_keys:
                self._evict(part, slots)
        verdict = trigger.observe(kept, sighting)
        state.dirty.add((part.id, key))
        self._act(part, key, verdict, sighting.view)
        if slots.get(key) is kept:
            self._settle(part, key, kept)

    def _expire(self, part: Part, key: str, due: int) -> None:
        """Let a trigger's timer act."""
        kept = self.state.slots[part.number].get(key)
        if kept is None:
            return
        kept.queued = None
        if self.state.held:
            self._let_go_first(part, key, kept, due)
            if self.state.slots[part.number].get(key) is not kept:
                return
        wanted = part.trigger.due(kept)
        if wanted is not None and wanted <= due:
            try:
                verdict = _expired(part, kept, due)
            except Exception as problem:  # noqa: BLE001 - one part's error must not stop the others
                self._drop(part, key)
                self.ledger.broken(part, key, None, problem)
                return
            self.state.dirty.add((part.id, key))
            self._act(part, key, verdict, None)
        if self.state.slots[part.number].get(key) is kept:
            self._settle(part, key, kept)

    def _let_go_first(self, part: Part, key: str, kept: Kept, due: int) -> None:
        """Before a timer decides: what came in time, and waits for what it follows, counts."""
        wanted = part.trigger.due(kept)
        if wanted is None or wanted > due or not part.trigger.decides(kept, due):
            return
        for name in waiting_for_key(self.state, part, key):
            if name in self.state.held:
                self.let_go(name)

    def _act(self, part: Part, key: str, verdict: Verdict, view: EventView | None) -> None:
        """Turn a trigger's signals into firings and resolutions, or its verdict into a decision."""
        rule = self.rules.owners[part.number]
        told = False
        for signal in verdict.signals:
            if isinstance(signal, Recovery):
                if part.role == "when" and rule.natural:
                    self.passage.recover(rule, key, signal.event, view)
            elif part.role == "until":
                told = self.passage.resolve(rule, key, signal.event, part.trigger.reason(signal), view)
            elif isinstance(signal, Fire):
                told = True
                self.passage.admit(rule, key, signal, view)
        if view is not None and not told:
            self.ledger.decide(part, key, verdict.outcome, verdict.detail, view)

    def _settle(self, part: Part, key: str, kept: Kept) -> None:
        if part.trigger.is_empty(kept):
            del self.state.slots[part.number][key]
        else:
            self.state.schedule(part, key, kept)

    def _drop(self, part: Part, key: str) -> None:
        if self.state.slots[part.number].pop(key, None) is not None:
            self.state.dirty.add((part.id, key))

    def _evict(self, part: Part, slots: dict[str, Kept]) -> None:
        """Drop the oldest keys, a few at once: a dict finds its first key slowly after many were taken away."""
        why = f"more than {self.rules.most_keys} keys: the oldest was dropped"
        for key in list(islice(slots, max(1, self.rules.most_keys // 1000))):
            self._drop(part, key)
            self.ledger.decide(part, key, Outcome.CONDITION_ERROR, {"why": why}, None)

    def _release_followers(self, view: EventView, behind: int) -> None:
        if self.state.held:
            for key, held in followers(self.state, view):
                self.let_go(key, behind + 1 if held.time == view.time else 0)


def _expired(part: Part, kept: Kept, due: int) -> Verdict:
    before = part.trigger.due(kept)
    verdict = part.trigger.expire(kept, due)
    if not verdict.signals and part.trigger.due(kept) == before:
        raise RuntimeError("the timer does not move on")
    return verdict


def stale_first(state: State, timer: Timer) -> bool:
    """Tell whether a timer no longer is what its state wants, and put the right one into the queue if so."""
    due, about, key = timer
    if not state.is_valid(timer):
        return True
    part = state.rules.about(about)
    if not isinstance(part, Part):
        return False
    kept = state.slots[part.number][key]
    if part.trigger.due(kept) == due:
        return False
    kept.queued = None
    state.schedule(part, key, kept)
    return True
