"""`task-overhead`: what `@task` and `@flow` add to an empty function, with a server and without."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from benchmarks.report import Figure, seconds
from benchmarks.servers import own_server

_ROUNDS = 3

_SCRIPT = """
import json, logging, time
from tocsin import flow, task

def empty():
    return None

TASKS, FLOWS = 2_000, 200
timed = task(empty)

@flow
def many_tasks():
    start = time.perf_counter()
    for _ in range(TASKS):
        timed()
    return time.perf_counter() - start

@flow
def nothing():
    return None

many_tasks()
in_tasks = many_tasks()
start = time.perf_counter()
for _ in range(FLOWS):
    nothing()
in_flows = time.perf_counter() - start
print(json.dumps({"task": in_tasks / TASKS * 1e6, "flow": in_flows / FLOWS * 1e6}))
"""


def measure() -> list[Figure]:
    """Return microseconds a call."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        alone = {**os.environ, "TOCSIN_DATA_DIR": folder}
        figures += _figures("no server", alone)
    with own_server("relaxed") as server:
        figures += _figures("server up", server.environment)
    bare = statistics.median(_run("-c", "pass") for _ in range(7)) * 1e3
    imported = statistics.median(_run("-c", "import tocsin") for _ in range(7)) * 1e3
    return [*figures, Figure("`import tocsin`, beyond bare Python", imported - bare, "ms", goal="≤ 120 ms")]


def _figures(where: str, environment: Mapping[str, str]) -> list[Figure]:
    rounds = [_overhead(environment) for _ in range(_ROUNDS)]
    return [
        Figure(
            f"empty `@task` call, {where}",
            statistics.median(one["task"] for one in rounds),
            "µs",
            goal="≤ 60 µs",
        ),
        Figure(
            f"empty `@flow` run, {where}",
            statistics.median(one["flow"] for one in rounds),
            "µs",
            goal="≤ 500 µs",
        ),
    ]


def _overhead(environment: Mapping[str, str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env={**environment, "TOCSIN_LOG_LEVEL": "ERROR"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _run(*arguments: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True))
