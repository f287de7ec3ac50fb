"""`scale`: what an event costs as rules and keys grow by ten, and by ten again.

In process, in processor time, since that is what a larger engine would need more of. The limit beside each figure is the same
with the fewest, so that the ratio says how many times dearer an event has become; 1 is flat. As rules grow, one event in
100 fires; as keys grow, one in three, since a third of the windows lack one event.
"""

import gc
import random
import statistics
import time
from collections.abc import Sequence
from typing import Final

from benchmarks.engine import START, deployment_rules
from benchmarks.report import Figure
from benchmarks.samples import state_event
from tocsin_automations.automation import Automation
from tocsin_automations.decision import Outcome
from tocsin_automations.engine import State, initial_state, step
from tocsin_automations.rules import Rules
from tocsin_events.view import EventView
from tocsin_server.heap import long_lived_objects

_RULES: Final = (100, 1_000, 10_000)
_KEYS: Final = (10_000, 100_000, 1_000_000)
_EVENTS: Final = 20_000
_ROUNDS: Final = 5
_FIRES_EVERY: Final = 100
_COUNT: Final = 3
_GOAL: Final = "flat"


class _Engine:
    """An engine of one size; its events go on from round to round."""

    def __init__(self, automations: list[Automation]) -> None:
        self.rules = Rules.build(automations, 1, START)
        self.state: State = initial_state(self.rules, START)
        self._number = 0

    def take(self, deployments: Sequence[str]) -> tuple[float, int]:
        """Decode and evaluate an event of each deployment; return the processor's seconds and how many fired."""
        bodies = [
            state_event(number, deployment=deployment, time=START + number * 1_000)
            for number, deployment in enumerate(deployments, self._number)
        ]
        gc.collect()
        fired = 0
        start = time.process_time()
        for body in bodies:
            self._number += 1
            view = EventView.decode(body, received=START + self._number * 1_000, sequence=self._number)
            self.state, decisions = step(self.rules, self.state, view)
            for decision in decisions:
                fired += decision.outcome is Outcome.FIRED
        took = time.process_time() - start
        # A service does so with each checkpoint.
        self.state.take_changes()
        return took, fired


def measure() -> list[Figure]:
    """Return microseconds an event."""
    return [*_as_rules_grow(), *_as_keys_grow()]


def _as_rules_grow() -> list[Figure]:
    chance = random.Random(5)
    engines = {size: _Engine(deployment_rules(size)) for size in _RULES}
    costs: dict[int, list[float]] = {size: [] for size in _RULES}
    with long_lived_objects():
        for _ in range(_ROUNDS):
            for size, engine in engines.items():
                # Of a hundred deployments one has a rule, whatever their number.
                named = [
                    chance.randrange(size)
                    if place % _FIRES_EVERY == 0
                    else size + chance.randrange(99 * size)
                    for place in range(_EVENTS)
                ]
                took, fired = engine.take([f"deployment-{number}" for number in named])
                assert fired == _EVENTS // _FIRES_EVERY, fired
                costs[size].append(took / _EVENTS * 1e6)
    return _figures("rules, one per deployment", costs)


def _as_keys_grow() -> list[Figure]:
    chance = random.Random(6)
    engines = {size: _Engine([_counting()]) for size in _KEYS}
    costs: dict[int, list[float]] = {size: [] for size in _KEYS}
    for size, engine in engines.items():
        for first in range(0, size, _EVENTS):
            numbers = range(first, min(first + _EVENTS, size))
            engine.take([f"key-{number}" for number in numbers for _ in range(number % _COUNT)])
    with long_lived_objects():
        for _ in range(_ROUNDS):
            for size, engine in engines.items():
                took, _ = engine.take([f"key-{chance.randrange(size)}" for _ in range(_EVENTS)])
                costs[size].append(took / _EVENTS * 1e6)
    return _figures("keys of one threshold", costs)


def _counting() -> Automation:
    """Return a rule that fires for one event in three, whatever the number of keys: a third of the windows lack one."""
    when = {"event": "flow-run.failed", "count": _COUNT, "within": "30d", "for_each": "deployment.id"}
    return Automation.model_validate({"name": "thrice", "when": when})


def _figures(what: str, costs: dict[int, list[float]]) -> list[Figure]:
    medians = {size: statistics.median(some) for size, some in costs.items()}
    least = min(medians)
    return [
        Figure(f"{size:,} {what}", cost, "µs an event", medians[least], f"with {least:,}", _GOAL)
        for size, cost in medians.items()
    ]
