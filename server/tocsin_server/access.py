"""Who may do what: API keys with scopes and roles, and the record of every change.

A key is ``tsk_`` and 256 random bits. What is kept is its SHA-256: a slow hash protects what can be guessed, and
this can't be (docs/decisions/070).
"""

import hashlib
import os
import secrets
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_events.identity import new_id
from tocsin_events.instant import SECOND
from tocsin_server.tables import API_KEYS, AUDIT_RECORDS

_REMEMBERED_FOR: Final = 5 * SECOND
_REMEMBERED_KEYS: Final = 10_000


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"
    EVENTS_WRITE = "events:write"
    RUNS_WRITE = "runs:write"
    AUTOMATIONS_WRITE = "automations:write"
    SECRETS_READ = "secrets:read"
    ADMIN = "admin"


_OPERATOR = frozenset({Scope.READ, Scope.EVENTS_WRITE, Scope.RUNS_WRITE})
ROLES: Final[Mapping[str, frozenset[Scope]]] = MappingProxyType(
    {
        "viewer": frozenset({Scope.READ}),
        "operator": _OPERATOR,
        "editor": _OPERATOR | {Scope.AUTOMATIONS_WRITE},
        "admin": frozenset(Scope),
    }
)
"""The scopes that each role stands for."""


@dataclass(frozen=True)
class Caller:
    """Who is asking: the key's id and name, and what it may do."""

    id: str
    name: str
    scopes: frozenset[Scope] = field(default_factory=frozenset)

    def may(self, scope: Scope) -> bool:
        """Tell whether the caller has a scope; an admin has all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


SYSTEM: Final = Caller(id="system", name="system", scopes=frozenset(Scope))
"""The server itself."""


@dataclass(frozen=True)
class NewKey:
    """A key just made, in the one moment that it is known."""

    id: str
    name: str
    key: str = field(repr=False)


class Access:
    """The keys of one server.

    An answer is remembered for five seconds, so a key that another process revoked may work that much longer; one
    revoked here ends at once.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._remembered: dict[str, tuple[int, Caller | None]] = {}

    async def caller(self, key: str) -> Caller | None:
        """Return who a key belongs to; None for one that is unknown, revoked or expired."""
        lookup = _lookup(key)
        now = _now()
        known = self._remembered.get(lookup)
        if known is not None and now - known[0] < _REMEMBERED_FOR:
            return known[1]
        query = select(API_KEYS).where(API_KEYS.c.lookup == lookup)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).first()
        caller = None
        if row is not None and row.revoked_at is None and (row.expires_at is None or row.expires_at > now):
            caller = Caller(row.id, row.name, frozenset(Scope(scope) for scope in row.scopes))
        if len(self._remembered) >= _REMEMBERED_KEYS:
            self._remembered.clear()
        self._remembered[lookup] = (now, caller)
        return caller

    async def create(
        self,
        name: str,
        *,
        scopes: Collection[Scope] = (),
        role: str | None = None,
        expires_at: int | None = None,
        by: Caller = SYSTEM,
        key: str | None = None,
    ) -> NewKey:
        """Make a key with a role's scopes and further ones; ``key`` takes one that exists outside."""
        secret = key or new_key()
        granted = sorted({*scopes, *(ROLES[role] if role else ())})
        id_ = new_id()
        row = {
            "id": id_,
            "name": name,
            "lookup": _lookup(secret),
            "hint": secret[:8],
            "role": role,
            "scopes": [str(scope) for scope in granted],
            "created_at": _now(),
            "created_by": by.name,
            "expires_at": expires_at,
        }
        async with self._engine.begin() as connection:
            await connection.execute(insert(API_KEYS).values(row))
        self._remembered.pop(_lookup(secret), None)
        return NewKey(id=id_, name=name, key=secret)

    async def ls(self) -> list[dict[str, Any]]:
        """Return all keys, the newest first, without anything that lets one in."""
        shown = [column for column in API_KEYS.c if column.name != "lookup"]
        query = select(*shown).order_by(API_KEYS.c.created_at.desc())
        async with self._engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]

    async def revoke(self, name_or_id: str) -> int:
        """End every valid key with this name or id; return how many there were."""
        change = (
            update(API_KEYS)
            .where((API_KEYS.c.id == name_or_id) | (API_KEYS.c.name == name_or_id))
            .where(API_KEYS.c.revoked_at.is_(None))
            .values(revoked_at=_now())
        )
        async with self._engine.begin() as connection:
            ended = (await connection.execute(change)).rowcount
        self._remembered.clear()
        return ended

    async def admit(self, key: str, name: str) -> bool:
        """Let an admin in by a key that lies outside, in a file or a setting; False if it was revoked."""
        if await self.caller(key) is not None:
            return True
        query = select(API_KEYS.c.id).where(API_KEYS.c.lookup == _lookup(key))
        async with self._engine.connect() as connection:
            if (await connection.execute(query)).first() is not None:
                return False
        await self.create(name, role="admin", key=key)
        return True

    async def has_keys_besides(self, name: str) -> bool:
        """Tell whether there is a valid key of another name."""
        now = _now()
        return any(
            row["name"] != name
            and row["revoked_at"] is None
            and (row["expires_at"] is None or row["expires_at"] > now)
            for row in await self.ls()
        )


class Audit:
    """The record of every change: who, what, before and after. Never give it a secret's value."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record(
        self,
        by: Caller,
        action: str,
        object_: str,
        *,
        before: Any = None,
        after: Any = None,
        connection: AsyncConnection | None = None,
    ) -> None:
        """Keep one change, within ``connection``'s transaction if one is given; ``object_`` is ``kind/name``."""
        values = {
            "at": _now(),
            "actor": by.name,
            "action": action,
            "object": object_,
            "before": before,
            "after": after,
        }
        if connection is not None:
            await connection.execute(insert(AUDIT_RECORDS).values(values))
            return
        async with self._engine.begin() as own:
            await own.execute(insert(AUDIT_RECORDS).values(values))

    async def ls(self, *, limit: int = 50, before: int | None = None) -> list[dict[str, Any]]:
        """Return records, the newest first; ``before`` is the number of the last one already seen."""
        query = select(AUDIT_RECORDS).order_by(AUDIT_RECORDS.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(AUDIT_RECORDS.c.number < before)
        async with self._engine.connect() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]


def new_key() -> str:
    """Return a new key: ``tsk_`` and 256 random bits."""
    return f"tsk_{secrets.token_urlsafe(32)}"


def read_private(file: Path) -> str | None:
    """Return what a private file holds, its rights put right; None where there is none."""
    if not file.exists():
        return None
    file.chmod(0o600)
    return file.read_text(encoding="utf-8").strip() or None


def write_private(file: Path, content: str) -> str:
    """Write a file that only its owner can read, in one step; return the content."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(content)
    draft.replace(file)
    return content


def _lookup(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> int:
    return time.time_ns() // 1000
