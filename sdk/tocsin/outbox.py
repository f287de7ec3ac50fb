"""The outbox: where a process keeps its events on disk until the bus has them.

`Outbox` is the writing side, used by the emitter; `drain` sends what processes that are gone have left behind.
`Segment` (segment.py) says what survives what.
"""

import errno
import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from tocsin.segment import Line, Segment, adopt_all, chain_of, segment_paths
from tocsin_events.envelope import MAX_EVENT_BYTES
from tocsin_events.identity import message_key

DEFAULT_MAX_BYTES = 100_000_000
"""How much an outbox folder may hold unless TOCSIN_OUTBOX__MAX_BYTES says otherwise."""

MEMORY_BYTES = 8_000_000
"""How much of it is kept in memory where the folder cannot be written."""

_SEGMENT_BYTES = 4_000_000
_LOOK_AGAIN = 1.0  # seconds between two looks at a folder that was full or could not be written
_REJECTED = "rejected"
_MOST_REJECTED = 20_000_000
_log = logging.getLogger("tocsin.outbox")


class Entry(NamedTuple):
    """One event on its way: its type, its message id on the bus (source and id), its JSON form."""

    type: str
    key: str
    body: bytes


class Undeliverable(ValueError):  # noqa: N818 - it names what was found
    """A line that is no event; the message says why."""


def default_directory(environ: Mapping[str, str] = os.environ, data_dir: Path | None = None) -> Path:
    """Return the outbox folder: TOCSIN_OUTBOX__DIR, else ``outbox`` in the data folder if one is named, else XDG's."""
    if data_dir is not None:
        return data_dir / "outbox"
    if explicit := environ.get("TOCSIN_OUTBOX__DIR"):
        return Path(explicit).expanduser()
    if named := environ.get("TOCSIN_DATA_DIR"):
        return Path(named).expanduser() / "outbox"
    state_home = environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state_home).expanduser() / "tocsin" / "outbox"


def parse_entry(body: bytes) -> Entry:
    """Return the event in a line.

    Raises:
        Undeliverable: it is not an event, or larger than one may be.

    """
    try:
        head = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise Undeliverable(f"not an event: {problem}") from problem
    if len(body) > MAX_EVENT_BYTES:
        raise Undeliverable(f"{len(body)} bytes; an event has at most {MAX_EVENT_BYTES}")
    return Entry(head.type, message_key(head.source, head.id), body)


