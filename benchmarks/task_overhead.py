"""`task-overhead`: what `@task` and `@flow` add to an empty function, with a server and without."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Figure, seconds
from benchmarks.servers import own_process, own_server

_ROUNDS = 3

_CALLS = Path(__file__).with_name("empty_calls.py")


@dataclass(frozen=True)
class Overhead:
    """Microseconds that an empty function takes as a task and as a flow."""

    task: float
    flow: float


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


def overhead(
    environment: Mapping[str, str],
    product: str = "tocsin",
    *,
    python: str | Path = sys.executable,
    calls: Path = _CALLS,
    tasks: int = 2_000,
    flows: int = 200,
) -> Overhead:
    """Measure a product's ``@task`` and ``@flow`` in a process of its own that has made some calls already."""
    command = [str(python), "-P", "-W", "ignore", str(calls), product, str(tasks), str(flows)]
    quiet = {**environment, "TOCSIN_LOG_LEVEL": "ERROR"}
    with own_process(command, env=quiet, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        told, said = process.communicate()
    assert process.returncode == 0, f"{product}'s process ended with {process.returncode}:\n{said}"
    return Overhead(**json.loads(told.splitlines()[-1]))


def _figures(where: str, environment: Mapping[str, str]) -> list[Figure]:
    rounds = [overhead(environment) for _ in range(_ROUNDS)]
    return [
        Figure(
            f"empty `@task` call, {where}",
            statistics.median(one.task for one in rounds),
            "µs",
            goal="≤ 60 µs",
        ),
        Figure(
            f"empty `@flow` run, {where}",
            statistics.median(one.flow for one in rounds),
            "µs",
            goal="≤ 500 µs",
        ),
    ]


def _run(*arguments: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, *arguments], capture_output=True, check=True))
