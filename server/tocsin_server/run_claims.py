"""Who executes a run: claims in NATS's key-value store, so that no run is ever executed twice at the same time.

The bus hands a run to one worker at a time, but it can hand it out again: after a worker's death, or when the order
was published twice. So a worker claims the run before it starts, renews the claim while the run lasts, and kills the
run when it can't renew. A claim that nobody renews is abandoned, and may be taken over by whoever is handed the run.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import nats.errors
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import APIError, BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from tocsin_events.bus import Bus, BusUnavailable
from tocsin_events.nats_accounts import CLAIMS_BUCKET
from tocsin_server.outgoing import Message

_KEPT_SECONDS: Final = 30 * 86_400.0

_WISH: Final = b"1"

BUS_TROUBLE: Final = (APIError, nats.errors.Error, TimeoutError, OSError)
"""What a call to the bus raises while it can't be reached."""


class _Record(msgspec.Struct, frozen=True):
    worker: str
    attempt: int
    ended: bool = False
    beat: int = 0


@dataclass(frozen=True)
class Claim:
    """A claim on one attempt to execute a run, and its revision."""

    run_id: str
    worker: str
    attempt: int
    revision: int
    beat: int = 0


class AlreadyEnded(Exception):  # noqa: N818 - it names what was found
    """The run has been executed."""


class HeldByOther(Exception):  # noqa: N818 - it names what was found
    """Another worker holds the claim; ``claim`` is what was read."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(f"{claim.worker} executes run {claim.run_id}")
        self.claim = claim


class ClaimLost(Exception):  # noqa: N818 - it names what happened
    """The claim has passed to another worker."""


class RunClaims:
    """The claims on runs, and the wishes to cancel them."""

    def __init__(self, bucket: KeyValue) -> None:
        self._bucket = bucket

    @classmethod
    async def open(cls, js: JetStreamContext, *, replicas: int = 1) -> "RunClaims":
        """Return the claims that the bus keeps; they outlive its restart."""
        try:
            return cls(await js.key_value(CLAIMS_BUCKET))
        except BucketNotFoundError:
            config = KeyValueConfig(
                bucket=CLAIMS_BUCKET,
                history=1,
                ttl=_KEPT_SECONDS,
                storage=StorageType.FILE,
                replicas=replicas,
            )
            return cls(await js.create_key_value(config))

    async def claim(self, run_id: str, attempt: int, worker: str) -> Claim:
        """Claim a run that nobody has claimed.

        Raises:
            AlreadyEnded: it has been executed.
            HeldByOther: somebody has claimed it, this worker included.

        """
        record = _Record(worker, attempt)
        try:
            revision = await self._bucket.create(f"claim.{run_id}", msgspec.json.encode(record))
        except KeyWrongLastSequenceError:
            held = await self.look(run_id)
            if held is None:
                raise AlreadyEnded(run_id) from None
            raise HeldByOther(held) from None
        return Claim(run_id, worker, attempt, revision)

    async def look(self, run_id: str) -> Claim | None:
        """Return the claim on a run, None where nobody holds one."""
        try:
            entry = await self._bucket.get(f"claim.{run_id}")
        except KeyNotFoundError:
            return None
        record = msgspec.json.decode(entry.value or b"", type=_Record)
        if record.ended:
            return None
        return Claim(run_id, record.worker, record.attempt, entry.revision or 0, record.beat)

    async def is_abandoned(self, claim: Claim, *, lease: float) -> bool:
        """Watch a claim for ``lease`` seconds and tell whether nobody has renewed it; no clocks are compared."""
        if not claim.worker:
            return True
        await asyncio.sleep(lease)
        now = await self.look(claim.run_id)
        return now is not None and now.revision == claim.revision

    async def take_over(self, abandoned: Claim, attempt: int, worker: str) -> Claim:
        """Claim a run whose claim was abandoned.

        Raises:
            ClaimLost: somebody was quicker, or its holder is alive.

        """
        return await self._write(abandoned, _Record(worker, attempt))

    async def renew(self, claim: Claim) -> Claim:
        """Say that the run is still being executed.

        Raises:
            ClaimLost: it has passed to another worker.

        """
        return await self._write(claim, _Record(claim.worker, claim.attempt, beat=claim.beat + 1))

    async def release(self, claim: Claim) -> None:
        """Give a claim up, so that the next worker need not wait whether it is renewed.

        Raises:
            ClaimLost: it has passed to another worker.

        """
        await self._write(claim, _Record("", claim.attempt))

    async def end(self, claim: Claim) -> None:
        """Say that the run is over, for good.

        Raises:
            ClaimLost: it has passed to another worker.

        """
        await self._write(claim, _Record(claim.worker, claim.attempt, ended=True))

    async def ask_for_end(self, run_id: str) -> None:
        """Ask for a run's end; whoever executes it, or is handed it later, finds this."""
        await self._bucket.put(_wish(run_id), _WISH)

    async def is_cancelled(self, run_id: str) -> bool:
        """Tell whether somebody asked for the run's end."""
        try:
            await self._bucket.get(_wish(run_id))
        except KeyNotFoundError:
            return False
        return True

    async def _write(self, before: Claim, record: _Record) -> Claim:
        key = f"claim.{before.run_id}"
        try:
            revision = await self._bucket.update(key, msgspec.json.encode(record), last=before.revision)
        except KeyWrongLastSequenceError:
            revision = await self._own_revision(before)
            if revision == before.revision:
                raise ClaimLost(before.run_id) from None
            return await self._write(replace(before, revision=revision), record)
        return Claim(before.run_id, record.worker, record.attempt, revision, record.beat)

    async def _own_revision(self, claim: Claim) -> int:
        """Return the newest revision of a claim of ours: a renewal may have arrived though its answer did not."""
        now = await self.look(claim.run_id)
        if now is None or (now.worker, now.attempt) != (claim.worker, claim.attempt):
            return claim.revision
        return now.revision


class Cancellations:
    """The server's side of cancelling: it asks, and the worker that has the run finds the wish."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def ask(self, run_id: str) -> None:
        """Ask whoever executes a run, or will, to end it.

        Raises:
            BusUnavailable: the wish could not be kept.

        """
        try:
            claims = await RunClaims.open(self._bus.js)
            await claims.ask_for_end(run_id)
        except BUS_TROUBLE as problem:
            raise BusUnavailable(f"the run can't be cancelled now: {problem}") from problem

    async def prepare(self) -> None:
        """Make sure that the bus can keep wishes, before one is staged with `wish`.

        Raises:
            BusUnavailable: it can't now.

        """
        try:
            await RunClaims.open(self._bus.js)
        except BUS_TROUBLE as problem:
            raise BusUnavailable(f"no run can be cancelled now: {problem}") from problem

    def wish(self, run_id: str) -> Message:
        """Return the message by which the bus keeps what `ask` asks for: for a transaction's outgoing messages."""
        return Message(f"$KV.{CLAIMS_BUCKET}.{_wish(run_id)}", f"cancel {run_id}", _WISH)


def _wish(run_id: str) -> str:
    return f"cancel.{run_id}"
