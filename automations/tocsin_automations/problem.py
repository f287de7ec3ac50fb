"""What is wrong with a file that a user wrote, and where."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Severity(StrEnum):
    """How bad a problem is: an error keeps a file from being used, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a file; prints as ``file:line:column: error: message (did you mean …?)``.

    ``line`` and ``column`` count from 1; ``suggestion`` is the nearest valid spelling, where there is one.
    """

    file: str
    line: int
    column: int
    message: str
    suggestion: str | None = None
    severity: Severity = Severity.ERROR

    def __str__(self) -> str:
        hint = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        return f"{self.file}:{self.line}:{self.column}: {self.severity}: {self.message}{hint}"


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return problems by file and place, each once."""
    return tuple(
        sorted(
            dict.fromkeys(problems),
            key=lambda problem: (
                problem.file,
                problem.line,
                problem.column,
                problem.severity,
                problem.message,
            ),
        )
    )


def has_errors(problems: Iterable[Problem]) -> bool:
    """Tell whether one of the problems is an error, not only a warning."""
    return any(problem.severity is Severity.ERROR for problem in problems)


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that is spelled most like the given one, or None where none is near."""
    if len(word) > 200:  # comparing is quadratic, and no name of ours is that long
        return None
    close = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    if close:
        return close[0]
    folded = {name.replace("_", "-").casefold(): name for name in sorted(known)}
    return folded.get(word.replace("_", "-").casefold())
