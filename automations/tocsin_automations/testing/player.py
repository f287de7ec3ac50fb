"""Plays a test on the production engine, in virtual time.

Theory of operation. A heap holds what arrives: the test's events, and the events that the rules themselves make. The
player always does what comes first: a timer of the engine that is due, by a tick at its time, or the next arrival. What
fires is recorded with its actions rendered, and the events that it causes go back into the heap for the same instant,
behind what arrives then anyway, as on the bus.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from typing import Any, Final

from tocsin_automations.action import ActionKind
from tocsin_automations.automation import Automation
from tocsin_automations.decision import Decision, Firing
from tocsin_automations.engine import Rules, State, Tick, initial_state, next_due, step, switch
from tocsin_automations.explain import conditions_met
from tocsin_automations.firing_event import firing_event
from tocsin_automations.testing.compare import Decided, Happened, same_json
from tocsin_automations.testing.deliveries import Asked
from tocsin_automations.testing.feedback import action_events
from tocsin_automations.testing.given import Arrival, arrivals, last_instant
from tocsin_automations.testing.misses import misses
from tocsin_automations.testing.model import FiringRef, RuleTest
from tocsin_automations.testing.rendering import Renderer
from tocsin_events.view import EventView

MAX_STEPS: Final = 200_000
"""How many events and timers one test may take: rules that set each other off forever end here."""

_SWITCHES: Final[Mapping[str, bool]] = {"automation.paused": False, "automation.resumed": True}


class Unplayable(Exception):  # noqa: N818 - it names what was found
    """The test can't be played to its end; the message says why."""


@dataclass(frozen=True, slots=True)
class Played:
    """What happened in a test."""

    happened: tuple[Happened, ...]
    decided: tuple[Decided, ...]
    asked: tuple[Asked, ...]


def play(
    test: RuleTest,
    automations: Iterable[Automation],
    kinds: Mapping[str, ActionKind],
    variables: Mapping[str, Any] | None = None,
) -> Played:
    """Return all firings and decisions of a test.

    Raises:
        Unplayable: an event is too large, names a firing that did not happen, or the rules never come to rest.

    """
    rules = {one.name: one for one in automations}

    def again() -> _Player:
        return _Player(test, dict(rules), Renderer(kinds, variables or {}), again)

    player = again()
    player.run()
    return Played(tuple(player.happened), tuple(player.decided), tuple(player.asked))


