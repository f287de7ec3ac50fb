"""``pause_deployment`` and ``resume_deployment``."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from tocsin_server.actions.call import ActionFailed, Call, Detail, Retry, Write
from tocsin_server.actions.fields import Fields, Name
from tocsin_server.deployments import NoSuchDeployment


class DeploymentFields(Fields):
    """``name`` left out is the event's own deployment."""

    name: Name | None = None


class _Switch:
    main: Final = "name"
    model: Final = DeploymentFields
    retry: Final = Retry()
    repeatable: Final = True

    def __init__(self, name: str, *, paused: bool) -> None:
        self.name = name
        self._paused = paused

    async def perform(self, args: DeploymentFields, call: Call) -> Write:
        """Pause or resume, in one transaction with the record of the action."""
        name = args.name or str(call.own("deployment")["name"] or call.own("deployment")["id"])
        deployments = call.services.deployments
        switch = deployments.pause if self._paused else deployments.resume

        async def write(connection: AsyncConnection) -> Detail:
            try:
                changed = await switch(name, call.origin, connection)
            except NoSuchDeployment as problem:
                raise ActionFailed(str(problem)) from problem
            return {"deployment": name, "paused": self._paused, "changed": changed}

        return Write(write)


pause_deployment: Final = _Switch("pause_deployment", paused=True)
"""Keeps a deployment's runs from starting."""

resume_deployment: Final = _Switch("resume_deployment", paused=False)
"""Lets a deployment's runs start again."""
