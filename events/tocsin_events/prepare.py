"""Making the streams on a NATS server, or bringing them up to date."""

import logging
from typing import Final

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from tocsin_events.instant import SECOND
from tocsin_events.publish import BusUnavailable
from tocsin_events.streams import DUPLICATE_WINDOW, EVENTS, Stream, StreamLimits, streams

_log = logging.getLogger(__name__)

_NO_ROOM: Final = frozenset({10023, 10028, 10047, 10110, 10111})
_SUBJECTS_OVERLAP: Final = 10065
_MIB: Final = 1024**2
_LEAST_BYTES: Final = 16 * _MIB


class BusNotUsable(RuntimeError):  # noqa: N818 - it names the state
    """The NATS server can't carry our streams; the message says why and what to do."""


async def prepare_streams(js: JetStreamContext, limits: StreamLimits, *, after: int) -> None:
    """Make or update all streams; a new `EVENTS` starts behind sequence ``after``.

    Raises:
        BusNotUsable: the server has no JetStream, no room, or streams of its own in our way.
        BusUnavailable: the connection is gone.

    """
    try:
        await js.account_info()
        await _prepare_what_fits(js, limits, after + 1 if after else None)
    except (ServiceUnavailableError, nats.errors.NoRespondersError) as problem:
        raise BusNotUsable(
            "the NATS server has no JetStream for us: start it with -js (or a jetstream block in its configuration), "
            "or leave TOCSIN_NATS_URL out to use the embedded one"
        ) from problem
    except APIError as problem:
        if problem.err_code == 10039:
            raise BusNotUsable(
                "JetStream is not enabled for this account of the NATS server: enable it, or use another user"
            ) from problem
        raise BusNotUsable(f"the NATS server refuses our streams: {problem.description}") from problem
    except (nats.errors.Error, OSError) as problem:
        raise BusUnavailable(
            f"the bus did not answer while its streams were prepared: {problem}"
        ) from problem


async def _prepare_what_fits(js: JetStreamContext, limits: StreamLimits, first: int | None) -> None:
    """Make or update all streams, all with half as much room, and half again, where the server's disk has less."""
    share = 1
    while True:
        try:
            for stream in streams(limits):
                await _prepare(js, stream, share, first if stream.name == EVENTS else None)
        except APIError as problem:
            if problem.err_code not in _NO_ROOM:
                raise
            share *= 2
            if limits.events_bytes // share < _LEAST_BYTES:
                raise BusNotUsable(
                    f"the NATS server has no room for our streams ({problem.description}): free some of its disk"
                ) from problem
        else:
            break
    if share > 1:
        _log.warning(
            "the bus's disk has no room for %d MiB of %s: its streams get one part in %d of that, and refuse what is "
            "more. Free some of its disk, or give events.max_bytes",
            limits.events_bytes // _MIB, EVENTS, share,
        )  # fmt: skip


async def _prepare(js: JetStreamContext, stream: Stream, share: int, first: int | None) -> None:
    wanted = _config(stream, max(stream.max_bytes // share, min(stream.max_bytes, _MIB)))
    try:
        info = await js.stream_info(stream.name)
    except NotFoundError:
        await _make(js, wanted.evolve(first_seq=first))
        return
    current = info.config
    if current.retention != wanted.retention or current.storage != wanted.storage:
        raise BusNotUsable(
            f"the NATS server has a stream {stream.name} of another kind: remove it (nats stream rm {stream.name}), "
            "or give Tocsin an account of its own"
        )
    if share > 1 and info.state.bytes > (wanted.max_bytes or 0):
        # What is kept is not thrown away because the disk has become small.
        wanted = wanted.evolve(max_bytes=current.max_bytes)
    changed = {
        name: getattr(wanted, name)
        for name in (
            "subjects", "max_bytes", "max_age", "discard", "duplicate_window", "num_replicas", "description",
        )
        if getattr(wanted, name) != getattr(current, name)
    }  # fmt: skip
    if changed:
        await js.update_stream(current.evolve(**changed))


async def _make(js: JetStreamContext, config: StreamConfig) -> None:
    try:
        await js.add_stream(config)
    except APIError as problem:
        if problem.err_code == _SUBJECTS_OVERLAP:
            raise BusNotUsable(
                f"another stream of the NATS server already takes {config.subjects}: remove it, "
                "or give Tocsin an account of its own"
            ) from problem
        raise


def _config(stream: Stream, max_bytes: int) -> StreamConfig:
    return StreamConfig(
        name=stream.name,
        description=stream.description,
        subjects=list(stream.subjects),
        retention=RetentionPolicy.WORK_QUEUE if stream.kind == "queue" else RetentionPolicy.LIMITS,
        # A log or a queue that is full refuses what is new; only a ring forgets what is old.
        discard=DiscardPolicy.OLD if stream.kind == "ring" else DiscardPolicy.NEW,
        storage=StorageType.FILE,
        max_bytes=max_bytes,
        max_age=stream.max_age / SECOND,
        duplicate_window=DUPLICATE_WINDOW / SECOND,
        num_replicas=stream.replicas,
        allow_direct=True,
    )
