"""The last runs as bars: how each ended and how long it took, in a short text that a picture is drawn from. Pure."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median
from typing import Final

from tocsin_events.instant import SECOND
from tocsin_notifiers.message import RunsOf

SHOWN: Final = 20
"""How many runs a picture shows."""
FEWEST: Final = 2
"""With fewer there is nothing to compare, and no picture."""
HIGHEST: Final = 255
"""The level of the run that took longest."""
_NAME: Final = 80


class Outcome(StrEnum):
    """What became of a run; the value is the word that people read."""

    COMPLETED = "completed"
    FAILED = "failed"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    RUNNING = "running"


_OUTCOMES: Final = {
    "completed": Outcome.COMPLETED,
    "cached": Outcome.COMPLETED,
    "failed": Outcome.FAILED,
    "timed-out": Outcome.FAILED,
    "crashed": Outcome.CRASHED,
    "cancelled": Outcome.CANCELLED,
    "running": Outcome.RUNNING,
    "retrying": Outcome.RUNNING,
    "cancelling": Outcome.RUNNING,
    "paused": Outcome.RUNNING,
    "suspended": Outcome.RUNNING,
}
"""What a run's state shows as; runs in other states have not begun, and are left out."""

STATES: Final = tuple(_OUTCOMES)
"""The states of runs that are shown."""

_LETTERS: Final = {
    Outcome.COMPLETED: "c",
    Outcome.FAILED: "f",
    Outcome.CRASHED: "x",
    Outcome.CANCELLED: "n",
    Outcome.RUNNING: "r",
}
_MEANT: Final = {letter: outcome for outcome, letter in _LETTERS.items()}
_WRITTEN: Final = re.compile(rf"(?:m([0-9a-f]{{2}}))?((?:[{''.join(_MEANT)}][0-9a-f]{{2}}){{1,{SHOWN}}})")


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run as the record has it: the state's word, and when it began and ended (microseconds)."""

    id: str
    state: str
    started: int | None = None
    ended: int | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """One run: ``level`` is how long it took, as a part of the longest (0 to `HIGHEST`)."""

    outcome: Outcome
    level: int


@dataclass(frozen=True, slots=True)
class RunChart:
    """Bars from the oldest run to the latest; ``median`` is the level of the median, where a run has ended."""

    bars: tuple[Bar, ...]
    median: int | None = None

    def __str__(self) -> str:
        """Return it as letters and digits, which `read_chart` reads."""
        written = "".join(f"{_LETTERS[bar.outcome]}{bar.level:02x}" for bar in self.bars)
        return written if self.median is None else f"m{self.median:02x}{written}"


def read_chart(text: str) -> RunChart:
    """Return the chart that a text stands for.

    Raises:
        ValueError: it stands for none.

    """
    found = _WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError("this is no chart")
    bars = found[2]
    return RunChart(
        tuple(
            Bar(_MEANT[bars[place]], int(bars[place + 1 : place + 3], 16)) for place in range(0, len(bars), 3)
        ),
        None if found[1] is None else int(found[1], 16),
    )


def chart_of(runs: Sequence[PastRun], of: RunsOf, now: int) -> tuple[RunChart, str] | None:
    """Return the chart of runs (the latest first) and what it says in words; None where there are too few.

    The run that a message is about is shown as its event says, where the record doesn't have its end yet.
    """
    told = [_as_told(run, of) for run in reversed(runs[:SHOWN])]
    shown = [(_OUTCOMES[run.state], _took(run, now)) for run in told if run.state in _OUTCOMES]
    if len(shown) < FEWEST:
        return None
    longest = max(took or 0 for _, took in shown)
    ended = [took for outcome, took in shown if took is not None and outcome is not Outcome.RUNNING]
    middle = round(median(ended)) if ended else None
    chart = RunChart(
        tuple(Bar(outcome, _level(took, longest)) for outcome, took in shown),
        None if middle is None else _level(middle, longest),
    )
    return chart, _in_words(of.name, [outcome for outcome, _ in shown], middle)


def duration_in_words(micros: int) -> str:
    """Return a duration as people say it: ``350 ms``, ``4.2 s``, ``42 s``, ``12 min``, ``3.5 h``."""
    seconds = max(micros, 0) / SECOND
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    hours = seconds / 3_600
    return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"


def _as_told(run: PastRun, of: RunsOf) -> PastRun:
    """Return a run with the end that the event tells of, where the record lags behind and no later attempt has begun."""
    if run.id != of.run or run.ended is not None or of.at < (run.started or 0):
        return run
    if _OUTCOMES.get(of.state, Outcome.RUNNING) is Outcome.RUNNING:
        return run
    return PastRun(run.id, of.state, run.started, of.at)


def _took(run: PastRun, now: int) -> int | None:
    if run.started is None:
        return None
    return max((now if run.ended is None else run.ended) - run.started, 0)


def _level(took: int | None, longest: int) -> int:
    return round(HIGHEST * took / longest) if took and longest else 0


def _in_words(name: str, outcomes: Sequence[Outcome], middle: int | None) -> str:
    counts = Counter(outcomes)
    ended = ", ".join(f"{counts[one]} {one}" for one in Outcome if counts[one])
    said = f"The last {len(outcomes)} runs{_named(name)}: {ended}"
    return said if middle is None else f"{said}; median {duration_in_words(middle)}"


def _named(name: str) -> str:
    """Return a name to be put into a line, whatever a stranger wrote: printable, and not long."""
    line = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    short = line if len(line) <= _NAME else line[: _NAME - 1] + "…"
    return f" of {short}" if short else ""
