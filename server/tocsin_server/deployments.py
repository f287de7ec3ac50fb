"""Deployments: flows made known to the server under a name, to be run on demand."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from pydantic import BaseModel, ConfigDict
from sqlalchemy import JSON, BigInteger, Column, Table, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlmodel import Field, SQLModel

from tocsin_events.bus import event_subject
from tocsin_events.envelope import encode_event
from tocsin_events.identity import message_key, new_id
from tocsin_server.deployment import Deployment
from tocsin_server.flow_schema import FlowDescription, split_entrypoint
from tocsin_server.outgoing import Message, Outgoing

SOURCE: Final = "/server/deployments"


class DeploymentRow(SQLModel, table=True):
    """A deployment; its name is its id."""

    __tablename__ = "deployments"

    name: str = Field(primary_key=True)
    description: str = ""
    flow: str
    flow_name: str
    source: str
    parameters: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    parameter_schema: dict[str, Any] | None = Field(sa_column=Column(JSON, nullable=True))
    tags: list[str] = Field(sa_column=Column(JSON, nullable=False))
    labels: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    work_pool: str
    work_queue: str
    on_crash: str
    paused: bool
    paused_reason: str = ""
    created: int = Field(sa_type=BigInteger)
    updated: int = Field(sa_type=BigInteger)


_TABLE = cast("Table", DeploymentRow.__table__)  # type: ignore[attr-defined]
_DEFINITION = (
    "description",
    "flow",
    "source",
    "parameters",
    "tags",
    "labels",
    "work_pool",
    "work_queue",
    "on_crash",
)


class StoredDeployment(BaseModel):
    """A deployment as the server keeps it. Instants are microseconds since the epoch."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    name: str
    description: str
    flow: str
    flow_name: str
    source: str
    parameters: dict[str, Any]
    parameter_schema: dict[str, Any] | None
    tags: tuple[str, ...]
    labels: dict[str, str]
    work_pool: str
    work_queue: str
    on_crash: Literal["fail", "rerun"]
    paused: bool
    paused_reason: str
    created: int
    updated: int

    @property
    def resource(self) -> dict[str, Any]:
        """The deployment as events name it."""
        return {
            "kind": "deployment", "id": self.name, "name": self.name,
            "labels": self.labels, "tags": list(self.tags),
        }  # fmt: skip

    @property
    def flow_resource(self) -> dict[str, Any]:
        """Its flow as events name it."""
        return {"kind": "flow", "id": self.flow_name, "name": self.flow_name, "labels": {}, "tags": []}


@dataclass(frozen=True)
class Origin:
    """Who or what led to a change: the id of an event or firing, how many steps lie behind it, and a person's name."""

    cause: str | None = None
    hops: int = 0
    reason: str = ""


NOBODY: Final = Origin()
"""No event or firing: a person, or a file that was applied."""


