"""Errors that a person reads: what happened, why, and what to do next; and the exit codes they end a command with."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command of Tocsin ends; scripts rely on these numbers."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    INVALID_INPUT = 4
    UNREACHABLE = 5
    DENIED = 6
    TIMED_OUT = 7
    INTERRUPTED = 130


class UserError(Exception):
    """Something that the user can put right: one line each for what, why and what to do.

    ``code`` is the exit code of a command that ends with it.
    """

    def __init__(self, what: str, why: str = "", fix: str = "", *, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.code = code

    def __str__(self) -> str:
        return "\n".join(line for line in (self.what, self.why, self.fix) if line)
