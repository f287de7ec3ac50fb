"""Row `engine` (a) beside Prefect: 1,000 automations on one event name, one per deployment.

Both get the same events as bytes, decode them and come to the decision which automation fires, in one process and with
nothing of it sent anywhere. Rounds alternate. What is fair about it, and what is not, is in docs/benchmarks.md.
"""

import contextlib
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Final

from benchmarks.engine import START, deployment_events, deployment_rules
from benchmarks.peers.conversation import prefect_script
from benchmarks.peers.environment import PREFECT, prefect_environment
from benchmarks.peers.prefect_events import Message, prefect_id, prefect_message
from benchmarks.report import Figure
from tocsin_automations.decision import Outcome
from tocsin_automations.engine import initial_state, step
from tocsin_automations.rules import Rules
from tocsin_events.view import EventView
from tocsin_server.heap import long_lived_objects

_RULES: Final = 1_000
_EVENTS: Final = 20_000
_PREFECTS_EVENTS: Final = 100
"""As many of them as Prefect evaluates in a few seconds."""
_ROUNDS: Final = 5

_DATABASE: Final = "sqlite+aiosqlite:///file::memory:?cache=shared&uri=true&check_same_thread=false"


@dataclass(frozen=True)
class _Rate:
    """Events a second, by the clock and by the processor's time."""

    wall: float
    cpu: float


def measure() -> list[Figure]:
    """Return events a second, Prefect's beside ours."""
    rules = Rules.build(deployment_rules(_RULES), 1, START)
    firing = deployment_events(_RULES, _EVENTS)
    # Deployments that no automation names.
    passing = deployment_events(_RULES, _EVENTS, first=_RULES)
    with _prefect() as evaluate, long_lived_objects():
        return [
            *_figures("each event fires one", rules, firing, evaluate, fires=1),
            *_figures("no event fires", rules, passing, evaluate, fires=0),
        ]


def _figures(
    what: str,
    rules: Rules,
    bodies: list[bytes],
    prefect: Callable[[list[bytes], int], _Rate],
    *,
    fires: int,
) -> list[Figure]:
    ours, theirs = [], []
    for round_ in range(_ROUNDS):
        place = round_ * _PREFECTS_EVENTS
        theirs.append(prefect(bodies[place : place + _PREFECTS_EVENTS], fires))
        ours.append(_evaluate(rules, bodies, fires))
    return [
        Figure(
            f"{_RULES:,} rules on one event name, {what}, by {by}",
            statistics.median(getattr(rate, by_) for rate in ours), "events/s",
            statistics.median(getattr(rate, by_) for rate in theirs), f"{PREFECT}, the same events", goal,
        )
        for by, by_, goal in (("the clock", "wall", "≥ 3,000 ×" if fires else ""), ("processor time", "cpu", ""))
    ]  # fmt: skip


def _evaluate(rules: Rules, bodies: list[bytes], fires: int) -> _Rate:
    state = initial_state(rules, START)
    fired = 0
    wall, cpu = time.perf_counter(), time.process_time()
    for number, body in enumerate(bodies, 1):
        view = EventView.decode(body, received=START + number * 1_000, sequence=number)
        state, decisions = step(rules, state, view)
        for decision in decisions:
            fired += decision.outcome is Outcome.FIRED
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    _check("Tocsin", fired, fires * len(bodies))
    return _Rate(len(bodies) / wall, len(bodies) / cpu)


@contextlib.contextmanager
def _prefect() -> Iterator[Callable[[list[bytes], int], _Rate]]:
    """Give a function that lets Prefect, in a process of its own, evaluate some of our events."""
    # Each round's events have ids of their own: Prefect leaves out what it has seen.
    rounds = count()
    with (
        tempfile.TemporaryDirectory() as home,
        prefect_script(
            "prefect_evaluation.py",
            prefect_environment(home, PREFECT_SERVER_DATABASE_CONNECTION_URL=_DATABASE),
        ) as ask,
    ):
        deployments = [prefect_id("deployment", f"deployment-{number}") for number in range(_RULES)]
        _check("Prefect", ask({"deployments": deployments})["loaded"], _RULES)

        def evaluate(bodies: list[bytes], fires: int) -> _Rate:
            round_ = next(rounds)
            messages: list[Message] = [prefect_message(body, round_) for body in bodies]
            answer = ask({"events": messages})
            _check("Prefect", answer["fired"], fires * len(bodies))
            return _Rate(len(bodies) / answer["wall"], len(bodies) / answer["cpu"])

        yield evaluate


def _check(who: str, got: int, expected: int) -> None:
    """See that both do the work that is compared."""
    assert got == expected, f"{who}: {got:,} instead of {expected:,}"
