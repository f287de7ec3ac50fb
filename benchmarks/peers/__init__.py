"""`peers`: other products beside ours in the same run, each in a Python environment of its own."""

import signal
import sys

from benchmarks.peers import engine, latency, task_overhead
from benchmarks.report import Figure


def measure() -> list[Figure]:
    """Return what the other rows say, with the peer's figure as the limit."""
    # Told to end, this ends as by Ctrl-C: with all servers and folders that it made.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    return [*engine.measure(), *latency.measure(), *task_overhead.measure()]
