"""What is configured: plan, apply and rollback, each apply one revision, all of it or nothing.

The revision, the deployments, the variables, the audit record and the event `config.applied` are written in one
transaction; the event leaves for the bus after it. The engine changes its rules at that event's place in the stream.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_automations.problem import Problem, has_errors, in_order
from tocsin_automations.revisions import Revision, Revisions
from tocsin_events.bus import BusUnavailable, event_subject
from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_server.access import Audit, Caller
from tocsin_server.config_check import check, deployment_of
from tocsin_server.config_diff import Change, Content, diff, merge
from tocsin_server.config_files import SourceFile, read_files, resolve
from tocsin_server.deployments import Deployments
from tocsin_server.flow_schema import FlowDescription
from tocsin_server.missing_secrets import warnings_of
from tocsin_server.outgoing import Message, Outgoing
from tocsin_server.tables import VARIABLES
from tocsin_server.vault import Vault

SOURCE: Final = "/server/config"
_LOCK: Final = 7_052_002


class InvalidFiles(ValueError):  # noqa: N818 - it names what was found
    """Files that can't be applied; ``problems`` has all that is wrong."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Overtaken(RuntimeError):  # noqa: N818 - it names what happened
    """Someone else applied something in the meantime."""


@dataclass(frozen=True)
class Plan:
    """What applying files would do to revision ``base``."""

    base: int
    content: Content
    changes: tuple[Change, ...]
    warnings: tuple[Problem, ...]
    flows: Mapping[str, FlowDescription]


@dataclass(frozen=True)
class Applied:
    """What was applied; ``on_the_bus`` is False while the bus is away and the engine will switch once it is back."""

    revision: int
    changes: tuple[Change, ...]
    warnings: tuple[Problem, ...] = ()
    on_the_bus: bool = True


