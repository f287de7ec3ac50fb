"""Runs: executions of flows, created once, handed out by the bus, and remembered."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel, ConfigDict
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin.states import FINAL, StateType
from tocsin_events.bus import event_subject, run_subject
from tocsin_events.identity import new_id
from tocsin_events.upsert import insert_into
from tocsin_server.deployments import NOBODY, Deployments, Origin, StoredDeployment
from tocsin_server.outgoing import Message, Outgoing
from tocsin_server.parameters import fit_parameters
from tocsin_server.run_claims import Cancellations
from tocsin_server.run_order import FlowPlace, RunEvent, RunOrder, decode_order, encode_order, state_event
from tocsin_server.run_tables import RUN_LOGS, RUNS

SKIPPED: Final = "skipped"
"""The state of a run whose deployment was paused: recorded, never executed."""

ENDED: Final = frozenset({*(state.value for state in FINAL), SKIPPED})
"""The states in which a run does nothing any more."""


class Run(BaseModel):
    """A run as the server knows it. Instants are microseconds since the epoch."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    name: str
    flow: str
    deployment: str | None
    parameters: dict[str, Any]
    tags: tuple[str, ...]
    work_pool: str | None
    work_queue: str | None
    automation: str | None
    cause: str | None
    created: int
    due: int
    started: int | None
    ended: int | None
    worker: str | None
    attempt: int
    state: str
    state_name: str
    state_message: str
    state_time: int
    error: dict[str, Any] | None

    @property
    def has_ended(self) -> bool:
        """Whether the run does nothing any more."""
        return self.state in ENDED


class LogLine(BaseModel):
    """A line of a run's log."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    sequence: int
    time: int
    level: str
    logger: str
    message: str


@dataclass(frozen=True)
class RunRequest:
    """What a run shall be: parameters beside the deployment's own, and who asks.

    Two requests for one deployment with the same ``idempotency_key`` are one run. ``delay`` is in microseconds.
    ``templated`` says that the parameters come out of templates.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    tags: tuple[str, ...] = ()
    name: str | None = None
    delay: int = 0
    automation: str | None = None
    origin: Origin = NOBODY
    templated: bool = False


class NoSuchRun(LookupError):  # noqa: N818 - it names what was found
    """There is no run of that id."""

    def __init__(self, id_: str) -> None:
        super().__init__(f"there is no run {id_!r}; `tocsin runs ls` shows the latest")


class RunEnded(ValueError):  # noqa: N818 - it names what was found
    """The run has ended, so there is nothing to cancel."""


