"""What a translation has to say about each automation."""

from dataclasses import dataclass
from enum import StrEnum


class RemarkKind(StrEnum):
    """What kind of thing a remark says."""

    DIFFERS = "differs"
    """It was carried over, and means something else."""
    LEFT_OUT = "left out"
    """It has no counterpart; the rest works without it."""
    TO_DO = "to do"
    """Something has to be filled in; the automation is written with ``enabled: false`` until then."""
    REFUSED = "refused"
    """The automation is not in the output."""


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to know about a translated automation."""

    kind: RemarkKind
    text: str


class CannotTranslateError(Exception):
    """Nothing of ours means this; the message says what, and the automation is refused."""


class Notes:
    """The remarks on one automation, in the order in which they came up, each once."""

    def __init__(self) -> None:
        self._remarks: dict[Remark, None] = {}

    def differs(self, text: str) -> None:
        """Say that something means something else now."""
        self._remarks[Remark(RemarkKind.DIFFERS, text)] = None

    def left_out(self, text: str) -> None:
        """Say that something could not be carried over."""
        self._remarks[Remark(RemarkKind.LEFT_OUT, text)] = None

    def to_do(self, text: str) -> None:
        """Say what has to be filled in before the automation may run."""
        self._remarks[Remark(RemarkKind.TO_DO, text)] = None

    @property
    def unfinished(self) -> bool:
        """Whether something has to be filled in."""
        return any(remark.kind is RemarkKind.TO_DO for remark in self._remarks)

    def taken(self) -> tuple[Remark, ...]:
        """Return all remarks."""
        return tuple(self._remarks)
