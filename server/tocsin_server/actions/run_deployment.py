"""``run_deployment``: start a run."""

from typing import Any, Final

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_automations.rules import STARTS_A_RUN
from tocsin_events.duration import parse_duration
from tocsin_server.actions.call import ActionFailed, ActionSkipped, Call, Detail, Retry, Write
from tocsin_server.actions.fields import Duration, Fields, Name, Text
from tocsin_server.actions.results import replacement_of
from tocsin_server.deployments import NoSuchDeployment
from tocsin_server.parameters import InvalidParameters
from tocsin_server.runs import RunRequest


class RunDeploymentFields(Fields):
    """``name`` left out is the event's own deployment; ``parameters`` are typed by the flow's signature."""

    name: Name | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    idempotency_key: Name | None = None
    tags: tuple[Text, ...] = Field(default=(), max_length=100)
    delay: Duration | None = None


class RunDeployment:
    """Creates one run, in one transaction with the record of the action."""

    name: Final = STARTS_A_RUN
    main: Final = "name"
    model: Final = RunDeploymentFields
    retry: Final = Retry()
    repeatable: Final = True

    async def perform(self, args: RunDeploymentFields, call: Call) -> Write:
        """Create the run."""
        name = args.name or str(call.own("deployment")["name"] or call.own("deployment")["id"])
        request = RunRequest(
            parameters=args.parameters,
            idempotency_key=args.idempotency_key or call.key,
            tags=args.tags,
            delay=parse_duration(args.delay) if args.delay is not None else 0,
            automation=call.automation,
            origin=call.origin,
            templated=True,
        )

        async def write(connection: AsyncConnection) -> Detail:
            later = await replacement_of(connection, call.firing_id)
            if later is not None:
                raise ActionSkipped(f"firing {later} replaced this one")
            try:
                run, new = await call.services.runs.create(name, request, connection)
            except (NoSuchDeployment, InvalidParameters) as problem:
                raise ActionFailed(f"deployment {name}: {problem}") from problem
            return {"deployment": name, "run": run.id, "name": run.name, "state": run.state, "new": new}

        return Write(write)


kind: Final = RunDeployment()
