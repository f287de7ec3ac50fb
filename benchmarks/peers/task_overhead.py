"""Row `task-overhead` beside Prefect: the same empty tasks and flows in both, with a server and without."""

import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.peers.environment import PREFECT, prefect_environment, prefect_python
from benchmarks.peers.lead import Lead
from benchmarks.peers.prefect_server import prefect_server
from benchmarks.report import Figure
from benchmarks.servers import own_server
from benchmarks.task_overhead import Overhead, overhead

_ROUNDS: Final = 3

_CALLS: Final = Path(__file__).with_name("prefect_calls.py")


def measure() -> list[Figure]:
    """Return microseconds a call, ours beside Prefect's."""
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
    ):
        alone = {**os.environ, "TOCSIN_DATA_DIR": folder}
        # Without a server, Prefect starts one of its own for the time of the program.
        temporary = prefect_environment(
            home,
            PREFECT_SERVER_ALLOW_EPHEMERAL_MODE="true",
            PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="300",
        )
        figures = _figures("no server", lambda: overhead(alone), lambda: _prefects(temporary))
    with own_server("relaxed") as ours, prefect_server() as theirs:
        figures += _figures(
            "server up", lambda: overhead(ours.environment), lambda: _prefects(theirs.environment)
        )
    return figures


def _figures(where: str, ours: Callable[[], Overhead], theirs: Callable[[], Overhead]) -> list[Figure]:
    rounds = [(theirs(), ours()) for _ in range(_ROUNDS)]
    return [
        Lead(
            f"empty {what}, {where}",
            statistics.median(getattr(own, name) for _, own in rounds), "µs",
            statistics.median(getattr(other, name) for other, _ in rounds), PREFECT,
        )
        for what, name in (("`@task` call", "task"), ("`@flow` run", "flow"))
    ]  # fmt: skip


def _prefects(environment: dict[str, str]) -> Overhead:
    """Measure as many of Prefect's as it runs in a few seconds."""
    return overhead(environment, "prefect", python=prefect_python(), calls=_CALLS, tasks=200, flows=20)