class Runs:
    """The runs that the server knows."""

    def __init__(
        self, engine: AsyncEngine, outgoing: Outgoing, deployments: Deployments, cancellations: Cancellations
    ) -> None:
        self._engine = engine
        self._outgoing = outgoing
        self._deployments = deployments
        self._cancellations = cancellations

    async def create(
        self, deployment: str, request: RunRequest, connection: AsyncConnection | None = None
    ) -> tuple[Run, bool]:
        """Create a run of a deployment, and tell whether it is new; a known idempotency key gives the run there is.

        The run and its messages are committed together (with ``connection``, by the caller, who then calls
        `Outgoing.wake`); the bus gets it afterwards, whatever crashes. A paused deployment's run is recorded as
        skipped.

        Raises:
            NoSuchDeployment: there is no such deployment.
            InvalidParameters: the parameters don't fit the flow.

        """
        if connection is not None:
            return await self._create(connection, deployment, request)
        async with self._engine.begin() as own:
            created = await self._create(own, deployment, request)
        self._outgoing.wake()
        return created

    async def get(self, id_: str, connection: AsyncConnection | None = None) -> Run:
        """Return one run.

        Raises:
            NoSuchRun: there is none of that id.

        """
        return Run.model_validate(await self._row(id_, connection))

    async def ls(
        self,
        *,
        deployment: str | None = None,
        flow: str | None = None,
        states: tuple[str, ...] = (),
        since: int | None = None,
        before: tuple[int, str] | None = None,
        limit: int = 50,
    ) -> list[Run]:
        """Return runs, newest first, that come before ``before`` (their creation and id)."""
        query = select(RUNS).order_by(RUNS.c.created.desc(), RUNS.c.id.desc()).limit(limit)
        if deployment is not None:
            query = query.where(RUNS.c.deployment == deployment)
        if flow is not None:
            query = query.where(RUNS.c.flow == flow)
        if states:
            query = query.where(RUNS.c.state.in_(states))
        if since is not None:
            query = query.where(RUNS.c.created >= since)
        if before is not None:
            at, id_ = before
            query = query.where((RUNS.c.created < at) | ((RUNS.c.created == at) & (RUNS.c.id < id_)))
        async with self._engine.connect() as connection:
            return [Run.model_validate(row) for row in await connection.execute(query)]

    async def count_by_state(self) -> dict[str, int]:
        """Return how many runs are in each state."""
        query = select(RUNS.c.state, func.count()).group_by(RUNS.c.state)
        async with self._engine.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(query)}

    async def logs(self, id_: str, *, after: int = 0, limit: int = 1000) -> list[LogLine]:
        """Return lines of a run's log in order, those after the sequence ``after``."""
        query = (
            select(RUN_LOGS)
            .where(RUN_LOGS.c.run_id == id_, RUN_LOGS.c.sequence > after)
            .order_by(RUN_LOGS.c.sequence)
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return [LogLine.model_validate(row) for row in await connection.execute(query)]

    async def cancel(self, id_: str, origin: Origin = NOBODY) -> Run:
        """Ask for a run's end: one that waits never starts, one that is executed is terminated.

        Raises:
            NoSuchRun: there is none of that id.
            RunEnded: it has ended.

        """
        row = await self._row(id_)
        if row.state in ENDED or row.order is None:
            raise RunEnded(
                f"run {row.name} has ended: {row.state}"
                if row.state in ENDED
                else f"run {row.name} was started by a script, not by a worker; end the script"
            )
        await self._cancellations.ask(id_)
        async with self._engine.begin() as connection:
            await self._move(connection, row, StateType.CANCELLING, origin)
        self._outgoing.wake()
        return await self.get(id_)

    async def prepare_cancelling(self) -> None:
        """Make sure that runs can be cancelled, before `cancel_all`.

        Raises:
            BusUnavailable: they can't now.

        """
        await self._cancellations.prepare()

    async def cancel_all(self, ids: Sequence[str], origin: Origin, connection: AsyncConnection) -> list[str]:
        """Ask for the end of those runs that have not ended, within the caller's transaction; return which ones.

        What asks for it goes to the bus in front of all that is staged later, a further run for instance. The caller
        called `prepare_cancelling` before, and calls `Outgoing.wake` afterwards.
        """
        over = {*ENDED, StateType.CANCELLING.value}
        query = (
            select(RUNS)
            .where(RUNS.c.id.in_(ids), RUNS.c.state.not_in(over), RUNS.c.order.is_not(None))
            .order_by(RUNS.c.id)
            .with_for_update()
        )
        rows = (await connection.execute(query)).all()
        for row in rows:
            await self._outgoing.stage(connection, [self._cancellations.wish(row.id)])
            await self._move(connection, row, StateType.CANCELLING, origin)
        return [row.id for row in rows]

    async def retry(self, id_: str, idempotency_key: str, origin: Origin, connection: AsyncConnection) -> Run:
        """Create a run like an ended one, with its parameters and tags, within the caller's transaction.

        Raises:
            NoSuchRun: there is none of that id.
            NoSuchDeployment: its deployment is gone, or it never had one.

        """
        row = await self._row(id_, connection)
        request = RunRequest(
            parameters=row.parameters,
            idempotency_key=idempotency_key,
            tags=tuple(row.tags),
            automation=row.automation,
            origin=origin,
        )
        run, _ = await self._create(connection, row.deployment or "", request)
        return run

    async def _row(self, id_: str, connection: AsyncConnection | None = None) -> Any:
        query = select(RUNS).where(RUNS.c.id == id_)
        if connection is not None:
            row = (await connection.execute(query)).first()
        else:
            async with self._engine.connect() as own:
                row = (await own.execute(query)).first()
        if row is None:
            raise NoSuchRun(id_)
        return row

    async def _create(
        self, connection: AsyncConnection, deployment: str, request: RunRequest
    ) -> tuple[Run, bool]:
        stored = await self._deployments.get(deployment, connection)
        given = {**stored.parameters, **request.parameters}
        parameters = fit_parameters(given, stored.parameter_schema, templated=request.templated)
        now = _now()
        order = _order(stored, request, parameters)
        values = _row_values(order, request, stored, now)
        insert = insert_into(connection, RUNS).on_conflict_do_nothing(
            index_elements=["deployment", "idempotency_key"]
        )
        if not (await connection.execute(insert.values(**values))).rowcount:
            known = select(RUNS).where(
                RUNS.c.deployment == stored.name, RUNS.c.idempotency_key == request.idempotency_key
            )
            return Run.model_validate((await connection.execute(known)).one()), False
        await self._outgoing.stage(connection, _messages(order, stored, now, now + request.delay))
        return await self.get(order.run_id, connection), True

    async def _move(self, connection: AsyncConnection, row: Any, state: StateType, origin: Origin) -> None:
        order = decode_order(row.order)
        now = _now()
        event = state_event(order, state, time=now, message=origin.reason, previous=row.state)
        change = (
            update(RUNS)
            .where(RUNS.c.id == row.id, RUNS.c.state == row.state)
            .values(state=state.value, state_name=state.label, state_message=origin.reason, state_time=now)
        )
        if (await connection.execute(change)).rowcount:
            await self._outgoing.stage(connection, [_event_message(event)])


def _order(stored: StoredDeployment, request: RunRequest, parameters: dict[str, Any]) -> RunOrder:
    return RunOrder(
        run_id=new_id(),
        name=request.name or _readable_name(),
        flow=FlowPlace(stored.flow_name, stored.flow, stored.source),
        deployment=stored.resource,
        parameters=parameters,
        tags=tuple(dict.fromkeys((*stored.tags, *request.tags))),
        cause=request.origin.cause,
        hops=request.origin.hops,
        automation=request.automation,
        pool=stored.work_pool,
        queue=stored.work_queue,
        on_crash=stored.on_crash,
    )


def _row_values(order: RunOrder, request: RunRequest, stored: StoredDeployment, now: int) -> dict[str, Any]:
    skipped = _skip_reason(stored)
    state = SKIPPED if skipped else StateType.SCHEDULED.value
    return {
        "id": order.run_id,
        "name": order.name,
        "flow": order.flow.name,
        "deployment": stored.name,
        "idempotency_key": request.idempotency_key,
        "parameters": order.parameters,
        "tags": list(order.tags),
        "work_pool": order.pool,
        "work_queue": order.queue,
        "automation": order.automation,
        "cause": order.cause,
        "hops": order.hops,
        "created": now,
        "due": now + request.delay,
        "ended": now if skipped else None,
        "attempt": 1,
        "state": state,
        "state_name": state.capitalize(),
        "state_message": skipped,
        "state_time": now,
        "state_event": "",
        "state_source": "",
        "order": encode_order(order),
    }


def _messages(order: RunOrder, stored: StoredDeployment, now: int, due: int) -> list[Message]:
    reason = _skip_reason(stored)
    if reason:
        return [
            _event_message(
                state_event(order, "cancelled", time=now, name=SKIPPED.capitalize(), message=reason)
            )
        ]
    handed_out = Message(
        run_subject(order.pool, order.queue), f"{order.run_id} {order.attempt}", encode_order(order), due=due
    )
    return [_event_message(state_event(order, "scheduled", time=now)), handed_out]


def _skip_reason(stored: StoredDeployment) -> str:
    if not stored.paused:
        return ""
    because = f": {stored.paused_reason}" if stored.paused_reason else ""
    return f"deployment {stored.name} is paused{because}"


def _event_message(event: RunEvent) -> Message:
    return Message(event_subject(event.type), event.key, event.body)


def _readable_name() -> str:
    import coolname

    return str(coolname.generate_slug(2))


def _now() -> int:
    return time.time_ns() // 1000
