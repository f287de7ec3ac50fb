"""The recorder: reads the bus in order and writes the log.

Reading goes on while a batch is written, so that a batch holds what came meanwhile: one event when it is quiet, many
hundreds in a burst. How far it has come is written in the transaction of the batch; after a crash it goes on from there,
and what it has already is not kept twice.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

from tocsin_events.arrival import event_of
from tocsin_events.bus import Bus, BusUnavailable, Delivered, GapFound, StreamState
from tocsin_events.dead_letters import DeadLetter, DeadLetters, dead_letter
from tocsin_events.ending import run_together
from tocsin_events.store import EventStore, Position, Recorded
from tocsin_events.stream_state import lost_between
from tocsin_events.streams import EVENTS, event_subject
from tocsin_events.view import InvalidEvent

_log = logging.getLogger(__name__)

_FULL: Final = 1_000
_AT_ONCE: Final = 100
"""How many messages are decoded before others, the database's thread above all, are given an ear."""
_ENOUGH: Final = 200
_GATHERING: Final = 0.02
_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
_ANNOUNCE_SECONDS: Final = 1.0


@dataclass(slots=True)
class _Batch:
    """What is written together: events and letters, made of the messages up to ``last``."""

    events: list[Recorded] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    last: int = 0

    def __len__(self) -> int:
        return len(self.events) + len(self.letters)

    def add(self, message: Delivered) -> None:
        """Put a message to those before it."""
        try:
            self.events.append(Recorded(event_of(message), message.body))
        except InvalidEvent as problem:
            self.letters.append(_letter_of_message(message, str(problem)))
        self.last = message.sequence


