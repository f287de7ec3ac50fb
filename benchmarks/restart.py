"""`restart`: from a checkpoint with 1,000,000 keyed windows and 100,000 events behind it to ready again.

The process that makes the windows and the one that takes them over are fresh ones; "ready" counts from the start of the
second, imports and all.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from typing import Final

from benchmarks.report import Figure

_WINDOWS: Final = 1_000_000
_AFTER: Final = 100_000


def measure() -> list[Figure]:
    """Return seconds and bytes."""
    with tempfile.TemporaryDirectory() as folder:
        filled = _run("fill", folder)
        start, used = time.perf_counter(), _children_cpu()
        restored = _run("restore", folder)
        ready, used = time.perf_counter() - start, _children_cpu() - used
    return [
        Figure("ready again: process started, restored, and 100,000 events evaluated", ready, "s", goal="≤ 10 s"),
        Figure("of that, processor time", used, "s"),
        Figure("of that, restoring 1,000,000 windows", restored["restoring"], "s"),
        Figure("of that, decoding and evaluating 100,000 events", restored["evaluating"], "s"),
        Figure("memory a window, with its key", filled["a window"], "bytes", goal="≤ 500 bytes"),
        Figure("the engine's whole memory, 1,000,000 windows", filled["all"] / 1e6, "MB"),
        Figure("the same in the restored process", restored["all"] / 1e6, "MB"),
        Figure("writing a checkpoint of 50,000 new windows", filled["writing"], "s"),
    ]  # fmt: skip


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(life: str, folder: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.restart_process", life, folder, str(_WINDOWS), str(_AFTER)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer
