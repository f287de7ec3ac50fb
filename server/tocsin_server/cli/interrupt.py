"""Ctrl-C while a command runs."""

from types import FrameType
from typing import Never


class Interrupted(KeyboardInterrupt):
    """Ctrl-C under a type of its own.

    Where a plain `KeyboardInterrupt` passes through an `exec` (making a dataclass at an import, say), CPython ends by
    SIGINT later on, although it was caught: `run_eval_code_obj` in pythonrun.c.
    """


def interrupt(number: int, frame: FrameType | None) -> Never:  # noqa: ARG001 - as signal handlers are called
    """Handle a signal by interrupting the command."""
    raise Interrupted
