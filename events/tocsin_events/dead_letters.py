"""The dead letters: what could not be processed, kept with its reason until somebody looks at it.

A letter is announced by an event, `dead-letter.created`. The announcement is owed by the row itself, so that neither a
crash nor a bus that is down can swallow it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tocsin_events.bus import Bus, DeadWork
from tocsin_events.envelope import encode_event
from tocsin_events.identity import derived_id, message_key
from tocsin_events.tables import DEAD_LETTER_TABLE
from tocsin_events.upsert import insert_into

SOURCE: Final = "/server/dead-letters"
_LONGEST_REASON: Final = 2_000
_MESSAGE_ID: Final = "Nats-Msg-Id"
_letters = DEAD_LETTER_TABLE.c


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up: where it was, why, and all that it carried; instants in microseconds."""

    id: str
    created: int
    stream: str
    subject: str
    reason: str
    attempts: int
    headers: Mapping[str, str]
    payload: bytes
    replayed: int | None = None


class DeadLetters:
    """The table of dead letters in one database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(
        self,
        reason: str,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        at: int,
        stream: str = "",
        attempts: int = 1,
        key: object = None,
    ) -> str:
        """Keep a message that can't be processed and return the letter's id.

        ``at`` is now, in microseconds. ``key`` names the message, so that one that is given up twice is kept once;
        without it the letter's own content does.
        """
        letter = dead_letter(
            reason, subject, payload, headers, at=at, stream=stream, attempts=attempts, key=key
        )
        async with self._engine.begin() as connection:
            await keep(connection, [letter])
        return letter.id

    async def bury(self, dead: DeadWork, *, at: int) -> str:
        """Keep what a work queue gave up; the form that `Bus.consume` wants for ``on_dead`` is a closure over it."""
        work = dead.work
        return await self.add(
            dead.reason,
            work.subject,
            work.body,
            work.headers,
            at=at,
            stream=work.stream,
            attempts=work.attempt,
            key=(work.sequence, work.received),
        )

    async def ls(self, *, limit: int = 100, before: tuple[int, str] | None = None) -> list[DeadLetter]:
        """Return the newest letters that come after ``before`` (when that one was made, and its id)."""
        wanted = select(DEAD_LETTER_TABLE).order_by(_letters.created.desc(), _letters.id.desc()).limit(limit)
        if before is not None:
            at, id_ = before
            wanted = wanted.where((_letters.created < at) | ((_letters.created == at) & (_letters.id < id_)))
        async with self._engine.connect() as connection:
            return [_letter(row) for row in await connection.execute(wanted)]

    async def show(self, id_: str) -> DeadLetter | None:
        """Return a letter."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(DEAD_LETTER_TABLE).where(_letters.id == id_))).first()
        return None if row is None else _letter(row)

    async def drop(self, id_: str, bus: Bus, *, at: int) -> bool:
        """Remove a letter for good, and tell of it; False if there is none. ``at`` is now, in microseconds.

        Raises:
            BusUnavailable: the bus did not take the event; the letter is still there.

        """
        letter = await self.show(id_)
        if letter is None:
            return False
        # Told first: once the row is gone, nothing remembers that it has to be.
        await bus.publish_many([_event("dropped", letter, at, derived_id("dead-letter.dropped", id_))])
        async with self._engine.begin() as connection:
            done = await connection.execute(delete(DEAD_LETTER_TABLE).where(_letters.id == id_))
        return done.rowcount > 0

    async def replay(self, id_: str, bus: Bus, *, at: int) -> bool:
        """Put a letter's message back where it came from, and tell of it; False if there is no such letter.

        The letter stays, marked with when it was replayed. ``at`` is now, in microseconds.

        Raises:
            BusUnavailable: the bus did not take it; nothing changed.

        """
        letter = await self.show(id_)
        if letter is None:
            return False
        headers = {name: text for name, text in letter.headers.items() if not name.startswith("Nats-")}
        # A key of its own: under its old one the bus would take it for the one it had.
        await bus.publish_to(letter.subject, letter.payload, key=f"replayed {id_} {at}", headers=headers)
        await bus.publish_many([_event("replayed", letter, at, derived_id("dead-letter.replayed", id_, at))])
        async with self._engine.begin() as connection:
            await connection.execute(update(DEAD_LETTER_TABLE).where(_letters.id == id_).values(replayed=at))
        return True

    async def announce(self, bus: Bus, *, limit: int = 100) -> int:
        """Publish `dead-letter.created` for the letters that still owe it; return for how many.

        Raises:
            BusUnavailable: the bus did not take the events; they are owed on.

        """
        wanted = select(DEAD_LETTER_TABLE).where(_letters.announced.is_(False)).limit(limit)
        async with self._engine.connect() as connection:
            letters = [_letter(row) for row in await connection.execute(wanted)]
        if not letters:
            return 0
        await bus.publish_many(
            [
                _event("created", one, one.created, derived_id("dead-letter.created", one.id))
                for one in letters
            ]
        )
        async with self._engine.begin() as connection:
            await connection.execute(
                update(DEAD_LETTER_TABLE)
                .where(_letters.id.in_([one.id for one in letters]))
                .values(announced=True)
            )
        return len(letters)


