"""`engine`: bytes → decode → index → step → decisions, in process.

The limit beside each figure is the same loop that only decodes the bytes into an `EventView`.
"""

import gc
import statistics
import time
from collections.abc import Iterator

from benchmarks.report import Figure
from benchmarks.samples import state_event
from tocsin_automations.automation import Automation
from tocsin_automations.engine import initial_state, step
from tocsin_automations.rules import Rules
from tocsin_events.instant import SECOND
from tocsin_events.view import EventView
from tocsin_server.heap import long_lived_objects

START = 1_767_960_000 * SECOND
"""When the events begin, in microseconds."""

_EVENTS = 20_000
_ROUNDS = 3

Shape = tuple[str, list[Automation], list[bytes], str]


def measure() -> list[Figure]:
    """Return events a second for each shape of rules, beside decoding alone."""
    return [_figure(*shape) for shape in _shapes()]


def deployment_rules(count: int) -> list[Automation]:
    """Return automations on the same event, one for each deployment."""
    return [_rule(f"r{n}", "flow-run.failed", f'deployment.id == "deployment-{n}"') for n in range(count)]


def deployment_events(deployments: int, count: int, *, first: int = 0) -> list[bytes]:
    """Return events of so many deployments in turn, from the ``first`` on."""
    return [
        state_event(n, deployment=f"deployment-{first + n % deployments}", time=START + n * 1_000)
        for n in range(count)
    ]


def _shapes() -> Iterator[Shape]:
    for count in (1, 100, 1_000, 10_000):
        yield (
            f"(a) {count:,} rules, one per deployment",
            deployment_rules(count),
            deployment_events(max(count, 1_000), _EVENTS),
            "≥ 50 k/s at 1,000 rules; 10,000 at most 20 % slower",
        )
    for count in (1_000, 10_000):
        yield (
            f"(b) {count:,} rules on distinct types",
            [_rule(f"r{n}", f"type-{n}.failed") for n in range(count)],
            [
                state_event(n, type_=f"type-{n % count}.failed", time=START + n * 1_000)
                for n in range(_EVENTS)
            ],
            "≥ 50 k/s at 1,000 rules; 10,000 at most 20 % slower",
        )
    yield (
        "(c) 50 rules of general CEL",
        [
            _rule(
                f"r{n}",
                "flow-run.failed",
                f'deployment.labels.env != "dev" && data.duration > {n} && '
                f'(data.error.message.contains("column {n}") || tags.exists(t, t == "team-{n}"))',
            )
            for n in range(50)
        ],
        [state_event(n, time=START + n * 1_000) for n in range(_EVENTS // 2)],
        "≥ 8 k/s",
    )
    yield (
        "(d) keyed thresholds over 100,000 keys",
        [
            Automation.model_validate(
                {
                    "name": "thrice",
                    "when": {
                        "event": "flow-run.failed",
                        "count": 3,
                        "within": "10m",
                        "for_each": "deployment.id",
                    },
                }
            )
        ],
        [
            state_event(n, deployment=f"key-{n * 7919 % 100_000}", time=START + n * 1_000)
            for n in range(100_000)
        ],
        "≥ 40 k/s",
    )


def _rule(name: str, event: str, where: str | None = None) -> Automation:
    when = {"event": event} if where is None else {"event": event, "where": where}
    return Automation.model_validate({"name": name, "when": when})


def _figure(what: str, automations: list[Automation], bodies: list[bytes], goal: str) -> Figure:
    rules = Rules.build(automations, 1, START)
    ours, limit = [], []
    # The server treats its long-lived objects so, too.
    with long_lived_objects():
        for _ in range(_ROUNDS):
            limit.append(len(bodies) / _decode(bodies))
            ours.append(len(bodies) / _evaluate(rules, bodies))
    return Figure(what, statistics.median(ours), "events/s", statistics.median(limit), "decoding alone", goal)


def _decode(bodies: list[bytes]) -> float:
    start = time.perf_counter()
    for number, body in enumerate(bodies, 1):
        EventView.decode(body, received=START + number * 1_000, sequence=number)
    return time.perf_counter() - start


def _evaluate(rules: Rules, bodies: list[bytes]) -> float:
    state = initial_state(rules, START)
    gc.collect()
    start = time.perf_counter()
    for number, body in enumerate(bodies, 1):
        view = EventView.decode(body, received=START + number * 1_000, sequence=number)
        state, _ = step(rules, state, view)
    return time.perf_counter() - start
