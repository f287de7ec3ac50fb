"""Which services a name of ``--services`` stands for: one table, in the order of starting."""

import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Final

from tocsin_events.bus import BusUnavailable, DeadWork
from tocsin_events.duration import parse_duration
from tocsin_server.parts import Parts
from tocsin_server.supervisor import Service

Maker = Callable[[Parts], Awaitable[Service]]


async def _outgoing(parts: Parts) -> Service:
    return parts.outgoing


async def _recorder(parts: Parts) -> Service:
    from tocsin_events.service import Recorder

    return Recorder(parts.bus, parts.events, accept_gap=parts.accept_gap)


async def _run_tracker(parts: Parts) -> Service:
    from tocsin_server.run_tracker import RunTracker

    return RunTracker(parts.bus, parts.engine)


async def _outbox(parts: Parts) -> Service:
    from tocsin_server.outbox_drain import OutboxDrain

    return OutboxDrain(parts.bus, parts.settings.outbox_dir)


async def _trimmer(parts: Parts) -> Service:
    from tocsin_events.trim import Trimmer

    return Trimmer(parts.bus, parts.events, parts.settings.stream_limits())


async def _pruner(parts: Parts) -> Service:
    from tocsin_events.retention import Pruner, Retention, RetentionRule

    events = parts.settings.events
    age = None if events.log_max_age is None else parse_duration(events.log_max_age)
    rule = RetentionRule((">",), age)
    return Pruner(parts.events, Retention((rule,), events.log_max_bytes))


async def _engine(parts: Parts) -> Service:
    from tocsin_automations.history import StoredHistory
    from tocsin_automations.revising import Reviser
    from tocsin_automations.revisions import Revisions
    from tocsin_automations.service import EngineService
    from tocsin_automations.store import EngineStore

    reviser = Reviser(Revisions(parts.engine), StoredHistory(parts.events, parts.bus))
    return EngineService(
        parts.bus, EngineStore(parts.engine), reviser, clock=_now, accept_gap=parts.accept_gap
    )


async def _notifier(parts: Parts) -> Service:
    await parts.notifier_setup.load()
    return parts.notifications


async def _notifier_setup(parts: Parts) -> Service:
    return parts.notifier_setup


async def _actions(parts: Parts) -> Service:
    from tocsin_server.actions.call import Services, load_kinds
    from tocsin_server.actions.fired import Links
    from tocsin_server.actions.runner import ActionRunner

    services = Services(
        deployments=parts.deployments,
        runs=parts.runs,
        notifications=parts.notifications,
        outgoing=parts.outgoing,
        secrets=parts.vault,
        http=parts.http,
        client=parts.bus.client,
    )
    return ActionRunner(
        parts.bus,
        parts.engine,
        load_kinds(),
        services,
        links=Links(parts.public_url),
        variables=parts.config.variables,
        on_result=parts.metrics.count_action,
        on_dead=partial(_bury, parts),
    )


async def _worker(parts: Parts) -> Service:
    from tocsin_server.worker import WorkerOptions, WorkerService, run_environment

    worker = parts.settings.worker
    options = WorkerOptions(
        pool=worker.pool,
        limit=worker.limit,
        grace=worker.grace_seconds,
        environment=run_environment(parts.run_bus, str(parts.settings.data_dir)),
    )
    return WorkerService(parts.bus, options, on_dead=partial(_bury_order, parts))


SERVICES_OF: Final[Mapping[str, tuple[Maker, ...]]] = {
    "recorder": (_recorder, _run_tracker, _outbox, _trimmer, _pruner),
    "engine": (_engine,),
    "notifier": (_notifier_setup, _notifier),
    "actions": (_actions,),
    "scheduler": (),
    "worker": (_worker,),
}
"""The services that each name stands for, in the order of starting; ``api`` is HTTP and has none."""


def makers(
    names: Collection[str], parts: Callable[[], Parts]
) -> Mapping[str, Callable[[], Awaitable[Service]]]:
    """Return how to make each service that these names stand for; ``parts`` is asked when one is made."""
    chosen = [
        _outgoing,
        *(make for name, several in SERVICES_OF.items() if name in names for make in several),
    ]
    return {make.__name__.strip("_").replace("_", "-"): partial(_made, make, parts) for make in chosen}


async def _made(make: Maker, parts: Callable[[], Parts]) -> Service:
    return await make(parts())


async def _bury(parts: Parts, dead: DeadWork) -> None:
    await parts.dead_letters.bury(dead, at=_now())
    await _announce_letters(parts)


async def _bury_order(
    parts: Parts, reason: str, subject: str, body: bytes, headers: Mapping[str, str]
) -> None:
    await parts.dead_letters.add(reason, subject, body, headers, at=_now(), stream="RUNS")
    await _announce_letters(parts)


async def _announce_letters(parts: Parts) -> None:
    # While the bus is away the rows owe it; the recorder pays when it starts again.
    with contextlib.suppress(BusUnavailable):
        await parts.dead_letters.announce(parts.bus)


def _now() -> int:
    return time.time_ns() // 1000
