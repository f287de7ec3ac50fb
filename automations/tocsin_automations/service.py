"""The live engine: it reads the bus in order, steps the pure engine, and publishes what fired.

Theory of operation. The engine is a function of the stream: what it decides depends only on the messages and their
arrival times. So the service needs no acknowledgements. Every second or so it writes a checkpoint (the changed part
of the state and the last sequence) in one transaction, after the bus has acknowledged every firing up to there. After
a crash it goes on from the checkpoint, makes the same firings again with the same ids, and the bus keeps each once.

Time is in the stream as well. Where a timer is due and no event moves the clock, the service puts a tick on the bus
and waits to read it. Changes of the rules are events too (``config.applied``, ``automation.paused``,
``automation.resumed``): the rules change at that message, for replay as for life.

One service writes at a time: a lease in the bus keeps the others waiting, and a fence in the database stops one that
lost its lease without noticing.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from tocsin_automations.automation import Automation
from tocsin_automations.decision import Firing
from tocsin_automations.firing_event import (
    FULL_EVENTS,
    SOURCE,
    firing_event,
    firing_type,
    pause_event,
    stored_firing,
)
from tocsin_automations.live import CONTROL_TYPES, Live, Progress
from tocsin_automations.revising import Reviser
from tocsin_automations.store import Checkpoint, EngineStore, StoredFiring
from tocsin_events.arrival import event_of
from tocsin_events.bus import Bus, BusUnavailable, Delivered, PublishRefused
from tocsin_events.ending import run_together
from tocsin_events.identity import message_key, new_id
from tocsin_events.instant import SECOND, to_micros
from tocsin_events.lease import hold_lease
from tocsin_events.stream_state import lost_between, stored_message
from tocsin_events.streams import EVENT_SUBJECTS, EVENTS, tick_subject
from tocsin_events.view import EventView, InvalidEvent

CHECKPOINT_SECONDS: Final = 1.0
"""How long the engine works between two checkpoints, in seconds."""

_BATCH: Final = 500
_TICK_AGAIN_SECONDS: Final = 0.25
_BUS_AGAIN_SECONDS: Final = 0.5
_STOP_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class EngineService:
    """Evaluates the rules of one shard, for as long as it holds the shard's lease.

    ``clock`` gives the time in microseconds; it only says when to put a tick on the bus. With ``accept_gap`` it goes
    on where messages that it had not read are gone from the bus.
    """

    def __init__(
        self,
        bus: Bus,
        store: EngineStore,
        reviser: Reviser,
        *,
        clock: Callable[[], int],
        shard: str = "0",
        accept_gap: bool = False,
    ) -> None:
        self._bus = bus
        self._store = store
        self._reviser = reviser
        self._clock = clock
        self._shard = shard
        self._accept_gap = accept_gap
        self._ticks = tick_subject(shard)
        self._fence = 0
        self._stream_made = 0
        self._live: Live | None = None
        self._moved = asyncio.Event()
        self._unsaved: list[StoredFiring] = []
        self._saved = -1
        self._saving: asyncio.Task[None] | None = None

    @property
    def progress(self) -> Progress | None:
        """How far the engine has come; None while it waits for the shard or restores it."""
        return None if self._live is None else self._live.progress

    async def run(self) -> None:
        """Evaluate until cancelled.

        Raises:
            LeaseLost: another engine has the shard; run again to stand by.
            Fenced: likewise, noticed by the database.
            GapFound: messages that were not read yet are gone from the bus.

        """
        try:
            async with hold_lease(self._bus.js, f"engine-{self._shard}") as lease:
                self._fence, checkpoint = await self._store.claim(self._shard)
                state = await self._bus.state()
                self._stream_made = state.made
                live = self._live = await self._reviser.restore(checkpoint)
                self._saved, self._unsaved, self._saving = live.sequence, [], None
                lost = lost_between(live.sequence, state) if self._accept_gap else None
                if lost is not None:
                    _log.warning(
                        "messages were never evaluated; that is accepted", first=lost[0], last=lost[1]
                    )
                    live.sequence = lost[1]
                _log.info(
                    "engine started",
                    shard=self._shard,
                    sequence=live.sequence,
                    revision=live.configured.revision,
                )
                await run_together(_outlive(lease), self._keep_time(live), self._evaluate(live))
        finally:
            self._live = None

    async def _evaluate(self, live: Live) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + CHECKPOINT_SECONDS
        reading = self._bus.read(
            EVENTS,
            (EVENT_SUBJECTS, self._ticks),
            live.sequence + 1 if live.sequence else 0,
            batch=_BATCH,
            heartbeat=CHECKPOINT_SECONDS,
        )
        whole = True
        try:
            async with contextlib.aclosing(reading) as batches:  # type: ignore[type-var]
                async for batch in batches:
                    whole = False
                    await self._take(live, batch)
                    whole = True
                    if loop.time() >= due:
                        due = loop.time() + CHECKPOINT_SECONDS
                        await self._checkpoint(live)
        finally:
            await self._rest(live, whole=whole)

    async def _take(self, live: Live, batch: Sequence[Delivered]) -> None:
        """Evaluate a batch; when this returns, the bus has all of its firings."""
        firings: list[tuple[Firing, Automation]] = []
        pauses: list[tuple[str, str, bytes]] = []
        for delivered in batch:
            if delivered.subject == self._ticks:
                firings += live.tick(delivered.received, delivered.sequence)
                continue
            try:
                view = event_of(delivered)
            except InvalidEvent:
                live.pass_over(delivered.sequence)
                continue
            firings += live.take(view)
            if view.type in CONTROL_TYPES:
                # A fuse belongs to the rules under which it blew.
                pauses += _pauses(live)
                firings += await self._reviser.change(live, view)
        if firings:
            await self._publish(firings)
        await self._until_taken([*pauses, *_pauses(live)])
        live.caught_up = len(batch) < _BATCH
        self._moved.set()

    async def _publish(self, firings: Sequence[tuple[Firing, Automation]]) -> None:
        outgoing = []
        for firing, automation in firings:
            whole = firing.with_events(await self._fetch(firing.missing[-FULL_EVENTS - 1 :]))
            body = firing_event(whole, automation)
            outgoing.append((firing_type(firing), message_key(SOURCE, firing.id), body))
            self._unsaved.append(stored_firing(whole, body))
        await self._until_taken(outgoing)

    async def _until_taken(self, outgoing: list[tuple[str, str, bytes]]) -> None:
        while outgoing:
            try:
                await self._bus.publish_many(outgoing)
                return
            except BusUnavailable as problem:
                _log.warning("firings wait for the bus", count=len(outgoing), problem=str(problem))
                await asyncio.sleep(_BUS_AGAIN_SECONDS)
            except PublishRefused as problem:
                if len(outgoing) == 1:
                    # Only a rule whose actions alone are larger than an event can come here; the firing is kept in SQL.
                    _log.error(
                        "a firing is too large for the bus", firing=outgoing[0][1], problem=str(problem)
                    )
                    return
                for one in outgoing:
                    await self._until_taken([one])
                return

    async def _fetch(self, sequences: Sequence[int]) -> dict[int, EventView]:
        """Return the events of these sequences that the bus still has."""
        found = await asyncio.gather(*(self._fetch_one(sequence) for sequence in sequences))
        return {view.sequence: view for view in found if view is not None}

    async def _fetch_one(self, sequence: int) -> EventView | None:
        while True:
            try:
                found = await stored_message(self._bus.js, EVENTS, sequence)
            except BusUnavailable:
                await asyncio.sleep(_BUS_AGAIN_SECONDS)
                continue
            if found is None or found.time is None:
                return None
            with contextlib.suppress(InvalidEvent):
                return EventView.decode(found.data or b"", received=to_micros(found.time), sequence=sequence)
            return None

    # -- checkpoints -----------------------------------------------------------------------------------------------

    async def _checkpoint(self, live: Live) -> None:
        """Write what changed since the last checkpoint, in the background; one at a time."""
        await self._saved_all()
        if live.sequence == self._saved:
            return
        changes = live.state.take_changes()
        checkpoint = Checkpoint(
            sequence=live.sequence,
            clock=live.clock,
            revision=live.configured.revision,
            paused=live.configured.paused,
            header=changes.header,
            entries=changes.entries,
        )
        firings, self._unsaved = self._unsaved, []
        commit = self._store.commit(
            self._shard,
            self._fence,
            checkpoint,
            firings=firings,
            counters=live.state.take_counters(),
            updated=self._clock(),
            stream_made=self._stream_made,
        )
        self._saved = live.sequence
        self._saving = asyncio.create_task(commit, name="engine checkpoint")

    async def _rest(self, live: Live, *, whole: bool) -> None:
        """End the writing, with a last checkpoint that spares the next start the replay.

        Within a batch (not ``whole``) there is none: the sequence is ahead of what was published and changed. Where it
        fails, the replay does no harm.
        """
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_STOP_SECONDS):
                if whole:
                    await self._checkpoint(live)
                await self._saved_all()

    async def _saved_all(self) -> None:
        saving, self._saving = self._saving, None
        if saving is not None:
            await saving

    # -- time ------------------------------------------------------------------------------------------------------

    async def _keep_time(self, live: Live) -> None:
        """Put a tick on the bus whenever a timer is due and no event has moved the clock past it."""
        while True:
            self._moved.clear()
            due = live.progress.next_due
            wait = None if due is None or not live.caught_up else (due - self._clock()) / SECOND
            if wait is not None and wait <= 0:
                await self._tick()
                wait = _TICK_AGAIN_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._moved.wait()

    async def _tick(self) -> None:
        try:
            await self._bus.publish_to(self._ticks, b"", key=f"tick {new_id()}")
        except BusUnavailable:
            _log.debug("a tick waits for the bus", shard=self._shard)


async def _outlive(lease: asyncio.Task[None]) -> None:
    await asyncio.shield(lease)


def _pauses(live: Live) -> list[tuple[str, str, bytes]]:
    """Return the events that pause the automations whose fuses have blown since the last time."""
    return [pause_event(blown, live.rules.automation(blown.automation)) for blown in live.take_blown_fuses()]