class Configurations:
    """The configuration in force and its revisions."""

    def __init__(
        self, engine: AsyncEngine, outgoing: Outgoing, deployments: Deployments, audit: Audit, vault: Vault
    ) -> None:
        self._engine = engine
        self._outgoing = outgoing
        self._deployments = deployments
        self._audit = audit
        self._vault = vault
        self._revisions = Revisions(engine)
        self._applying = asyncio.Lock()
        self._listeners: list[Callable[[], Awaitable[None]]] = []

    def on_change(self, listener: Callable[[], Awaitable[None]]) -> None:
        """Call ``listener`` after each change of this process, before the bus hears of it."""
        self._listeners.append(listener)

    async def current(self) -> Revision:
        """Return the configuration in force; revision 0, empty, before the first apply."""
        return await self._revisions.latest() or Revision(0, 0, "", "", {})

    async def revision(self, number: int) -> Revision | None:
        """Return one revision."""
        return await self._revisions.load(number)

    async def revisions(self, limit: int = 50) -> Sequence[Revision]:
        """Return the newest revisions, newest first."""
        return await self._revisions.ls(limit)

    async def variables(self) -> Mapping[str, Any]:
        """Return the variables in force."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(VARIABLES.c.name, VARIABLES.c.value))
            return {row.name: row.value for row in rows}

    async def plan(self, files: Sequence[SourceFile], *, prune: bool = False) -> Plan:
        """Return what applying files would change; nothing is changed.

        Raises:
            InvalidFiles: something in them is wrong.

        """
        base = await self.current()
        written = read_files(files)
        sections: dict[str, dict[str, Any]] = {}
        for one in written.definitions:
            sections.setdefault(one.section, {})[one.name] = resolve(one)
        merged = merge(base.content, sections, prune=prune)
        changes = diff(base.content, merged)
        checked = await check(written, merged, base.content)
        problems = in_order([*written.problems, *checked.problems])
        if has_errors(problems):
            raise InvalidFiles(problems)
        warnings = in_order([*problems, *await warnings_of(written, self._vault)])
        return Plan(base.revision, merged, changes, warnings, checked.flows)

    async def apply(
        self, files: Sequence[SourceFile], by: Caller, *, prune: bool = False, base: int | None = None
    ) -> Applied:
        """Apply files as a new revision; without a change there is none.

        Raises:
            InvalidFiles: something in them is wrong; nothing was changed.
            Overtaken: the revision in force is not ``base``, or changed meanwhile.

        """
        async with self._applying:
            plan = await self.plan(files, prune=prune)
            if base is not None and plan.base != base:
                raise Overtaken(f"revision {plan.base} is in force, not {base}")
            if not plan.changes:
                await self._refresh_flows(plan)
                return Applied(plan.base, (), plan.warnings)
            return await self._write(plan, by, "config.applied")

    async def rollback(self, number: int, by: Caller) -> Applied:
        """Apply an earlier revision's content again, as a new revision.

        Raises:
            LookupError: there is no such revision.

        """
        async with self._applying:
            earlier, base = await self.revision(number), await self.current()
            if earlier is None:
                raise LookupError(f"there is no revision {number}")
            changes = diff(base.content, earlier.content)
            if not changes:
                return Applied(base.revision, ())
            plan = Plan(base.revision, earlier.content, changes, (), {})
            return await self._write(plan, by, "config.rolled-back", back_to=number)

    async def _write(self, plan: Plan, by: Caller, type_: str, **more: Any) -> Applied:
        now = time.time_ns() // 1000
        async with self._engine.begin() as connection:
            await self._claim(connection, plan.base)
            number = await self._revisions.add(
                plan.content, created=now, author=by.name, note=type_, connection=connection
            )
            await self._write_deployments(connection, plan)
            await _write_variables(connection, plan.content.get("variables", {}), now)
            changes = [one.as_json() for one in plan.changes]
            await self._audit.record(
                by, type_, f"config/{number}", before=plan.base, after=changes, connection=connection
            )
            summary = [{key: one[key] for key in ("section", "name", "change")} for one in changes]
            payload = {"revision": number, "previous": plan.base, "changes": summary, "by": by.name, **more}
            await self._outgoing.stage(connection, _messages(type_, number, now, payload))
        for listener in self._listeners:
            await listener()
        return Applied(number, plan.changes, plan.warnings, on_the_bus=await self._send())

    async def _claim(self, connection: AsyncConnection, base: int) -> None:
        """Make sure, within the transaction, that nobody else applies: on SQLite a write takes the only lock."""
        if connection.dialect.name == "postgresql":
            await connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        else:
            await connection.execute(delete(VARIABLES).where(VARIABLES.c.name == ""))
        latest = (await connection.execute(text("SELECT max(revision) FROM revisions"))).scalar()
        if (latest or 0) != base:
            raise Overtaken(f"revision {latest} was applied in the meantime, after {base}")

    async def _refresh_flows(self, plan: Plan) -> None:
        """Keep what is new about flows whose code changed while their deployments did not."""
        if plan.flows:
            async with self._engine.begin() as connection:
                await self._write_deployments(connection, plan)
            await self._send()

    async def _write_deployments(self, connection: AsyncConnection, plan: Plan) -> None:
        changes = {one.name: one.change for one in plan.changes if one.section == "deployments"}
        content = plan.content.get("deployments", {})
        kept = [deployment_of(name, content[name]) for name in {**changes, **plan.flows} if name in content]
        gone = [name for name, change in changes.items() if change == "delete"]
        await self._deployments.apply(connection, kept, plan.flows, prune=gone)

    async def _send(self) -> bool:
        try:
            await self._outgoing.flush()
        except BusUnavailable:
            self._outgoing.wake()
            return False
        return True


def _messages(type_: str, number: int, now: int, payload: Mapping[str, Any]) -> list[Message]:
    """Return the events of an apply: what it was, and `config.applied`, at which the rules change."""
    types = [type_] if type_ == "config.applied" else [type_, "config.applied"]
    return [_message(one, number, now, payload) for one in types]


def _message(type_: str, number: int, now: int, payload: Mapping[str, Any]) -> Message:
    id_ = derived_id(type_, number, now)
    resource = {"kind": "config", "id": str(number), "name": f"revision {number}", "labels": {}, "tags": []}
    body = encode_event(id=id_, type=type_, source=SOURCE, time=now, resource=resource, payload=payload)
    return Message(event_subject(type_), message_key(SOURCE, id_), body)


async def _write_variables(connection: AsyncConnection, variables: Mapping[str, Any], now: int) -> None:
    await connection.execute(delete(VARIABLES))
    if variables:
        rows = [{"name": name, "value": value, "updated_at": now} for name, value in variables.items()]
        await connection.execute(insert(VARIABLES), rows)
