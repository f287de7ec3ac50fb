"""Runs as they happen: who they are, what state they are in, and the events that tell of it."""

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tocsin import emitter, redaction
from tocsin.logging import RunLogger, run_logger
from tocsin.states import FLOW_RUN, TASK_RUN, State, StateType, allowed, event_type
from tocsin.traces import describe_error
from tocsin_events.identity import new_id
from tocsin_events.instant import to_rfc3339

if TYPE_CHECKING:
    from tocsin.pool import TaskPool

ResourceJson = Mapping[str, Any]


class NotInARun(RuntimeError):  # noqa: N818 - it says what is the case
    """Something that only a run has was asked for outside of one."""


class Run:
    """One run of a flow or a task. Users read it (`get_run_context`); only the machinery changes it.

    ``name`` is what people call it; ``state`` is None before its first. ``attempt`` counts from 1. ``related`` are the
    resources that all its events concern.
    """

    kind: str = ""

    def __init__(
        self,
        *,
        definition: str,
        name: str,
        id: str | None = None,  # noqa: A002 - the run's own word
        tags: Sequence[str] = (),
        parent: "Run | None" = None,
        related: Sequence[ResourceJson] = (),
        log_prints: bool = False,
    ) -> None:
        self.id = id or new_id()
        self.name = name
        self.definition = definition
        self.tags = tuple(tags)
        self.parent = parent
        self.related = tuple(related)
        self.log_prints = log_prints
        self.state: State | None = None
        self.attempt = 1
        self.cause: str | None = parent.cause if parent else None
        self.hops: int = parent.hops if parent else 0
        self.traceparent: str | None = parent.traceparent if parent else None
        self.resource = {"kind": self.kind, "id": self.id, "name": name, "labels": {}, "tags": self.tags}
        self._last_event: str | None = None
        self._last_state: dict[str, Any] | None = None
        self._began: float | None = None

    @property
    def logger(self) -> RunLogger:
        """The run's logger."""
        return run_logger(self)

    @property
    def duration(self) -> float:
        """Seconds since the run began; 0 if it has not."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def described(self) -> dict[str, Any] | None:
        """Return the parameters as its events carry them."""
        return None

    def enter(self, state: State, error: BaseException | None = None) -> bool:
        """Change the state and emit the event that says so; False if the table refuses (an error event says that)."""
        before = self.state.type if self.state else None
        now = time.time_ns() // 1000
        if not allowed(before, state.type, self.kind):
            self._refuse(before, state, now)
            return False
        if self._began is None and state.type is StateType.RUNNING:
            self._began = time.monotonic()
        self.state = state.at(now)
        shown = _shown(self.state)
        payload = {
            "state": shown,
            "previous": self._last_state,
            "attempt": self.attempt,
            "duration": None if self._began is None else round(time.monotonic() - self._began, 6),
            "parameters": self.described(),
            "error": None if error is None else describe_error(error),
            "message": state.message,
        }
        self._last_state = shown
        self._emit(event_type(before, state.type, self.kind), payload, now)
        return True

    def _refuse(self, before: StateType | None, state: State, now: int) -> None:
        message = (
            f"a {self.kind} can't go from {before.value if before else 'no state'} to {state.type.value}"
        )
        self.logger.error("%s", message)
        payload = {"state": self._last_state, "refused": _shown(state.at(now)), "message": message}
        self._emit(f"{self.kind}.transition-refused", payload, now)

    def _emit(self, type_: str, payload: dict[str, Any], now: int) -> None:
        self._last_event = emitter.current().send(
            type_,
            resource=self.resource,
            related=self.related,
            payload=payload,
            time=now,
            follows=self._last_event,
            cause=self.cause,
            hops=self.hops,
            traceparent=self.traceparent,
        )


class FlowRun(Run):
    """One run of a flow."""

    kind = FLOW_RUN

    def __init__(
        self,
        *,
        flow: ResourceJson,
        parameters: Mapping[str, Any],
        tags: Sequence[str] = (),
        max_workers: int = 16,
        **identity: Any,
    ) -> None:
        super().__init__(definition=flow["name"], tags=tags, **identity)
        self.max_workers = max_workers
        self.parameters = dict(parameters)
        self._described: dict[str, Any] | None = None
        self._numbers: dict[str, Iterator[int]] = {}
        self.pool: TaskPool | None = None
        # What its task runs' events concern: the run, and all that the run concerns.
        self.related_of_tasks = (_related(self.resource), *self.related)

    def described(self) -> dict[str, Any]:
        """Return the parameters, without secrets, shortened where they are long."""
        if self._described is None:
            from tocsin.parameters import describe_parameters

            self._described = describe_parameters(self.parameters) if self.parameters else {}
        return self._described

    def next_number(self, task: str) -> int:
        """Return the number of the next run of a task in this run, from 1."""
        return next(self._numbers.setdefault(task, itertools.count(1)))


class TaskRun(Run):
    """One run of a task."""

    kind = TASK_RUN

    @property
    def flow_run(self) -> FlowRun | None:
        """The flow run that it belongs to, if any."""
        return flow_run_of(self.parent)


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Who a run is, where that has been decided before it starts: by the server.

    ``related`` are JSON resources with roles; ``cause`` and ``hops`` as events have them.
    """

    id: str
    name: str
    attempt: int = 1
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    related: tuple[ResourceJson, ...] = ()
    cause: str | None = None
    hops: int = 0
    traceparent: str | None = None
    state: State | None = field(default=None)


