"""How automations are doing: what is configured, what the engine decided, what fired."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel

from tocsin_automations.store import EngineStore, StoredFiring
from tocsin_server.config import Configurations

_TABLES = SQLModel.metadata.tables
_CHECKPOINTS, _FIRINGS, _COUNTERS = (
    _TABLES[name].c for name in ("engine_checkpoints", "firings", "decision_counters")
)


@dataclass(frozen=True, slots=True)
class AutomationStatus:
    """One automation: its definition as written, whether it is paused, and what came of it.

    ``decisions`` counts by outcome; ``last_fired`` is in microseconds since the epoch.
    """

    name: str
    definition: Mapping[str, Any]
    revision: int
    paused: bool
    firings: int
    last_fired: int | None
    decisions: Mapping[str, int]


class AutomationStatuses:
    """Reads what is known of automations."""

    def __init__(self, engine: AsyncEngine, config: Configurations) -> None:
        self._engine = engine
        self._config = config
        self._store = EngineStore(engine)

    async def ls(self) -> list[AutomationStatus]:
        """Return every automation, by name."""
        current = await self._config.current()
        paused, fired, decisions = await self.paused(), await self._fired(), await self._decisions()
        return [
            AutomationStatus(
                name=name,
                definition=definition,
                revision=current.revision,
                paused=name in paused or definition.get("enabled") is False,
                firings=fired.get(name, (0, None))[0],
                last_fired=fired.get(name, (0, None))[1],
                decisions=decisions.get(name, {}),
            )
            for name, definition in sorted(current.content.get("automations", {}).items())
        ]

    async def get(self, name: str) -> AutomationStatus | None:
        """Return one automation."""
        return next((one for one in await self.ls() if one.name == name), None)

    async def firings(
        self, automation: str | None, *, limit: int, before: tuple[int, str] | None = None
    ) -> list[StoredFiring]:
        """Return firings, the newest first."""
        return await self._store.firings(automation=automation, limit=limit, before=before)

    async def firing(self, id_: str) -> StoredFiring | None:
        """Return one firing."""
        return await self._store.firing(id_)

    async def reasons(self, name: str) -> list[dict[str, Any]]:
        """Return how often each part of an automation decided what, and why."""
        return [
            {"part": part, "outcome": outcome, "reason": reason, "count": count}
            for (_, part, outcome, reason), count in (await self._store.counters(name)).items()
        ]

    async def paused(self) -> frozenset[str]:
        """Return the automations that the engine holds paused."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(_CHECKPOINTS.paused))).scalars()
            return frozenset(name for names in rows for name in names)

    async def _fired(self) -> dict[str, tuple[int, int | None]]:
        query = (
            select(_FIRINGS.automation, func.count(), func.max(_FIRINGS.at))
            .where(_FIRINGS.state == "firing")
            .group_by(_FIRINGS.automation)
        )
        async with self._engine.connect() as connection:
            return {name: (count, last) for name, count, last in await connection.execute(query)}

    async def _decisions(self) -> dict[str, dict[str, int]]:
        query = select(_COUNTERS.automation, _COUNTERS.outcome, func.sum(_COUNTERS["count"])).group_by(
            _COUNTERS.automation, _COUNTERS.outcome
        )
        found: dict[str, dict[str, int]] = {}
        async with self._engine.connect() as connection:
            for name, outcome, count in await connection.execute(query):
                found.setdefault(name, {})[outcome] = int(count)
        return found
