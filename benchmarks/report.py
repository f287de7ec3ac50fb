"""What a benchmark says: rows of a figure, the limit beside it, and their ratio."""

import os
import platform
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    ``limit`` is what the same run measured for the best that could be had (a raw socket, the bare library, the peer);
    ``ratio`` says how far from it we are; ``goal`` is what docs/benchmarks.md promises.
    """

    what: str
    value: float
    unit: str
    limit: float | None = None
    limit_is: str = ""
    goal: str = ""

    @property
    def ratio(self) -> float | None:
        return None if not self.limit else self.value / self.limit


def print_figures(name: str, figures: Sequence[Figure]) -> None:
    """Print a benchmark's figures as rows of a Markdown table."""
    print(
        f"\n### `{name}`\n\n| what | measured | limit in the same run | ratio | goal |\n|---|---|---|---|---|"
    )
    for figure in figures:
        limit = "" if figure.limit is None else f"{_number(figure.limit)} {figure.unit} ({figure.limit_is})"
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        print(
            f"| {figure.what} | {_number(figure.value)} {figure.unit} | {limit} | {ratio} | {figure.goal} |"
        )


def print_machine() -> None:
    """Print when, where and on which commit this run was."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    print(
        f"{datetime.now(UTC):%Y-%m-%d} · {os.cpu_count()} cores · {platform.system()} {platform.machine()} · "
        f"Python {platform.python_version()} · commit {commit or 'unknown'}"
    )


def seconds(run: Callable[[], object]) -> float:
    """Return how long one call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of some values, ``share`` between 0 and 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
