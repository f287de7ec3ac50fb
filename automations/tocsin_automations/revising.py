"""Changing the rules while the engine runs, and getting them back after a restart.

A change takes place at a message of the stream: timers that are due before it fire under the old rules. What is new
or changed is then warmed up with the events before that message, so that a rule is as if it had always been there.
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Final, Protocol

import structlog
from pydantic import ValidationError

from tocsin_automations.automation import Automation
from tocsin_automations.decision import Firing
from tocsin_automations.engine import initial_state, restore, warm_up
from tocsin_automations.history import read_through
from tocsin_automations.live import CONTROL_TYPES, Configured, Live
from tocsin_automations.revisions import Revisions
from tocsin_automations.rules import Rules
from tocsin_automations.store import Checkpoint
from tocsin_events.view import EventView

_log = structlog.get_logger(__name__)

_NOTHING: Final = Configured(0, {})


class History(Protocol):
    """Where the events before a message come from."""

    def between(self, *, received_from: int, last: int, patterns: Sequence[str]) -> AsyncIterator[EventView]:
        """Yield the events that fit a pattern, arrived at or after an instant, up to a sequence, in order."""
        ...


class Reviser:
    """Gives the engine its rules: those of a checkpoint, and those that a message of the stream brings.

    ``only`` leaves all automations but one aside.
    """

    def __init__(self, revisions: Revisions, history: History, *, only: str | None = None) -> None:
        self._revisions = revisions
        self._history = history
        self._only = only

    async def restore(self, checkpoint: Checkpoint | None) -> Live:
        """Return the engine as a checkpoint left it, or one without rules before the first."""
        if checkpoint is None:
            rules = Rules.build((), 0, 0)
            return Live(_NOTHING, rules, initial_state(rules, 0), sequence=0, clock=0)
        configured = (await self.revision(checkpoint.revision) or _NOTHING).paused_as(checkpoint.paused)
        rules = Rules.build(configured.effective(), configured.revision, checkpoint.clock)
        state = restore(rules, checkpoint.header, checkpoint.entries)
        return Live(configured, rules, state, sequence=checkpoint.sequence, clock=checkpoint.clock)

    async def change(self, live: Live, view: EventView) -> list[tuple[Firing, Automation]]:
        """Let an event that `live` has just seen change the rules; return the alerts that it closed."""
        if view.type not in CONTROL_TYPES:
            return []
        configured = await self._changed(live.configured, view)
        return [] if configured is None else await self.apply(live, configured)

    async def apply(self, live: Live, configured: Configured) -> list[tuple[Firing, Automation]]:
        """Put what is configured in force where `live` is; return the alerts that this closed."""
        _log.debug("rules change", revision=configured.revision, paused=sorted(configured.paused))
        rules = Rules.build(configured.effective(), configured.revision, live.clock)
        started = _started(live.rules, rules)
        closed = live.switch(configured, rules)
        await self._warm_up(live, started)
        return closed

    async def announced(self, view: EventView) -> Configured | None:
        """Return the revision that a ``config.applied`` announces, None where the database has no such."""
        revision = view.data.get("revision") if isinstance(view.data, Mapping) else None
        return await self.revision(revision) if isinstance(revision, int) else None

    async def _changed(self, now: Configured, view: EventView) -> Configured | None:
        """Return what is configured after an event, None where it changes nothing."""
        name = "" if view.resource is None else view.resource["id"]
        match view.type:
            case "config.applied":
                return await self._applied(now, view)
            case "automation.paused" if name in now.automations and name not in now.paused:
                return now.paused_as(now.paused | {name})
            case "automation.resumed" if name in now.automations:
                return now.paused_as(now.paused - {name})
            case _:
                return None

    async def _applied(self, now: Configured, view: EventView) -> Configured | None:
        configured = await self.announced(view)
        if configured is None:
            _log.error("a revision was announced that the database does not have", event=view.id)
            return None
        # A message that comes again, or late, does not turn the clock back.
        if configured.revision <= now.revision:
            return None
        return configured.paused_as(now.paused & configured.automations.keys())

    async def revision(self, number: int) -> Configured | None:
        """Return the automations of a revision, None where there is no such."""
        revision = await self._revisions.load(number)
        if revision is None:
            return None
        automations = {}
        for name, written in (revision.content.get("automations") or {}).items():
            if self._only is not None and name != self._only:
                continue
            try:
                automations[name] = Automation.model_validate({**written, "name": name})
            except ValidationError as problem:
                # It was right when it was applied: a plugin that it needs is gone. The others must not stop with it.
                _log.error("an automation can't be evaluated", automation=name, problem=str(problem))
        return Configured(number, automations)

    async def _warm_up(self, live: Live, started: Collection[str]) -> None:
        horizon = live.rules.horizon(started)
        if not horizon:
            return
        patterns = {
            pattern
            for name in started
            for selector in live.rules.by_name[name].when.selectors
            for pattern in selector.patterns
        }
        views = self._history.between(
            received_from=live.clock - horizon, last=live.sequence - 1, patterns=sorted(patterns)
        )
        live.state = await read_through(
            lambda events: warm_up(live.rules, live.state, events, started), views
        )
        _log.debug("new rules warmed up", automations=len(started))


def _started(old: Rules, new: Rules) -> list[str]:
    known = {part.id for part in old.parts}
    return [rule.name for rule in new.rules if rule.when.id not in known]
