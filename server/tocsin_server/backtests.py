"""Backtests over the log: the automations of some files, evaluated as if they had been in force."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tocsin_automations.automation import Automation
from tocsin_automations.backtest import Backtest, Fired, Grouping, Tested, fired_as, report_of
from tocsin_automations.history import read_through
from tocsin_automations.store import EngineStore
from tocsin_events.store import EventStore
from tocsin_events.view import EventView
from tocsin_notifiers.configuration import Group

_AT_ONCE: Final = 50
"""Few enough that what was decoded is still in the processor's cache when it is evaluated."""

_TOLD_EVERY: Final = 500
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backtest is: events so far, and the share of the time span (0 to 1)."""

    events: int
    share: float


@dataclass(frozen=True, slots=True)
class Period:
    """From when (included) to when (excluded) a backtest goes, in microseconds."""

    since: int
    until: int


async def run_backtest(
    log: EventStore,
    firings: EngineStore,
    automations: Sequence[Automation],
    period: Period,
    grouping: Mapping[str, Grouping],
) -> AsyncIterator[Progress | list[Tested]]:
    """Yield how far the backtest is, and its report as the last thing. Nothing acts, and nothing is stored."""
    test = Backtest(automations, period.since)
    patterns = test.patterns()
    before = log.between(
        received_from=period.since - test.horizon, received_before=period.since, patterns=patterns
    )
    await read_through(test.warm_up, before)
    span = max(1, period.until - period.since)
    batch: list[EventView] = []
    async for view in log.between(
        received_from=period.since, received_before=period.until, patterns=patterns
    ):
        batch.append(view)
        if len(batch) == _AT_ONCE:
            test.feed(batch)
            batch = []
            if test.events % _TOLD_EVERY == 0:
                yield Progress(test.events, (view.received - period.since) / span)
            # The server goes on meanwhile.
            await asyncio.sleep(0)
    test.feed(batch)
    test.finish(period.until)
    names = {one.name for one in automations}
    real = [one async for one in _real(firings, names, period)]
    yield report_of(test, period.until, real, grouping)


def grouping_of(notifiers: Mapping[str, Any]) -> dict[str, Grouping]:
    """Return how the notifiers of a configuration group."""
    groups = {
        name: Group.model_validate(written["group"])
        for name, written in notifiers.items()
        if isinstance(written, Mapping) and written.get("group")
    }
    return {name: Grouping(group.wait, group.interval) for name, group in groups.items()}


async def _real(firings: EngineStore, names: set[str], period: Period) -> AsyncIterator[Fired]:
    for name in sorted(names):
        before: tuple[int, str] | None = (period.until, "")
        while before is not None:
            page = await firings.firings(automation=name, since=period.since, before=before, limit=_PAGE)
            for one in page:
                yield fired_as(one.at, one.automation, one.state, one.key)
            before = (page[-1].at, page[-1].id) if len(page) == _PAGE else None
