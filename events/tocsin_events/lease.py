"""Leases: at most one holder of a name at a time, kept in NATS's key-value store.

A holder renews its lease every third of its life; when it dies, the bus forgets the lease and a standby takes it. A
lease alone can't stop a holder that was frozen and wakes up late: whatever it writes must be fenced where it is
written as well. Leases live in memory: a bus that restarts has forgotten them, and so has nobody to wait for.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import APIError, BucketNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from tocsin_events.ending import end
from tocsin_events.identity import new_id

LIFE_SECONDS = 9.0
"""How long a lease lives without being renewed, in seconds."""

_BUCKET = "tocsin-leases"


class LeaseLost(RuntimeError):  # noqa: N818 - it names what happened
    """The lease has passed to someone else, or could not be renewed in time."""


@contextlib.asynccontextmanager
async def hold_lease(
    js: JetStreamContext, name: str, *, life: float = LIFE_SECONDS
) -> AsyncIterator[asyncio.Task[None]]:
    """Wait until the lease is ours, and hold it while the block runs.

    Gives a task that ends with `LeaseLost` when the lease is lost: wait for it beside the work. On leaving, the lease
    is given back at once.
    """
    bucket = await _bucket(js, life)
    holder = new_id().encode()
    revision = await _acquire(bucket, name, holder, life)
    renewal = asyncio.create_task(_renew(bucket, name, holder, revision, life), name=f"lease {name}")
    try:
        yield renewal
    finally:
        await end(renewal)
        with contextlib.suppress(APIError, nats.errors.Error, TimeoutError):
            entry = await bucket.get(name)
            if entry.value == holder:
                await bucket.delete(name, last=entry.revision)


async def _bucket(js: JetStreamContext, life: float) -> KeyValue:
    try:
        return await js.key_value(_BUCKET)
    except BucketNotFoundError:
        return await js.create_key_value(
            KeyValueConfig(bucket=_BUCKET, history=1, ttl=life, storage=StorageType.MEMORY)
        )


async def _acquire(bucket: KeyValue, name: str, holder: bytes, life: float) -> int:
    while True:
        try:
            return await bucket.create(name, holder)
        except (APIError, nats.errors.Error, TimeoutError):
            # Somebody holds it, or the bus is away: who stands by waits for either to change.
            await asyncio.sleep(life / 9)


async def _renew(bucket: KeyValue, name: str, holder: bytes, revision: int, life: float) -> None:
    loop = asyncio.get_running_loop()
    renewed = loop.time()
    while True:
        await asyncio.sleep(life / 3)
        try:
            revision = await bucket.update(name, holder, last=revision)
            renewed = loop.time()
        except KeyWrongLastSequenceError as problem:
            raise LeaseLost(f"the lease {name} has passed to another holder") from problem
        except (APIError, nats.errors.Error, TimeoutError) as problem:
            if loop.time() - renewed > life * 0.9:
                raise LeaseLost(f"the lease {name} could not be renewed for {life:g} s") from problem