@dataclass(slots=True)
class _Player:
    test: RuleTest
    automations: dict[str, Automation]
    renderer: Renderer
    again: "Callable[[], _Player]"
    happened: list[Happened] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    fired: list[Firing] = field(default_factory=list)
    views: dict[int, EventView] = field(default_factory=dict)
    latest: dict[tuple[str, str], EventView] = field(default_factory=dict)
    queue: list[tuple[int, int, Arrival | bytes]] = field(default_factory=list)
    rules: Rules = field(init=False)
    state: State = field(init=False)
    revision: int = 1
    order: int = 0
    stop_before: int = 0
    stopped: EventView | None = None

    def run(self) -> None:
        clock, end = self.test.clock, self.test.clock + last_instant(self.test)
        self.rules = Rules.build(self.automations.values(), self.revision, clock)
        self.state = initial_state(self.rules, clock)
        for arrival in arrivals(self.test):
            self.put(clock + arrival.arrives, arrival)
        for _ in range(MAX_STEPS):
            due = next_due(self.state)
            arrives = self.queue[0][0] if self.queue else None
            if due is not None and due <= end and (arrives is None or due <= arrives):
                self.step(Tick(due))
            elif arrives is not None and arrives <= end:
                self.take(heappop(self.queue))
                if self.stopped is not None:
                    return
            else:
                self.step(Tick(end))
                return
        raise Unplayable(
            f"the test took more than {MAX_STEPS} events and timers: do the rules set each other off without an end?"
        )

    def put(self, at: int, what: Arrival | bytes) -> None:
        self.order += 1
        heappush(self.queue, (at, self.order, what))

    def take(self, entry: tuple[int, int, Arrival | bytes]) -> None:
        """Give the next arrival to the engine; one that pauses or resumes an automation changes the rules."""
        at, _, what = entry
        number = len(self.views) + 1
        if isinstance(what, bytes):
            view = EventView.decode(what, received=at, sequence=number)
        else:
            try:
                view = what.view(self.test.clock, self.cause(what), number)
            except ValueError as problem:
                raise Unplayable(str(problem)) from problem
        self.views[number] = self.latest[view.key] = view
        if number == self.stop_before:
            self.stopped = view
            return
        self.step(view)
        if view.type in _SWITCHES and view.resource is not None:
            self.enable(view.resource["id"], _SWITCHES[view.type], at)

    def cause(self, arrival: Arrival) -> str | None:
        """Return the cause of an event, which may be the firing of an automation that this test can't know the id of."""
        wanted = arrival.firing
        if wanted is None:
            return arrival.cause
        for firing in reversed(self.fired):
            if firing.state == "firing" and _is(firing, wanted):
                return firing.id
        raise Unplayable(
            f"event {arrival.id} is caused by a firing of {wanted.firing}, which has not fired before it"
        )

    def enable(self, name: str, enabled: bool, at: int) -> None:
        automation = self.automations.get(name)
        if automation is None or automation.enabled is enabled:
            return
        self.automations[name] = automation.model_copy(update={"enabled": enabled})
        self.revision += 1
        self.rules = Rules.build(self.automations.values(), self.revision, at)
        self.state, decisions = switch(self.rules, self.state, at)
        self.record(decisions)

    def step(self, seen: EventView | Tick) -> None:
        rules = self.rules
        self.state, decisions = step(rules, self.state, seen)
        self.record(decisions)
        if isinstance(seen, EventView):
            since = seen.received - self.test.clock
            decided = {(one.automation, one.part) for one in decisions}
            explain = partial(self.explainer, seen.sequence)
            self.decided += misses(rules, seen, since, decided, explain)

    def record(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            number = self._number(decision)
            self.decided.append(
                Decided(
                    at=decision.at - self.test.clock,
                    automation=decision.automation,
                    part=decision.part,
                    outcome=decision.outcome.value,
                    event=decision.event_id or "",
                    key=decision.key,
                    reason=decision.reason,
                    explain=self.explainer(number, decision.automation, decision.part),
                )
            )
            if decision.firing is not None:
                wanted = decision.firing.missing
                self.fire(decision.firing.with_events({number: self.views[number] for number in wanted}))

    def fire(self, firing: Firing) -> None:
        """Record a firing with its actions rendered, and let the events that it causes arrive."""
        automation = self.automations[firing.automation]
        body = firing_event(firing, automation)
        event = EventView.decode(body, received=firing.at)
        payload = event.data
        actions = automation.then if firing.state == "firing" else automation.then_resolve
        rendered = self.renderer.render(firing, payload, actions)
        self.fired.append(firing)
        self.asked.append(Asked(firing.at - self.test.clock, firing.id, event.type, payload, rendered))
        self.happened.append(
            Happened(
                at=firing.at - self.test.clock,
                automation=firing.automation,
                state=firing.state,
                key=firing.key,
                events=tuple(view.id for view in firing.events),
                actions=rendered,
                count=firing.count,
                value=firing.value,
                suppressed=firing.suppressed,
            )
        )
        self.put(firing.at, body)
        for caused in action_events(firing, actions, rendered):
            self.put(firing.at, caused)

    def explainer(self, number: int, automation: str, part: str) -> Callable[[], Sequence[str]]:
        """Return what gives the tree of a part as it was when an event came, by its number: the test is played again."""
        if not number:
            return tuple
        return partial(_tree, self.again, number, automation, part)

    def _number(self, decision: Decision) -> int:
        """Return the number of the event that a decision is about; 0 where a timer decided."""
        if decision.event_id is None or decision.source is None:
            return 0
        view = self.latest.get((decision.source, decision.event_id))
        return 0 if view is None else view.sequence


def _tree(again: Callable[[], _Player], number: int, automation: str, part: str) -> list[str]:
    player = again()
    player.stop_before = number
    player.run()
    rule = player.rules.by_name.get(automation)
    if player.stopped is None or rule is None:
        return []
    met = conditions_met(player.state, player.stopped, rule)
    return [line for found, node, _, _ in met if found.role == part for line in node.lines()]


def _is(firing: Firing, wanted: FiringRef) -> bool:
    return firing.automation == wanted.firing and (wanted.key is None or same_json(wanted.key, firing.key))
