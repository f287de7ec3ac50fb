"""The engine: a pure function from (rules, what it knows, what it sees) to what it decides.

Theory of operation
-------------------
``step(rules, state, seen)`` takes one message, an event or a tick of the clock, and returns what every automation made
of it. There is no clock, input, output or chance in it: the same messages give the same decisions with the same ids,
so a service that crashed reads again from its last checkpoint and comes to the same firings; and a backtest, `why`
and rule tests are the service without its wires.

*Time* moves only with messages. The arrival of an event (or a tick) first lets every timer fire that is due at or
before it, in the order of their due times, each with the clock at its own due time. Then the event is looked at.
What happened when is decided by the event's own time; a trigger waits `grace` after a window's end before it decides
that something did not happen.

*Parts.* An automation has a `when` and perhaps an `until`; each is a part: a compiled tree of triggers with its
selectors. The index names the selectors that an event might pass. A selector that it passes gives a key, and each
(part, key) has a state of its own. The trigger gets the event as a `Sighting` and answers with a `Verdict`: its
signals are firings and recoveries (the natural opposite of what it fires on).

*Firings* of `when` go through the limits, in the order chain, debounce or batch, cooldown, rate, concurrency; what
passes is a `Firing`, and opens or updates the alert of its key. A firing of `until`, or a recovery, closes it. `until`
looks at an event before `when` does: an event that is both ends the old alert and opens a new one.

*Timers* stand in a heap of (due, what about, key). A state knows the earliest due time that it has in the heap; an entry
that no longer fits is skipped when it comes up. The heap is made anew from the states after a restore.

*Held events.* Where order matters, an event whose predecessor (`follows`) has not come waits in its part, for at most
`grace`; the predecessor, the end of the grace, or a timer of the same key lets it go.

*Nobody disturbs anybody.* An exception in one part is that part's `condition_error`; `step` itself never raises.
"""

from collections.abc import Collection, Iterable
from heapq import heappop

import msgspec

from tocsin_automations.decision import Decision
from tocsin_automations.rules import Rules
from tocsin_automations.state import Changes, State, carry_over, initial_state, restore
from tocsin_automations.turn import Turn, stale_first
from tocsin_events.view import EventView

__all__ = [
    "Changes", "Rules", "State", "Tick", "initial_state", "next_due", "restore", "step", "switch", "warm_up",
]  # fmt: skip


class Tick(msgspec.Struct, frozen=True):
    """The clock moved on to an instant (microseconds), and nothing else happened."""

    at: int


def step(rules: Rules, state: State, seen: EventView | Tick) -> tuple[State, tuple[Decision, ...]]:
    """Take in an event or a tick; return the new state and what was decided, in order.

    The given state is used up. Events come in the order of the bus, with growing ``sequence`` (an event without one
    gets the next number). Events that no selector passes give counts, not decisions. Never raises.
    """
    turn = Turn(rules, state)
    if isinstance(seen, Tick):
        turn.advance(seen.at)
    else:
        turn.see(seen)
    return state, tuple(turn.ledger.decisions)


def next_due(state: State) -> int | None:
    """Return the clock at which the next timer is due, in microseconds."""
    heap = state.heap
    while heap and stale_first(state, heap[0]):
        heappop(heap)
    return heap[0][0] if heap else None


def switch(rules: Rules, state: State, at: int) -> tuple[State, tuple[Decision, ...]]:
    """Go over to a new revision at the clock ``at``; return the new state and what that closed.

    A trigger whose definition did not change keeps its windows and timers; alerts and limits belong to the name. The
    alerts of automations that are paused now, gone, or without an `until` are closed as withdrawn. New and changed
    triggers start empty: play history to them with `warm_up`.
    """
    before = Turn(state.rules, state)
    before.advance(at)
    for rule in state.rules.rules:
        now = rules.by_name.get(rule.name)
        if now is None or not now.automation.enabled or not now.opens_alerts:
            for key in sorted(state.alerts[rule.number]):
                before.passage.resolve(rule, key, None, "withdrawn")
    after, begun = carry_over(state, rules, at)
    turn = Turn(rules, after)
    for part in begun:
        rule = rules.owners[part.number]
        if part.role == "until":
            for key in sorted(after.alerts[rule.number]):
                turn.passage.watch_for_end(rule, key)
    return after, tuple(before.ledger.decisions)


def warm_up(rules: Rules, state: State, views: Iterable[EventView], names: Collection[str]) -> State:
    """Play stored events to newly applied automations, so that they are as if they had always been there.

    ``views`` are the events of the last `Rules.horizon`, in the order of the bus. What they would have fired before
    now is used up without a word; limits and alerts begin now.
    """
    chosen = [rules.by_name[name] for name in names if name in rules.by_name]
    automations = [rule.automation for rule in chosen]
    past = Rules.build(automations, rules.revision, rules.applied_at, most_keys=rules.most_keys)
    warm: State | None = None
    for view in views:
        if warm is None:
            warm = initial_state(past, view.received)
        step(past, warm, view)
        state.seen.add(view.source, view.id, view.received)
    if warm is None:
        return state
    turn = Turn(past, warm)
    turn.advance(state.now)
    for key in sorted(warm.held):
        if key in warm.held:
            turn.let_go(key)
    for rule in chosen:
        _transplant(warm, past.by_name[rule.name].when.number, state, rule.when.number)
    state.requeue()
    return state


def _transplant(warm: State, place: int, state: State, number: int) -> None:
    """Give a part the states that it would have had."""
    part, slots, before = state.rules.parts[number], state.slots[number], warm.slots[place]
    for key in [*before, *(key for key in slots if key not in before)]:
        settled = part.trigger.settle(before.get(key), slots.get(key))
        state.dirty.add((part.id, key))
        if settled is None:
            slots.pop(key, None)
        else:
            slots[key] = settled
