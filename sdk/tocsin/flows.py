"""Flows: functions whose runs are seen, named, retried, and told of in events."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Protocol, overload

from tocsin.call import Call
from tocsin.definitions import Definition, Hook, P, R
from tocsin.execution import DRIVERS
from tocsin.logging import run_logger
from tocsin.parameters import ParameterError
from tocsin.retries import Delay, Delays
from tocsin.runs import FlowRun, RunIdentity, new_flow_run

_INFO = 20
_WORKERS = 16


class Flow(Definition[P, R], Generic[P, R]):
    """A function made into a flow; calling it is a run, and returns or raises what the function does."""

    word = "flow"

    def __init__(
        self,
        function: Callable[P, R],
        *,
        run_name: str | Callable[[Mapping[str, Any]], str] | None = None,
        labels: Mapping[str, str] | None = None,
        validate_parameters: bool = True,
        max_workers: int = _WORKERS,
        **options: Any,
    ) -> None:
        super().__init__(function, **options)
        self.run_name = run_name
        self.labels = dict(labels or {})
        self.validate_parameters = validate_parameters
        self.max_workers = max_workers

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the flow."""
        result: R = DRIVERS[self.shape](FlowCall(self, args, kwargs))
        return result

    @property
    def parameter_schema(self) -> dict[str, Any]:
        """The JSON schema of its parameters, as one object."""
        return self.parameters.schema

    def begin(self, parameters: Mapping[str, Any], identity: RunIdentity) -> "FlowCall":
        """Return the call of a run that the server has decided on; ``parameters`` are JSON, still to be checked."""
        return FlowCall(self, (), {}, given=parameters, identity=identity)


class FlowCall(Call):
    """A flow run in progress."""

    definition: Flow[Any, Any]
    run: FlowRun

    def __init__(
        self,
        flow: Flow[Any, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        *,
        given: Mapping[str, Any] | None = None,
        identity: RunIdentity | None = None,
    ) -> None:
        super().__init__(flow, args, kwargs)
        self._problem: ParameterError | None = None
        arguments = self._arguments(given)
        self.run = new_flow_run(
            flow.name,
            arguments,
            tags=flow.tags,
            labels=flow.labels,
            name=self._name(arguments) if identity is None else None,
            log_prints=flow.log_prints,
            max_workers=flow.max_workers,
            identity=identity,
        )

    def prepare(self) -> None:
        """Refuse parameters that don't fit."""
        if self._problem is not None:
            raise self._problem.with_traceback(None)

    def settle(self) -> None:
        """Wait for submitted tasks; raise the error of one that failed and whose error nobody looked at."""
        if self.run.pool is not None:
            self.run.pool.settle()
            self.run.pool.raise_unhandled()

    async def settle_async(self) -> None:
        """Wait for submitted tasks as `settle` does."""
        if self.run.pool is not None:
            await self.run.pool.settle_async()
            self.run.pool.raise_unhandled()

    def abandon(self) -> None:
        """Cancel submitted tasks that have not begun."""
        if self.run.pool is not None:
            self.run.pool.abandon()

    def report_begin(self) -> None:
        """Say that the run has begun."""
        if self.run.attempt == 1:
            self.run.logger.info("started")

    def level_of_success(self) -> int:
        """Say that a flow ended well on a line that everybody sees."""
        return _INFO

    def _arguments(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return the checked arguments by name; a problem is kept until the run exists that fails with it."""
        flow = self.definition
        try:
            if given is not None:
                arguments = flow.parameters.from_mapping(given)
            else:
                arguments = flow.parameters.bind(self.args, self.kwargs)
                if flow.validate_parameters and arguments:
                    arguments = flow.parameters.validate(arguments)
        except ParameterError as problem:
            self._problem = problem
            return dict(given if given is not None else self.kwargs)
        self.args, self.kwargs = flow.parameters.call_with(arguments)
        self.args = (*flow._bound, *self.args)
        return arguments

    def _name(self, arguments: Mapping[str, Any]) -> str | None:
        chosen = self.definition.run_name
        if chosen is None or self._problem is not None:
            return None
        try:
            return chosen(arguments) if callable(chosen) else chosen.format(**arguments)
        except Exception:  # noqa: BLE001 - the user's code; it is logged
            run_logger(None).exception(
                "run_name of the flow %r failed; the run gets a random name", self.definition.name
            )
            return None


class _FlowDecorator(Protocol):
    def __call__(self, function: Callable[P, R], /) -> Flow[P, R]: ...


@overload
def flow(function: Callable[P, R], /) -> Flow[P, R]: ...
@overload
def flow(
    *,
    name: str | None = None,
    description: str | None = None,
    run_name: str | Callable[[Mapping[str, Any]], str] | None = None,
    tags: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    retries: int = 0,
    retry_delay: Delays = 0.0,
    retry_jitter: float = 0.0,
    retry_if: Callable[[BaseException], bool] | None = None,
    timeout: Delay | None = None,
    log_prints: bool = False,
    validate_parameters: bool = True,
    max_workers: int = _WORKERS,
    on_completion: Hook | Sequence[Hook] = (),
    on_failure: Hook | Sequence[Hook] = (),
    on_crash: Hook | Sequence[Hook] = (),
    on_cancel: Hook | Sequence[Hook] = (),
) -> _FlowDecorator: ...
def flow(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a function a flow, with or without options.

    ``name``: the function's by default, with ``-`` for ``_``. ``run_name``: a format string or function of the
    parameters; a readable random name by default. ``retries``, ``retry_delay`` (seconds, ``"1m"``, one for each retry,
    or a function of the failed attempt's number), ``retry_jitter`` (share of the delay), ``retry_if`` (asked with the
    exception). ``timeout``: of each attempt. ``log_prints``: print becomes a log line. ``validate_parameters``: check
    arguments against the type hints. ``max_workers``: threads for submitted tasks. Hooks are called with the flow, its
    run and the final state.
    """
    if function is None:
        return lambda function: Flow(function, **with_hooks(options))
    return Flow(function, **with_hooks(options))


def with_hooks(options: dict[str, Any]) -> dict[str, Any]:
    """Return a decorator's options with the four hooks gathered under ``hooks``."""
    names = ("on_completion", "on_failure", "on_crash", "on_cancel")
    hooks = {name: options.pop(name) for name in names if name in options}
    return {**options, "hooks": hooks}
