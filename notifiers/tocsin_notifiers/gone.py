"""Targets that said that they are gone for good (HTTP 410): not asked again, across restarts, until their settings change."""

import json
from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tocsin_events.identity import derived_id
from tocsin_notifiers.configuration import ServiceNotifier
from tocsin_notifiers.store import GONE_TARGETS, insert_new


class GoneTargets:
    """The table of targets that are gone."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of(self, config: ServiceNotifier) -> dict[str, str]:
        """Return why a notifier's targets are gone, by target; those that were under other settings are not."""
        query = select(GONE_TARGETS.c.target, GONE_TARGETS.c.reason).where(
            GONE_TARGETS.c.notifier == config.name, GONE_TARGETS.c.settings == _fingerprint(config)
        )
        async with self._engine.connect() as connection:
            return {row.target: row.reason for row in await connection.execute(query)}

    async def add(self, config: ServiceNotifier, target: str, reason: str, *, at: int) -> None:
        """Keep that a target is gone; ``at`` is in microseconds."""
        values = {
            "notifier": config.name,
            "target": target,
            "settings": _fingerprint(config),
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


def _fingerprint(config: ServiceNotifier) -> str:
    """Return what a notifier's settings come to. Secrets are masked in it: a hash of them could be guessed at."""
    settings = config.settings.model_dump(mode="json", by_alias=True)
    return derived_id("settings", config.kind, json.dumps(settings, sort_keys=True))
