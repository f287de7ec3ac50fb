"""``cancel_run`` and ``retry_run``."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_server.actions.call import ActionFailed, Call, Detail, Done, Retry, Write
from tocsin_server.actions.fields import Fields, Name
from tocsin_server.deployments import NoSuchDeployment
from tocsin_server.parameters import InvalidParameters
from tocsin_server.runs import NoSuchRun, RunEnded


class RunFields(Fields):
    """``run`` is a run's id; left out, it is the event's own run."""

    run: Name | None = None


class CancelRun:
    """Ends a run, or keeps it from starting."""

    name: Final = "cancel_run"
    main: Final = "run"
    model: Final = RunFields
    retry: Final = Retry(times=3)

    async def perform(self, args: RunFields, call: Call) -> Done:
        """Ask for the run's end; one that has ended is left as it is."""
        id_ = args.run or str(call.own("flow-run")["id"])
        try:
            run = await call.services.runs.cancel(id_, call.origin)
        except NoSuchRun as problem:
            raise ActionFailed(str(problem)) from problem
        except RunEnded as problem:
            return Done({"run": id_, "changed": False, "reason": str(problem)})
        return Done({"run": id_, "changed": True, "state": run.state})


class RetryRun:
    """Creates a further run with the parameters of one that was."""

    name: Final = "retry_run"
    main: Final = "run"
    model: Final = RunFields
    retry: Final = Retry()
    repeatable: Final = True

    async def perform(self, args: RunFields, call: Call) -> Write:
        """Create the run, in one transaction with the record of the action."""
        id_ = args.run or str(call.own("flow-run")["id"])

        async def write(connection: AsyncConnection) -> Detail:
            try:
                run = await call.services.runs.retry(id_, call.key, call.origin, connection)
            except (NoSuchRun, NoSuchDeployment, InvalidParameters) as problem:
                raise ActionFailed(str(problem)) from problem
            return {"of": id_, "run": run.id, "name": run.name, "state": run.state}

        return Write(write)


cancel_run: Final = CancelRun()
retry_run: Final = RetryRun()