class Recorder:
    """Writes every event of the bus into the log, in order, each once, and what is no event into the dead letters.

    With ``accept_gap`` it goes on where messages that it had not recorded are gone from the bus.
    """

    def __init__(self, bus: Bus, store: EventStore, *, accept_gap: bool = False) -> None:
        self._bus, self._store = bus, store
        self._accept_gap = accept_gap
        self._letters = DeadLetters(store.engine)
        self._waiting = _Batch()
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._owed = asyncio.Event()
        self.recorded = 0
        """How many events this recorder has written."""
        self.dead = 0
        """How many messages it has put into the dead letters."""
        self.position = 0
        """The last sequence that is in the log."""

    async def run(self) -> None:
        """Record until cancelled. Outages of the bus and of the database end by themselves.

        Raises:
            GapFound: messages that were never recorded are gone from the bus, or the bus is not the one that was
                recorded from; the message says what to do.

        """
        start, made = await self._begin()
        self._owed.set()
        await run_together(self._read(start), self._write(made), self._announce())

    # -- where to begin --------------------------------------------------------------------------------------------

    async def _begin(self) -> tuple[int, int]:
        """Return the first sequence to be read, and when the stream was made."""
        while True:
            try:
                state = await self._bus.state()
                return await self._place(state), state.made
            except (BusUnavailable, DBAPIError, OSError, TimeoutError) as problem:
                _log.warning("the recorder waits for the bus and the database: %s", _short(problem))
                await asyncio.sleep(_FIRST_DELAY * 5)

    async def _place(self, state: StreamState) -> int:
        position = await self._store.position()
        if position is None:
            return 0
        self.position = position.sequence
        if position.stream_made != state.made and state.first <= position.sequence:
            raise GapFound(
                f"the stream {EVENTS} was made anew, and numbers events from {state.first} on although the log has "
                f"numbers up to {position.sequence}: restore the bus's old data; or stop all services, save what the "
                f"stream holds, remove it (nats stream rm {EVENTS}) and start again, so that it begins behind the log"
            )
        await self._check_same(state)
        lost = lost_between(position.sequence, state)
        if lost is None or not self._accept_gap:
            return position.sequence + 1
        _log.warning("messages %d to %d of the bus were never recorded; that is accepted", *lost)
        await self._store.append([], Position(lost[1], state.made))
        self.position = lost[1]
        return lost[1] + 1

    async def _check_same(self, state: StreamState) -> None:
        """Make sure that the bus has the log's last event under its number: a copy put back may have others."""
        last = await self._store.last()
        if last is None or not state.first <= last.sequence <= state.last:
            return
        message = await self._bus.message(last.sequence)
        if message is not None and message != last.body:
            raise GapFound(
                f"the bus has another event than the log under the number {last.sequence}: its data was replaced or put "
                "back from a copy. Restore the newer data of the bus, or begin a new log with another database"
            )

    # -- reading and writing ---------------------------------------------------------------------------------------

    async def _read(self, start: int) -> None:
        async for messages in self._bus.read_events(start, heartbeat=5.0):
            for first in range(0, len(messages), _AT_ONCE):
                for message in messages[first : first + _AT_ONCE]:
                    self._waiting.add(message)
                self._more.set()
                await asyncio.sleep(0)
            while len(self._waiting) >= _FULL:
                self._room.clear()
                await self._room.wait()

    async def _write(self, stream_made: int) -> None:
        async for batch in self._batches():
            await self._keep(batch.events, batch.letters, Position(batch.last, stream_made))
            self.position = batch.last

    async def _batches(self) -> AsyncIterator[_Batch]:
        while True:
            if not self._waiting:
                self._more.clear()
                await self._more.wait()
            if len(self._waiting) < _ENOUGH:
                await asyncio.sleep(_GATHERING)
            batch, self._waiting = self._waiting, _Batch()
            self._room.set()
            yield batch

    async def _keep(self, events: list[Recorded], letters: list[DeadLetter], position: Position) -> None:
        delay = _FIRST_DELAY
        while True:
            try:
                self.recorded += await self._store.append(events, position, letters=letters, at=_now())
                self.dead += len(letters)
                if letters:
                    self._owed.set()
                return
            except (SQLAlchemyError, OSError, TimeoutError, ValueError, OverflowError) as problem:
                if _is_about_content(problem):
                    _log.error(
                        "the database refuses an event; looking for it one by one: %s", _short(problem)
                    )
                    events, found = await self._sift(events)
                    letters = [*letters, *found]
                    continue
                _log.warning("the log can't be written, trying again in %.1f s: %s", delay, _short(problem))
                await asyncio.sleep(delay)
                delay = min(delay * 2, _LONGEST_DELAY)

    async def _sift(self, events: Sequence[Recorded]) -> tuple[list[Recorded], list[DeadLetter]]:
        """Write events one by one; return none of them and a letter for each that the database refuses."""
        letters = []
        for one in events:
            try:
                self.recorded += await self._store.append([one])
            except (SQLAlchemyError, ValueError, OverflowError) as problem:
                if not _is_about_content(problem):
                    return list(events), []
                letters.append(_letter_of_event(one, problem))
        return [], letters

    async def _announce(self) -> None:
        while True:
            await self._owed.wait()
            self._owed.clear()
            try:
                while await self._letters.announce(self._bus):
                    pass
            except (BusUnavailable, SQLAlchemyError, OSError) as problem:
                _log.warning("dead letters can't be announced yet: %s", _short(problem))
                await asyncio.sleep(_ANNOUNCE_SECONDS)
                self._owed.set()


def _letter_of_message(message: Delivered, reason: str) -> DeadLetter:
    return dead_letter(
        f"it is no event: {reason}",
        message.subject,
        message.body,
        message.headers,
        at=message.received,
        stream=EVENTS,
        key=(message.sequence, message.received),
    )


def _letter_of_event(one: Recorded, problem: Exception) -> DeadLetter:
    view = one.view
    return dead_letter(
        f"the database refuses it: {_short(problem)}",
        event_subject(view.type),
        one.body,
        at=view.received,
        stream=EVENTS,
        key=(view.sequence, view.received),
    )


def _is_about_content(problem: Exception) -> bool:
    """Tell whether a database refuses what was to be written, rather than being away."""
    if isinstance(problem, DataError | IntegrityError | UnicodeError | ValueError | OverflowError):
        return True
    if isinstance(problem, DBAPIError):
        # SQLSTATE classes 22 (data exception), 23 (constraint) and 54 (program limit), PostgreSQL's appendix A.
        return str(getattr(problem.orig, "sqlstate", None) or "")[:2] in ("22", "23", "54")
    return isinstance(problem, StatementError) and isinstance(
        problem.orig, ValueError | OverflowError | TypeError
    )


def _short(problem: Exception) -> str:
    """Return an error without the statement and its parameters, which hold the data."""
    inner = problem.orig if isinstance(problem, StatementError) and problem.orig is not None else problem
    return f"{type(inner).__name__}: {str(inner)[:500]}"


def _now() -> int:
    return time.time_ns() // 1000
