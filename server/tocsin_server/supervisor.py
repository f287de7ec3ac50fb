"""Keeps the services of one process running: one that crashes is started again, later each time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

import structlog

from tocsin_events.bus import GapFound
from tocsin_events.ending import end
from tocsin_server.errors import UserError

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_STEADY_AFTER: Final = 60.0

_log = structlog.get_logger("tocsin.services")


class Service(Protocol):
    """What a room gives to be run: it works until it is cancelled."""

    async def run(self) -> None:
        """Work until cancelled; an error that comes out means: start me again."""


@dataclass(frozen=True)
class Status:
    """How a service is: ``running``, ``restarting`` or ``stopped``, and the error that it last had."""

    state: str
    problem: str = ""
    restarts: int = 0


class Supervisor:
    """The services of one process, by name, in the order of starting; they are stopped in the opposite order.

    ``patience`` is how long, in seconds, a service may take to end before it is asked again.
    """

    def __init__(
        self, makers: Mapping[str, Callable[[], Awaitable[Service]]], *, patience: float = 15.0
    ) -> None:
        self._makers = makers
        self._patience = patience
        self._status: dict[str, Status] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, Service] = {}

    def service(self, name: str) -> Service | None:
        """Return the service of a name as it runs now."""
        return self._running.get(name)

    @property
    def status(self) -> Mapping[str, Status]:
        """How each service is."""
        return MappingProxyType(self._status)

    def start(self) -> None:
        """Start every service, each in a task of its own."""
        for name, make in self._makers.items():
            self._status[name] = Status("running")
            self._tasks[name] = asyncio.create_task(self._keep(name, make), name=f"service {name}")

    async def stop(self) -> None:
        """Stop the services, the last started first, and wait until each has ended."""
        for name, task in reversed(self._tasks.items()):
            began = time.monotonic()
            await end(task, patience=self._patience)
            _log.debug("service ended", service=name, seconds=round(time.monotonic() - began, 3))
        self._tasks.clear()

    async def _keep(self, name: str, make: Callable[[], Awaitable[Service]]) -> None:
        pause, restarts = _FIRST_PAUSE, 0
        while True:
            started = time.monotonic()
            try:
                service = await make()
                self._running[name] = service
                self._status[name] = Status("running", restarts=restarts)
                await service.run()
                problem = "it ended by itself"
            except Exception as problems:  # noqa: BLE001 - the outermost loop of every service
                error = _first(problems)
                if isinstance(error, UserError | GapFound):
                    # It said what a person has to do: starting again would only say so again.
                    self._status[name] = Status("stopped", str(error), restarts)
                    _log.error("service stopped", service=name, problem=str(error))
                    return
                problem = f"{type(error).__name__}: {error}"
                _log.error("service crashed", service=name, exc_info=True)
            if time.monotonic() - started > _STEADY_AFTER:
                pause = _FIRST_PAUSE
            restarts += 1
            self._status[name] = Status("restarting", problem, restarts)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


def _first(error: Exception) -> Exception:
    """Return what went wrong, out of the groups that task groups make of it."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