@dataclass(frozen=True, slots=True)
class RunContext:
    """The runs that the calling code belongs to: the flow run, and the task run if it is in one."""

    flow_run: FlowRun | None
    task_run: TaskRun | None


_current: ContextVar[Run | None] = ContextVar("tocsin_run", default=None)


def current_run() -> Run | None:
    """Return the innermost run that the calling code belongs to."""
    return _current.get()


def enter_run(run: Run) -> Token[Run | None]:
    """Make a run the current one."""
    return _current.set(run)


def leave_run(token: Token[Run | None]) -> None:
    """Make the run before the current one."""
    _current.reset(token)


def get_run_context() -> RunContext:
    """Return the flow run and the task run that the calling code belongs to.

    Raises:
        NotInARun: it belongs to none.

    """
    run = _current.get()
    if run is None:
        raise NotInARun("get_run_context() was called outside of a flow or task")
    return RunContext(flow_run_of(run), run if isinstance(run, TaskRun) else None)


def get_run_logger() -> RunLogger:
    """Return the logger of the current run: its lines show the run's name and go to the run's page.

    Outside of a run it is the plain logger ``tocsin``.
    """
    return run_logger(_current.get())


def flow_run_of(run: Run | None) -> FlowRun | None:
    """Return the flow run that a run is, or belongs to."""
    while run is not None and not isinstance(run, FlowRun):
        run = run.parent
    return run


def new_flow_run(
    flow: str,
    parameters: Mapping[str, Any],
    *,
    tags: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    name: str | None = None,
    log_prints: bool = False,
    max_workers: int = 16,
    identity: RunIdentity | None = None,
) -> FlowRun:
    """Return a flow run that has not begun, inside of the current run if there is one."""
    parent = flow_run_of(_current.get()) if identity is None else None
    resource = {"kind": "flow", "id": flow, "name": flow, "labels": dict(labels or {}), "tags": tuple(tags)}
    related = [{**resource, "role": "flow"}]
    if parent is not None:
        related.append(_related(parent.resource, role="parent"))
    if identity is not None:
        related += [dict(one) for one in identity.related]
    run = FlowRun(
        flow=resource,
        parameters=parameters,
        name=(identity.name if identity else name) or random_name(),
        id=identity.id if identity else None,
        tags=tuple(dict.fromkeys([*tags, *(identity.tags if identity else ())])),
        parent=parent,
        related=related,
        log_prints=log_prints,
        max_workers=max_workers,
    )
    if identity is not None:
        run.attempt, run.cause, run.hops = identity.attempt, identity.cause, identity.hops
        run.traceparent, run.state = identity.traceparent, identity.state
        run.resource["labels"] = dict(identity.labels)
        run._last_state = _shown(identity.state) if identity.state else None
    return run


def new_task_run(
    task: str, numbers: Iterator[int], tags: Sequence[str], task_resource: ResourceJson, log_prints: bool
) -> TaskRun:
    """Return a task run that has not begun, inside of the current run if there is one.

    ``numbers`` gives its number where no flow run does.
    """
    parent = _current.get()
    flow_run = flow_run_of(parent)
    if flow_run is None:
        return TaskRun(
            definition=task, name=f"{task}-{next(numbers)}", tags=tags, parent=parent, related=(task_resource,),
            log_prints=log_prints,
        )  # fmt: skip
    return TaskRun(
        definition=task,
        name=f"{task}-{flow_run.next_number(task)}",
        tags=tags,
        parent=parent,
        related=(*flow_run.related_of_tasks, task_resource),
        log_prints=log_prints or flow_run.log_prints,
    )


def random_name() -> str:
    """Return a readable name for a run: ``jumpy-puppy``."""
    from tocsin.names import random_name

    return random_name()


def _related(resource: Mapping[str, Any], role: str | None = None) -> dict[str, Any]:
    return {**resource, "role": role or resource["kind"]}


def _shown(state: State) -> dict[str, Any]:
    message = redaction.redact_text(state.message) if redaction.is_needed() else state.message
    return {
        "type": state.type.value,
        "name": state.name,
        "message": message,
        "time": to_rfc3339(state.time) if state.time else None,
    }
