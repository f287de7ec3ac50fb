"""`start`: the server to ready in a fresh data folder, its memory at rest, and `tocsin --help`."""

import statistics
import subprocess
import sys
import time

from benchmarks.report import Figure, seconds
from benchmarks.servers import own_server

_ROUNDS = 3


def measure() -> list[Figure]:
    """Return seconds and megabytes; the limit is Python's own start, or `import tocsin` for nothing."""
    ready, memory = [], []
    for _ in range(_ROUNDS):
        with own_server("durable") as server:
            ready.append(server.ready_seconds)
            time.sleep(2)  # at rest
            memory.append(server.memory() / 1e6)
    bare = _median("-c", "pass")
    return [
        Figure("`tocsin server start` to ready", statistics.median(ready), "s", goal="≤ 3 s"),
        Figure("resident memory at rest, with NATS", statistics.median(memory), "MB", goal="≤ 180 MB"),
        Figure(
            "`tocsin --help`",
            _median("-m", "tocsin_server.cli", "--help"),
            "s",
            bare,
            "bare Python",
            "≤ 0.25 s",
        ),
        Figure("`import tocsin`", _median("-c", "import tocsin"), "s", bare, "bare Python", "≤ 0.12 s more"),
    ]


def _median(*arguments: str) -> float:
    command = [sys.executable, *arguments]
    return statistics.median(
        seconds(lambda: subprocess.run(command, capture_output=True, check=True)) for _ in range(7)
    )