def set_aside(directory: Path, body: bytes, reason: str) -> None:
    """Append an event that can never be delivered, with the reason, to the folder's ``rejected`` file, and log it.

    Where even that file can't be written, the log line is all that is left: one bad event never blocks the others.
    """
    path = directory / _REJECTED
    record = {"time": time.time_ns() // 1000, "reason": reason, "event": body.decode(errors="replace")}
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(descriptor).st_size > _MOST_REJECTED:
                raise OSError(errno.EFBIG, "the file is full")
            os.write(descriptor, msgspec.json.encode(record) + b"\n")
        finally:
            os.close(descriptor)
    except OSError as problem:
        _log.error("an event can't be delivered (%s) and could not be kept in %s: %s", reason, path, problem)
    else:
        _log.error("an event can't be delivered and was moved to %s: %s", path, reason)


class Outbox:
    """The writing side of one process's outbox; `append` never raises and never waits for the network.

    The folder holds at most ``max_bytes``, of all processes together. When it is full, new events are refused and
    counted in ``lost``; when there is room again, ``make_gap(lost, since)`` gives an event that says how many are
    missing, and it goes before the next one. Where the folder cannot be written, events are kept in memory
    (`MEMORY_BYTES`). ``warn`` is told of each such trouble once.
    """

    def __init__(
        self,
        directory: Path,
        *,
        make_gap: Callable[[int, int], bytes],
        warn: Callable[[str], None],
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self.directory = directory
        self.lost = 0
        self._lost_since = 0
        self._make_gap = make_gap
        self._warn = warn
        self._max_bytes = max_bytes
        self._segment_bytes = max(1, min(_SEGMENT_BYTES, max_bytes // 8))
        # Re-entrant: a signal handler may emit while its own thread is in here.
        self._lock = threading.RLock()
        self._segments: list[Segment] = []
        self._used = 0
        self._next_look = 0.0
        self._retry_disk = 0.0
        self._warned: set[str] = set()

    def append(self, body: bytes) -> bool:
        """Keep an event; False if it was refused for lack of room (and counted)."""
        with self._lock:
            if self._used + len(body) + 1 > self._max_bytes and not self._has_room(len(body) + 1):
                self._warn_once(
                    f"the outbox {self.directory} is full ({self._max_bytes} bytes): new events are not kept, only"
                    " counted. Start the server so that it takes them, or raise TOCSIN_OUTBOX__MAX_BYTES."
                )
                return self._refuse()
            if (self.lost and not self._record_gap()) or not self._write(body):
                return self._refuse()
            return True

    def segments(self) -> tuple[Segment, ...]:
        """Return this process's segments, oldest first; the last one is being written."""
        with self._lock:
            return tuple(self._segments)

    def release(self, segment: Segment) -> None:
        """Remove a segment that is done and no longer written."""
        with self._lock:
            if segment in self._segments and segment is not self._segments[-1]:
                self._segments.remove(segment)
                self._used = max(0, self._used - segment.size)
                segment.close()

    def close(self) -> None:
        """Give all segments up: those that are done are removed, the others left to the next process."""
        with self._lock:
            if self.lost:
                self._record_gap()
            segments, self._segments = self._segments, []
            for segment in segments:
                segment.close()

    def forget(self) -> None:
        """Start afresh in a child process, whose parent keeps the segments."""
        self._lock = threading.RLock()
        for segment in self._segments:
            segment.forget()
        self._segments = []
        self.lost = 0
        self._used = 0
        self._next_look = 0.0

    def _write(self, body: bytes) -> bool:
        try:
            if self._needs_segment():
                self._open_segment()
            self._segments[-1].append(body)
        except OSError as problem:
            if not self._write_to_memory(body, problem):
                return False
        self._used += len(body) + 1
        return True

    def _needs_segment(self) -> bool:
        if not self._segments:
            return True
        newest = self._segments[-1]
        if newest.path is None and time.monotonic() >= self._retry_disk:
            return True
        return newest.size >= self._segment_bytes

    def _write_to_memory(self, body: bytes, problem: OSError) -> bool:
        self._retry_disk = time.monotonic() + _LOOK_AGAIN
        self._warn_once(
            f"the outbox {self.directory} cannot be written ({problem.strerror}): up to {MEMORY_BYTES} bytes of events"
            f" are kept in memory, further ones only counted, and what no server takes before this process ends is"
            f" lost. Free space there, or set TOCSIN_OUTBOX__DIR to a folder that can be written."
        )
        try:
            if not self._segments or self._segments[-1].path is not None:
                self._segments.append(Segment.in_memory())
            memory = sum(segment.size for segment in self._segments if segment.path is None)
            if memory + len(body) > MEMORY_BYTES:
                return False
            self._segments[-1].append(body)
        except (OSError, AttributeError):  # AttributeError: a system without memfd_create
            return False
        return True

    def _open_segment(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        segment = None if self._segments else self._continue_newest()
        chain = next((one.chain for one in reversed(self._segments) if one.chain), None)
        self._segments.append(segment or Segment.create(self.directory, chain))
        self._used = self._measure()

    def _continue_newest(self) -> Segment | None:
        # Scripts that run one after another share a file, so that they don't leave one each.
        paths = segment_paths(self.directory)
        for path in paths[-1:]:
            if sum(chain_of(other) == chain_of(path) for other in paths) > 1:
                return None
            segment = Segment.adopt(path)
            if segment is not None and segment.size < self._segment_bytes:
                return segment
            if segment is not None:
                segment.forget()
        return None

    def _has_room(self, size: int) -> bool:
        now = time.monotonic()
        if now < self._next_look:
            return False
        self._next_look = now + _LOOK_AGAIN
        self._used = self._measure()
        return self._used + size <= self._max_bytes

    def _measure(self) -> int:
        used = 0
        for path in segment_paths(self.directory):
            try:
                used += path.stat().st_size
            except OSError:
                continue
        return used

    def _refuse(self) -> bool:
        if not self.lost:
            self._lost_since = time.time_ns() // 1000
        self.lost += 1
        return False

    def _record_gap(self) -> bool:
        # Beyond the bound if need be: a few hundred bytes that say what is missing.
        if not self._write(self._make_gap(self.lost, self._lost_since)):
            return False
        self.lost = 0
        return True

    def _warn_once(self, problem: str) -> None:
        if problem not in self._warned:
            self._warned.add(problem)
            self._warn(problem)


Publish = Callable[[list[tuple[str, str, bytes]]], Awaitable[object]]
"""Publishes events, each as its type, its key and its JSON form."""


async def drain(directory: Path, publish: Publish, *, batch: int = 500) -> int:
    """Send what processes that are gone have left in a folder, oldest first; return how many events were sent.

    ``publish`` takes (type, key, body) of each event and returns when the bus has them all. ValueError from it means
    that one of them will never be taken: it is found, and set aside in the file ``rejected``, as are lines that are
    no event. Anything else it raises comes out of here, and the batch stays. Segments of living processes are left
    alone.
    """
    sent = 0
    for segment in adopt_all(directory):
        try:
            while lines := segment.read(segment.position)[:batch]:
                entries = entries_of(lines, directory)
                if entries:
                    sent += await _publish(entries, publish, directory)
                segment.acknowledge(lines[-1].end)
        finally:
            segment.close()
    return sent


async def _publish(entries: list[Entry], publish: Publish, directory: Path) -> int:
    try:
        await publish([(entry.type, entry.key, entry.body) for entry in entries])
    except ValueError as problem:
        if len(entries) > 1:
            middle = len(entries) // 2
            first = await _publish(entries[:middle], publish, directory)
            return first + await _publish(entries[middle:], publish, directory)
        set_aside(directory, entries[0].body, str(problem))
        return 0
    return len(entries)


def entries_of(lines: Sequence[Line], directory: Path) -> list[Entry]:
    """Return the events in lines; those that are none are set aside in the folder."""
    entries = []
    for line in lines:
        try:
            entries.append(parse_entry(line.body))
        except Undeliverable as problem:
            if line.body:
                set_aside(directory, line.body, str(problem))
    return entries


class _Head(msgspec.Struct, gc=False):
    id: str
    type: str
    source: str


_decode = msgspec.json.Decoder(_Head).decode
