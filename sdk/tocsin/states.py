"""The states of flow runs and task runs, and the table of transitions between them. Pure: no clock, no I/O.

The server imports this table too, so a run means the same wherever it is looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

FLOW_RUN: Final = "flow-run"
TASK_RUN: Final = "task-run"


class StateType(StrEnum):
    """What a run is doing, or how it ended; the value is the event's word (``flow-run.timed-out``)."""

    SCHEDULED = "scheduled"
    LATE = "late"
    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    RETRYING = "retrying"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"
    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    CACHED = "cached"

    @property
    def label(self) -> str:
        """The state's name as people read it: ``Timed out``."""
        return self.value.replace("-", " ").capitalize()


_T = StateType
_Table = Mapping[StateType | None, frozenset[StateType]]

FINAL: Final = frozenset({_T.COMPLETED, _T.FAILED, _T.CRASHED, _T.CANCELLED, _T.TIMED_OUT, _T.CACHED})
"""States in which a run has ended."""

UNSUCCESSFUL: Final = FINAL - {_T.COMPLETED, _T.CACHED}
"""Final states that are no success."""

_ENDS = frozenset({_T.COMPLETED, _T.FAILED, _T.CRASHED, _T.CANCELLED, _T.TIMED_OUT})
_STOPS = frozenset({_T.CANCELLING, _T.CANCELLED, _T.FAILED, _T.CRASHED})
_NONE: frozenset[StateType] = frozenset()

_FLOW_RUNS: _Table = MappingProxyType(
    {
        # Failed at once: what it was called with did not fit.
        None: frozenset({_T.SCHEDULED, _T.PENDING, _T.RUNNING, _T.FAILED, _T.CANCELLED}),
        _T.SCHEDULED: frozenset({_T.LATE, _T.PENDING, _T.RUNNING}) | _STOPS,
        _T.LATE: frozenset({_T.PENDING, _T.RUNNING}) | _STOPS,
        _T.PENDING: frozenset({_T.SCHEDULED, _T.LATE, _T.RUNNING, _T.TIMED_OUT}) | _STOPS,
        _T.RUNNING: frozenset({_T.PAUSED, _T.SUSPENDED, _T.RETRYING, _T.CANCELLING}) | _ENDS,
        _T.PAUSED: frozenset({_T.RUNNING, _T.SUSPENDED, _T.TIMED_OUT}) | _STOPS,
        _T.SUSPENDED: frozenset({_T.SCHEDULED, _T.PENDING, _T.RUNNING, _T.TIMED_OUT}) | _STOPS,
        _T.RETRYING: frozenset({_T.SCHEDULED, _T.PENDING, _T.RUNNING}) | _STOPS,
        _T.CANCELLING: _ENDS,
        # A run whose worker died is handed to another one, under the same id.
        _T.CRASHED: frozenset({_T.SCHEDULED, _T.PENDING, _T.RETRYING}),
        _T.COMPLETED: _NONE,
        _T.FAILED: _NONE,
        _T.CANCELLED: _NONE,
        _T.TIMED_OUT: _NONE,
    }
)

_TASK_RUNS: _Table = MappingProxyType(
    {
        None: frozenset({_T.PENDING, _T.RUNNING, _T.CACHED, _T.FAILED, _T.CANCELLED}),
        _T.PENDING: frozenset({_T.RUNNING, _T.CACHED, _T.CANCELLED, _T.FAILED, _T.CRASHED}),
        _T.RUNNING: frozenset({_T.RETRYING, _T.CACHED}) | _ENDS,
        _T.RETRYING: frozenset({_T.RUNNING, _T.CANCELLED, _T.FAILED, _T.CRASHED}),
        _T.COMPLETED: _NONE,
        _T.FAILED: _NONE,
        _T.CRASHED: _NONE,
        _T.CANCELLED: _NONE,
        _T.TIMED_OUT: _NONE,
        _T.CACHED: _NONE,
    }
)

_TABLES: Final[Mapping[str, _Table]] = MappingProxyType({FLOW_RUN: _FLOW_RUNS, TASK_RUN: _TASK_RUNS})


def allowed(before: StateType | None, after: StateType, kind: str = FLOW_RUN) -> bool:
    """Tell whether a run of that kind may go from one state (None: it has none yet) to another."""
    return after in _TABLES[kind].get(before, _NONE)


def successors(before: StateType | None, kind: str = FLOW_RUN) -> frozenset[StateType]:
    """Return the states that a run of that kind may go to."""
    return _TABLES[kind].get(before, _NONE)


def event_type(before: StateType | None, after: StateType, kind: str = FLOW_RUN) -> str:
    """Return the type of the event that tells of a transition.

    It is ``<kind>.<state>``, but going on after a pause is ``flow-run.resumed``.
    """
    if after is _T.RUNNING and before in (_T.PAUSED, _T.SUSPENDED):
        return f"{kind}.resumed"
    return f"{kind}.{after.value}"


@dataclass(frozen=True, slots=True)
class State:
    """A run's state at a time. A flow or task may return one to say how it ended.

    ``time`` is in microseconds since the epoch, 0 where it has not been entered yet. ``data`` is the result; it stays in
    the process and is never part of an event.
    """

    type: StateType
    name: str = ""
    message: str = ""
    time: int = 0
    data: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.type, StateType):
            object.__setattr__(self, "type", StateType(self.type))
        if not self.name:
            object.__setattr__(self, "name", self.type.label)

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self.type in FINAL

    @property
    def is_success(self) -> bool:
        """Whether the run has ended well."""
        return self.type in FINAL and self.type not in UNSUCCESSFUL

    def at(self, time: int) -> "State":
        """Return the same state, entered at an instant (microseconds since the epoch)."""
        return replace(self, time=time)

    @classmethod
    def completed(cls, message: str = "", *, name: str = "", data: Any = None) -> "State":
        """Return a completed state, for a flow or task to return."""
        return cls(StateType.COMPLETED, name, message, data=data)

    @classmethod
    def failed(cls, message: str = "", *, name: str = "", data: Any = None) -> "State":
        """Return a failed state, for a flow or task that fails without raising."""
        return cls(StateType.FAILED, name, message, data=data)

    @classmethod
    def cancelled(cls, message: str = "", *, name: str = "", data: Any = None) -> "State":
        """Return a cancelled state, for a flow or task that decides not to go on."""
        return cls(StateType.CANCELLED, name, message, data=data)
