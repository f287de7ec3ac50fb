"""Watching a run from the command line: its lines as they come, its end as an exit code."""

import time
from collections.abc import Mapping
from typing import Any, Final

import click

from tocsin_server.cli.client import Api
from tocsin_server.errors import ExitCode

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 1.0
_AFTER_END: Final = 1.5

ENDED: Final = ("completed", "failed", "crashed", "cancelled", "timed-out", "skipped")


def exit_code_of(run: Mapping[str, Any]) -> ExitCode:
    """Return the exit code that a run's end means."""
    match run["state"]:
        case "completed":
            return ExitCode.OK
        case "timed-out":
            return ExitCode.TIMED_OUT
        case _:
            return ExitCode.FAILED


def watch(api: Api, id_: str, *, seconds: float | None, on_stderr: bool) -> dict[str, Any] | None:
    """Print a run's log until it has ended, and return it then; None if that took longer than ``seconds``."""
    end = None if seconds is None else time.monotonic() + seconds
    after, pause, last_look = 0, _FIRST_PAUSE, None
    while True:
        run: dict[str, Any] = api.get("/runs/{}", id_)
        seen = print_lines(api, id_, after, on_stderr=on_stderr)
        pause = _FIRST_PAUSE if seen > after else min(pause * 1.5, _LONGEST_PAUSE)
        after = seen
        if run["state"] in ENDED:
            # The last lines may be on their way still.
            last_look = last_look or time.monotonic() + (_AFTER_END if run["started"] else 0)
            if time.monotonic() >= last_look:
                return run
            pause = _FIRST_PAUSE
        if end is not None and time.monotonic() >= end:
            return None
        time.sleep(pause)


def print_lines(api: Api, id_: str, after: int, *, on_stderr: bool) -> int:
    """Print the lines of a run's log behind a number, and return the last one's number."""
    while True:
        page = api.get("/runs/{}/logs", id_, after=after)
        for line in page["items"]:
            click.echo(shown(line), err=on_stderr)
            after = line["sequence"]
        if page["next"] is None:
            return after


def shown(line: Mapping[str, Any]) -> str:
    """Return a line of a log as a terminal shows it; what a flow printed can't steer the terminal."""
    from tocsin_server.cli.output import local_time

    text = "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}"
        for char in line["message"]
    )
    return f"{local_time(line['time'])} {line['level'].upper():<7} {text}"


def told_end(run: Mapping[str, Any]) -> str:
    """Return in one line how a run ended."""
    reason = f": {run['state_message']}" if run["state_message"] else ""
    return f"Run {run['name']} {run['state']}{reason}"
