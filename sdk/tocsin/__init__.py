"""What a flow's author imports: `flow`, `task`, `emit`, and what goes with them.

Importing this package loads no submodule; each name is found when it is first asked for, so that a script pays only
for what it uses.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tocsin.emitting import emit, flush
    from tocsin.flows import Flow, flow
    from tocsin.futures import FutureList, TaskFuture, wait
    from tocsin.limits import RunTimedOut
    from tocsin.parameters import ParameterError
    from tocsin.runs import FlowRun, RunContext, TaskRun, get_run_context, get_run_logger
    from tocsin.secrets import Secret, Variable
    from tocsin.states import State, StateType
    from tocsin.tasks import Task, task, unmapped

__all__ = [
    "Flow",
    "FlowRun",
    "FutureList",
    "ParameterError",
    "RunContext",
    "RunTimedOut",
    "Secret",
    "State",
    "StateType",
    "Task",
    "TaskFuture",
    "TaskRun",
    "Variable",
    "emit",
    "flow",
    "flush",
    "get_run_context",
    "get_run_logger",
    "task",
    "unmapped",
    "wait",
]

_HOMES = {
    "emitting": ("emit", "flush"),
    "flows": ("Flow", "flow"),
    "futures": ("FutureList", "TaskFuture", "wait"),
    "limits": ("RunTimedOut",),
    "parameters": ("ParameterError",),
    "runs": ("FlowRun", "RunContext", "TaskRun", "get_run_context", "get_run_logger"),
    "secrets": ("Secret", "Variable"),
    "states": ("State", "StateType"),
    "tasks": ("Task", "task", "unmapped"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"tocsin.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