class NoSuchDeployment(LookupError):  # noqa: N818 - it names what was found
    """There is no deployment of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no deployment {name!r}; `tocsin deployments ls` shows those there are")
        self.name = name


class Deployments:
    """The deployments that the server knows. Each change is told by an event of its own."""

    def __init__(self, engine: AsyncEngine, outgoing: Outgoing) -> None:
        self._engine = engine
        self._outgoing = outgoing

    async def get(self, name: str, connection: AsyncConnection | None = None) -> StoredDeployment:
        """Return one deployment.

        Raises:
            NoSuchDeployment: there is none of that name.

        """
        query = select(_TABLE).where(_TABLE.c.name == name)
        if connection is not None:
            row = (await connection.execute(query)).first()
        else:
            async with self._engine.connect() as own:
                row = (await own.execute(query)).first()
        if row is None:
            raise NoSuchDeployment(name)
        return StoredDeployment.model_validate(row)

    async def ls(self) -> list[StoredDeployment]:
        """Return all deployments by name."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(_TABLE).order_by(_TABLE.c.name))
            return [StoredDeployment.model_validate(row) for row in rows]

    async def apply(
        self,
        connection: AsyncConnection,
        deployments: Sequence[Deployment],
        described: Mapping[str, FlowDescription],
        *,
        prune: Sequence[str] = (),
    ) -> None:
        """Create or update deployments and delete those in ``prune``, within the caller's transaction.

        ``described`` holds, by the deployment's name, what is known of its flow. Call `Outgoing.wake` after the
        commit.
        """
        for deployment in deployments:
            await self._apply_one(connection, deployment, described.get(deployment.name))
        for name in prune:
            stored = await self.get(name, connection)
            await connection.execute(delete(_TABLE).where(_TABLE.c.name == name))
            await self._tell(connection, stored, "deleted", NOBODY)

    async def pause(
        self, name: str, origin: Origin = NOBODY, connection: AsyncConnection | None = None
    ) -> bool:
        """Stop a deployment's runs from starting; those that run go on. Return whether it was not paused before.

        Raises:
            NoSuchDeployment: there is none of that name.

        """
        return await self._switch(name, True, origin, connection)

    async def resume(
        self, name: str, origin: Origin = NOBODY, connection: AsyncConnection | None = None
    ) -> bool:
        """Let a deployment's runs start again. Return whether it was paused.

        Raises:
            NoSuchDeployment: there is none of that name.

        """
        return await self._switch(name, False, origin, connection)

    async def _switch(
        self, name: str, paused: bool, origin: Origin, connection: AsyncConnection | None
    ) -> bool:
        if connection is not None:
            return await self._switch_within(connection, name, paused, origin)
        async with self._engine.begin() as own:
            changed = await self._switch_within(own, name, paused, origin)
        self._outgoing.wake()
        return changed

    async def _switch_within(
        self, connection: AsyncConnection, name: str, paused: bool, origin: Origin
    ) -> bool:
        change = (
            update(_TABLE)
            .where(_TABLE.c.name == name, _TABLE.c.paused != paused)
            .values(paused=paused, paused_reason=origin.reason if paused else "", updated=_now())
        )
        changed = (await connection.execute(change)).rowcount > 0
        stored = await self.get(name, connection)
        if changed:
            await self._tell(connection, stored, "paused" if paused else "resumed", origin)
        return changed

    async def _apply_one(
        self, connection: AsyncConnection, deployment: Deployment, described: FlowDescription | None
    ) -> None:
        values = _values(deployment, described)
        query = select(_TABLE).where(_TABLE.c.name == deployment.name)
        before = (await connection.execute(query)).first()
        if before is None:
            insert = _TABLE.insert().values(
                **values, name=deployment.name, paused=False, paused_reason="", created=_now(), updated=_now()
            )
            await connection.execute(insert)
            await self._tell(connection, await self.get(deployment.name, connection), "created", NOBODY)
        elif changes := [name for name, value in values.items() if getattr(before, name) != value]:
            change = update(_TABLE).where(_TABLE.c.name == deployment.name)
            await connection.execute(change.values(**values, updated=_now()))
            stored = await self.get(deployment.name, connection)
            await self._tell(connection, stored, "updated", NOBODY, changes=changes)
        if deployment.paused is not None:
            origin = Origin(reason="paused in its file" if deployment.paused else "")
            await self._switch_within(connection, deployment.name, deployment.paused, origin)

    async def _tell(
        self,
        connection: AsyncConnection,
        deployment: StoredDeployment,
        what: str,
        origin: Origin,
        **more: Any,
    ) -> None:
        id_ = new_id()
        type_ = f"deployment.{what}"
        payload = {"flow": deployment.flow, "paused": deployment.paused, **more}
        if origin.reason:
            payload["reason"] = origin.reason
        body = encode_event(
            id=id_,
            type=type_,
            source=SOURCE,
            time=_now(),
            resource=deployment.resource,
            related=[{**deployment.flow_resource, "role": "flow"}],
            payload=payload,
            cause=origin.cause,
            hops=origin.hops,
        )
        await self._outgoing.stage(
            connection, [Message(event_subject(type_), message_key(SOURCE, id_), body)]
        )


def _values(deployment: Deployment, described: FlowDescription | None) -> dict[str, Any]:
    written = deployment.model_dump(mode="json", include=set(_DEFINITION))
    return {
        **written,
        "source": str(deployment.source.absolute()),
        "flow_name": described.name if described else split_entrypoint(deployment.flow)[1],
        "parameter_schema": described.schema if described else None,
    }


def _now() -> int:
    return time.time_ns() // 1000