def dead_letter(
    reason: str,
    subject: str,
    payload: bytes,
    headers: Mapping[str, str] | None = None,
    *,
    at: int,
    stream: str = "",
    attempts: int = 1,
    key: object = None,
) -> DeadLetter:
    """Return the letter for a message; see `DeadLetters.add`."""
    name = [stream, subject, key if key is not None else [at, reason, payload.hex()]]
    return DeadLetter(
        id=derived_id("dead-letter", *name),
        created=at,
        stream=stream,
        subject=_plain(subject),
        reason=_plain(reason)[:_LONGEST_REASON],
        attempts=attempts,
        headers=dict(headers or {}),
        payload=payload,
    )


async def keep(connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
    """Keep letters in the transaction of something else; one that is there already is left as it is."""
    if letters:
        await connection.execute(
            insert_into(connection, DEAD_LETTER_TABLE).on_conflict_do_nothing(),
            [
                {
                    "id": one.id,
                    "created": one.created,
                    "stream": one.stream,
                    "subject": one.subject,
                    "reason": one.reason,
                    "attempts": one.attempts,
                    "headers": json.dumps(dict(one.headers)),
                    "payload": one.payload,
                    "announced": False,
                }
                for one in letters
            ],
        )


def _letter(row: Row[Any]) -> DeadLetter:
    return DeadLetter(
        row.id, row.created, row.stream, row.subject, row.reason, row.attempts,
        json.loads(row.headers), row.payload, row.replayed,
    )  # fmt: skip


_SAID: Final[Mapping[str, str]] = {
    "created": "A message on {subject} could not be processed: {reason}",
    "replayed": "A message on {subject} was sent again; it had failed before: {reason}",
    "dropped": "A message on {subject} was removed for good; it had failed: {reason}",
}


def _event(step: str, letter: DeadLetter, at: int, id_: str) -> tuple[str, str, bytes]:
    type_ = f"dead-letter.{step}"
    body = encode_event(
        id=id_,
        type=type_,
        source=SOURCE,
        time=at,
        resource={
            "kind": "dead-letter",
            "id": letter.id,
            "name": letter.subject[:200],
            "labels": {},
            "tags": [],
        },
        payload={
            "reason": letter.reason,
            "stream": letter.stream,
            "subject": letter.subject,
            "attempts": letter.attempts,
            "bytes": len(letter.payload),
            "message": _SAID[step].format(subject=letter.subject, reason=letter.reason),
        },
    )
    return type_, message_key(SOURCE, id_), body


def _plain(text: str) -> str:
    """Return a text that every database takes."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
