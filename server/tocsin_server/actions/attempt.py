"""One action of one firing, until it is known how it ended; recording that is the runner's."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from tocsin_events.bus import BusUnavailable
from tocsin_events.instant import SECOND
from tocsin_server.actions.call import (
    ActionFailed,
    ActionSkipped,
    Call,
    Detail,
    Done,
    Kind,
    Retry,
    Services,
    Write,
)
from tocsin_server.actions.fired import Fired, Step
from tocsin_server.actions.rendering import condition_holds, rendered
from tocsin_server.actions.results import ActionOutcome, ActionResult

log = structlog.get_logger(__name__)

_TIMEOUT: Final = 30 * SECOND


@dataclass(frozen=True)
class Ending:
    """How an action ended, before it is recorded; ``effect`` is what is still to be done along with that."""

    fired: Fired
    step: Step
    outcome: ActionOutcome
    attempts: int
    started: int
    effect: Done | Write = field(default_factory=Done)
    reason: str = ""
    final: bool = True
    """Whether a change that can't be made is a failure, and not a reason to try again."""

    def result(self, detail: Detail) -> ActionResult:
        """Return the result to be recorded."""
        return ActionResult(
            firing=self.fired.id,
            number=self.step.number,
            automation=self.fired.automation,
            kind=self.step.kind,
            outcome=self.outcome,
            detail=detail,
            reason=self.reason[:2000],
            attempts=self.attempts,
            started=self.started,
            ended=_now(),
        )


class Attempt:
    """One action of one firing.

    ``kind`` is None where none of its name is installed; ``halted`` where an earlier action's failure ended the firing.
    """

    def __init__(
        self,
        fired: Fired,
        step: Step,
        kind: Kind | None,
        names: Mapping[str, Any],
        services: Services,
        *,
        halted: bool = False,
    ) -> None:
        self._fired = fired
        self._step = step
        self._kind = kind
        self._names = names
        self._services = services
        self._halted = halted
        self._started = _now()
        self._attempts = 0

    @property
    def may_wait(self) -> bool:
        """Whether its result may be recorded together with those of later actions.

        That is so where doing it again does no harm, and nothing waits for its outcome.
        """
        if self._halted:
            return True
        harmless = self._kind is None or bool(getattr(self._kind, "repeatable", False))
        return harmless and self._step.continue_on_error and self._step.retry is None

    async def run(self, slots: asyncio.Semaphore) -> Ending:
        """Do the action, again where that may help.

        Raises:
            SQLAlchemyError: the database is away.
            BusUnavailable: the bus is; in both cases the action has no ending yet.

        """
        step = self._step
        if self._halted:
            return self._ending(ActionOutcome.NOT_RUN, reason="an earlier action failed")
        try:
            if step.condition is not None:
                holds, why = condition_holds(step.condition, self._fired.view, self._names)
                if not holds:
                    return self._ending(ActionOutcome.SKIPPED, reason=why)
            return self._ending(ActionOutcome.SUCCEEDED, effect=await self._insist(slots))
        except ActionSkipped as why_not:
            return self._ending(ActionOutcome.SKIPPED, reason=str(why_not))
        except ActionFailed as problem:
            return self._ending(ActionOutcome.FAILED, reason=str(problem))

    async def pause(self, problem: ActionFailed) -> None:
        """Wait as long as there is to wait before the next attempt."""
        retry = self._step.retry or (self._kind.retry if self._kind is not None else Retry())
        micros = max(retry.pause(self._attempts), problem.after or 0)
        await asyncio.sleep(min(micros, 3600 * SECOND) / SECOND)

    async def _insist(self, slots: asyncio.Semaphore) -> Done | Write:
        kind, step = self._kind, self._step
        if kind is None:
            raise ActionFailed(f"no action {step.kind!r} is installed here")
        retry = step.retry or kind.retry
        while True:
            self._attempts += 1
            try:
                args = rendered(kind, step, self._fired.view, self._names)
                async with slots:
                    return await _perform(kind, args, self._call(), (step.timeout or _TIMEOUT) / SECOND)
            except ActionFailed as problem:
                if self._attempts > retry.times or not (problem.again or step.retry is not None):
                    raise
                await self.pause(problem)

    def _ending(
        self, outcome: ActionOutcome, *, effect: Done | Write | None = None, reason: str = ""
    ) -> Ending:
        retry = self._step.retry
        return Ending(
            self._fired,
            self._step,
            outcome,
            self._attempts,
            self._started,
            effect or Done(),
            reason,
            final=retry is None or self._attempts > retry.times,
        )

    def _call(self) -> Call:
        fired = self._fired
        return Call(
            key=self._step.key(fired.id),
            firing_id=fired.id,
            automation=fired.automation,
            fired=fired.payload,
            view=fired.view,
            hops=fired.hops + 1,
            now=_now(),
            services=self._services,
        )


async def _perform(kind: Kind, args: Any, call: Call, seconds: float) -> Done | Write:
    try:
        async with asyncio.timeout(seconds):
            return await kind.perform(args, call)
    except TimeoutError:
        raise ActionFailed(f"it took longer than {seconds:g} s", again=True) from None
    except (ActionFailed, ActionSkipped, SQLAlchemyError, BusUnavailable):
        # The database or the bus is away: that is not the action's failure, the firing comes again.
        raise
    except ValidationError as problem:
        raise ActionFailed(_first_of(problem)) from problem
    except Exception as problem:
        # A kind of action may be anybody's code; its mistakes are the action's failure, and end nothing else.
        log.exception("action-broke", kind=kind.name)
        raise ActionFailed(f"{type(problem).__name__}: {problem}") from problem


def _first_of(problem: ValidationError) -> str:
    first = problem.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].removeprefix('Value error, ')}"


def _now() -> int:
    return time.time_ns() // 1000
