"""Where a process's events come from: one emitter a process, over its outbox and its publisher.

`emit` is for flow authors; the runs use `Emitter.send` for their state events. Emitting writes the event into the
outbox file (a few µs) and wakes the publisher's thread; the network is never waited for, and trouble with disk,
server or network never reaches the caller.
"""

import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tocsin import redaction
from tocsin.links import LogRecord
from tocsin.outbox import DEFAULT_MAX_BYTES, Outbox, default_directory
from tocsin.plain import plain
from tocsin.publisher import Publisher
from tocsin_events.envelope import MAX_EVENT_BYTES, encode_event
from tocsin_events.identity import new_id

_FLUSH_SECONDS = 2.0
_log = logging.getLogger("tocsin.outbox")


class Carrier(Protocol):
    """What takes encoded events further."""

    def keep(self, body: bytes) -> None:
        """Take an event; never raises, never waits for the network."""

    def log(self, record: LogRecord) -> None:
        """Take a log line of a run; it may be dropped."""

    def flush(self, timeout: float) -> bool:
        """Wait (seconds) until the bus has everything; False if it has not, or there is no server."""

    def close(self, timeout: float) -> None:
        """Flush, and leave the rest to the next process."""

    def forget(self) -> None:
        """Let go of everything in a child process, whose parent goes on."""


class OutboxCarrier:
    """Keeps events in an outbox, from where a thread publishes them."""

    def __init__(self, outbox: Outbox, publisher: Publisher) -> None:
        self._outbox = outbox
        self._publisher = publisher

    def keep(self, body: bytes) -> None:
        """Write an event into the outbox and wake the publisher."""
        if self._outbox.append(body):
            self._publisher.wake()

    def log(self, record: LogRecord) -> None:
        """Queue a log line."""
        self._publisher.log(record)

    def flush(self, timeout: float) -> bool:
        """Wait (seconds) until the bus has everything; False if it has not, or there is no server."""
        return self._publisher.flush(timeout)

    def close(self, timeout: float) -> None:
        """Flush, and leave the rest to the next process."""
        self._publisher.stop(timeout)
        self._outbox.close()

    def forget(self) -> None:
        """Let go of the parent's files."""
        self._outbox.forget()


class Emitter:
    """Encodes events and hands them to a carrier. `send` never raises because of disk or network."""

    def __init__(self, carrier: Carrier, source: str) -> None:
        self.carrier = carrier
        self.source = source

    def send(
        self,
        type: str,  # noqa: A002 - the event's own word
        *,
        resource: Mapping[str, Any] | None = None,
        related: Sequence[Mapping[str, Any]] = (),
        payload: Any = None,
        time: int,
        follows: str | None = None,
        cause: str | None = None,
        hops: int = 0,
        traceparent: str | None = None,
    ) -> str:
        """Keep an event and return its id. ``time`` is in microseconds since the epoch."""
        id_ = new_id()
        if redaction.is_needed():
            # Made plain first, so that no secret hides in an object that JSON gets its own way.
            payload = redaction.redact(plain(payload))

        def encode(payload: Any, resource: Any = resource, related: Any = related) -> bytes:
            return encode_event(
                id=id_, type=type, source=self.source, time=time, resource=resource, related=related,
                payload=payload, follows=follows, cause=cause, hops=hops, traceparent=traceparent,
            )  # fmt: skip

        try:
            body = encode(payload)
        except (TypeError, ValueError, RecursionError):
            resource, related = plain(resource), plain(related)
            body = encode(plain(payload), resource, related)
        if len(body) > MAX_EVENT_BYTES:
            _log.warning(
                "the event %s has %d bytes, %d are allowed: it goes without its data; put large data elsewhere and a"
                " link into the event", type, len(body), MAX_EVENT_BYTES,
            )  # fmt: skip
            body = encode({"truncated": True, "size": len(body)}, resource, related)
        self.carrier.keep(body)
        return id_


class _Process:
    """The process's one emitter: made with the first event, made anew in a forked child, closed at exit."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own: Emitter | None = None
        self.override: Emitter | None = None

    def current(self) -> Emitter:
        return self.override or self._own or self._make()

    def _make(self) -> Emitter:
        with self._lock:
            if self._own is None:
                self._own = open_emitter()
            return self._own

    def close(self) -> None:
        emitter, self._own = self._own, None
        if emitter is not None:
            emitter.carrier.close(_flush_seconds())

    def after_fork(self) -> None:
        self._lock = threading.Lock()
        emitter, self._own = self._own, None
        if emitter is not None:
            emitter.carrier.forget()


# A process has one outbox, as it has one stderr: flows and tasks reach it from anywhere, also from threads.
_process = _Process()
atexit.register(_process.close)
os.register_at_fork(after_in_child=_process.after_fork)


def current() -> Emitter:
    """Return the emitter of this process."""
    return _process.current()


def replace(emitter: Emitter | None) -> Emitter | None:
    """Make all of this process use another emitter (None: its own again); return the one replaced so far."""
    previous, _process.override = _process.override, emitter
    return previous


def open_emitter(environ: Mapping[str, str] = os.environ) -> Emitter:
    """Return a new emitter as the environment says."""
    from tocsin.connection import open_link

    source = process_source()

    def gap(lost: int, since: int) -> bytes:
        return encode_event(
            id=new_id(), type="outbox.overflowed", source=source, time=time.time_ns() // 1000,
            resource={"kind": "outbox", "id": source, "name": socket.gethostname(), "labels": {}, "tags": []},
            payload={"lost": lost, "since": since, "message": f"{lost} events were not kept: the outbox was full"},
        )  # fmt: skip

    outbox = Outbox(
        default_directory(environ), make_gap=gap, warn=_log.warning, max_bytes=_max_bytes(environ)
    )
    publisher = Publisher(outbox, lambda: open_link(environ))
    return Emitter(OutboxCarrier(outbox, publisher), source)


def process_source() -> str:
    """Return the ``source`` of this process's events."""
    return f"/sdk/{socket.gethostname()}/{os.getpid()}"


def _max_bytes(environ: Mapping[str, str]) -> int:
    text = environ.get("TOCSIN_OUTBOX__MAX_BYTES", "")
    if text.isascii() and text.isdigit():
        return int(text)
    if text:
        _log.warning(
            "TOCSIN_OUTBOX__MAX_BYTES=%r is not a number of bytes; %d is used", text, DEFAULT_MAX_BYTES
        )
    return DEFAULT_MAX_BYTES


def _flush_seconds() -> float:
    try:
        return max(0.0, float(os.environ.get("TOCSIN_OUTBOX__FLUSH_SECONDS", _FLUSH_SECONDS)))
    except ValueError:
        return _FLUSH_SECONDS
