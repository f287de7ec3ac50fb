"""Targets that said that they are gone for good (HTTP 410): not asked again, across restarts, until their settings change.

Settings are compared with the secrets in them, so that another address behind the same host is another target. What is kept
of them is a salted hash that takes its time, so that even a poor secret can't be guessed from the database.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Mapping
from secrets import token_bytes
from typing import Any, Final

from pydantic import BaseModel, SecretStr
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_notifiers.configuration import ServiceNotifier
from tocsin_notifiers.secret import SecretRef, Secrets, UnknownSecret
from tocsin_notifiers.store import GONE_TARGETS, insert_new

_SALT_BYTES: Final = 16


class GoneTargets:
    """The table of targets that are gone; ``secrets`` reveals what settings only name."""

    def __init__(self, engine: AsyncEngine, secrets: Secrets) -> None:
        self._engine = engine
        self._secrets = secrets

    async def of(self, config: ServiceNotifier) -> dict[str, str]:
        """Return why a notifier's targets are gone, by target; those that were under other settings are not."""
        query = select(GONE_TARGETS.c.target, GONE_TARGETS.c.reason, GONE_TARGETS.c.settings).where(
            GONE_TARGETS.c.notifier == config.name
        )
        async with self._engine.connect() as connection:
            rows = list(await connection.execute(query))
        return {row.target: row.reason for row in rows if await self._is_of(config, row.settings)}

    async def among(self, configs: Iterable[ServiceNotifier]) -> dict[str, dict[str, str]]:
        """Return why targets are gone, by notifier and target, of the notifiers that have any."""
        async with self._engine.connect() as connection:
            listed = set(await connection.scalars(select(GONE_TARGETS.c.notifier).distinct()))
        found = {one.name: await self.of(one) for one in configs if one.name in listed}
        return {name: targets for name, targets in found.items() if targets}

    async def add(self, config: ServiceNotifier, target: str, reason: str, *, at: int) -> None:
        """Keep that a target is gone; ``at`` is in microseconds."""
        values = {
            "notifier": config.name,
            "target": target,
            "settings": await self._fingerprint(config, token_bytes(_SALT_BYTES)),
            "reason": reason,
            "at": at,
        }
        async with self._engine.begin() as connection:
            await connection.execute(
                delete(GONE_TARGETS).where(
                    GONE_TARGETS.c.notifier == config.name, GONE_TARGETS.c.target == target
                )
            )
            await connection.execute(insert_new(connection, GONE_TARGETS).values(**values))

    async def forget(self, notifiers: Collection[str]) -> None:
        """Forget what was kept of notifiers: somebody has mended their settings."""
        if notifiers:
            async with self._engine.begin() as connection:
                await connection.execute(
                    delete(GONE_TARGETS).where(GONE_TARGETS.c.notifier.in_(list(notifiers)))
                )

    async def _is_of(self, config: ServiceNotifier, kept: str) -> bool:
        try:
            salt = bytes.fromhex(kept.partition(":")[0])
        except ValueError:
            return False
        return hmac.compare_digest(await self._fingerprint(config, salt), kept)

    async def _fingerprint(self, config: ServiceNotifier, salt: bytes) -> str:
        """Return the salt, and the hash of what a notifier's settings really come to."""
        real = json.dumps([config.kind, _revealed(config.settings, self._secrets)], sort_keys=True)
        hashed = await asyncio.to_thread(
            hashlib.scrypt, real.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32
        )
        return f"{salt.hex()}:{hashed.hex()}"


def _revealed(value: Any, secrets: Secrets) -> Any:
    match value:
        case SecretRef():
            try:
                return secrets.reveal(value)
            except UnknownSecret:
                return None
        case SecretStr():
            return secrets.reveal(value)
        case BaseModel():
            return {name: _revealed(one, secrets) for name, one in value}
        case Mapping():
            return {str(name): _revealed(one, secrets) for name, one in value.items()}
        case list() | tuple():
            return [_revealed(one, secrets) for one in value]
        case _:
            return str(value)
