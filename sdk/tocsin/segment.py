"""One file of an outbox: events in the order they were emitted, one JSON text a line, and how many the bus has taken.

Whoever works on a segment holds its lock (flock), which the system releases when the process ends, however it ends.
So a segment that can be locked has no living owner, and another process may go on with it.

Nothing here is synchronized to the disk: what was appended survives the death of the process (kill -9), not
necessarily a power cut. A last line that a power cut or a full disk tore is not an event and is passed over.
"""

import contextlib
import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SUFFIX = ".events"
_POSITION_SUFFIX = ".position"


class Line(NamedTuple):
    """An event's JSON text and the offset right behind it."""

    body: bytes
    end: int


class Segment:
    """One locked file of events; ``position`` is the offset up to which the bus has acknowledged them.

    A segment without a path lives in memory (`in_memory`), for when there is nowhere to write; it is lost with the
    process. Methods raise OSError as the system does.
    """

    def __init__(self, path: Path | None, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self._torn = self.size > 0 and os.pread(descriptor, 1, self.size - 1) != b"\n"
        self._position_descriptor: int | None = None
        self.position = self._load_position()

    @classmethod
    def create(cls, directory: Path, chain: str | None = None) -> "Segment":
        """Return a new, locked segment; its name sorts behind those made before it.

        Segments that belong together, because one continues the other, have the same ``chain``.
        """
        chain = chain or f"{os.getpid()}-{secrets.token_hex(4)}"
        while True:
            path = directory / f"{time.time_ns():020d}-{chain}{SUFFIX}"
            try:
                descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            except FileExistsError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Another process may have taken the empty file for an orphan before it was locked, and removed it.
                if _is_at(path, descriptor):
                    return cls(path, descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    @classmethod
    def adopt(cls, path: Path) -> "Segment | None":
        """Return the locked segment of an owner that is gone; None if it has a living one or is no more."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return cls(path, descriptor)
        except BlockingIOError:
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    @classmethod
    def in_memory(cls) -> "Segment":
        """Return a segment that lives in this process's memory."""
        return cls(None, os.memfd_create("tocsin-outbox", os.MFD_CLOEXEC))

    def append(self, body: bytes) -> None:
        """Write one event behind the others, whole or not at all."""
        line = b"\n" + body + b"\n" if self._torn else body + b"\n"
        written = os.write(self._descriptor, line)
        if written == len(line):
            self.size += written
            self._torn = False
            return
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            self.size += written
            self._torn = True
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def read(self, start: int, limit: int = 1 << 18) -> list[Line]:
        """Return the whole lines from an offset on: about ``limit`` bytes of them, at least one if there is one."""
        while True:
            chunk = os.pread(self._descriptor, limit, start)
            last = chunk.rfind(b"\n")
            if last >= 0 or len(chunk) < limit:
                break
            limit *= 2
        lines = []
        end = start
        for body in chunk[: last + 1].split(b"\n")[:-1]:
            end += len(body) + 1
            lines.append(Line(body, end))
        return lines

    def acknowledge(self, position: int) -> None:
        """Record that the bus has everything before an offset."""
        if position <= self.position:
            return
        self.position = position
        if self.path is None:
            return
        if self._position_descriptor is None:
            self._position_descriptor = os.open(
                self.path.with_suffix(_POSITION_SUFFIX), os.O_RDWR | os.O_CREAT, 0o600
            )
        os.pwrite(self._position_descriptor, b"%020d\n" % position, 0)

    @property
    def chain(self) -> str | None:
        """What the segments that belong together have in common."""
        return None if self.path is None else chain_of(self.path)

    @property
    def is_done(self) -> bool:
        """Whether nothing whole is left that the bus has not acknowledged."""
        return self.position >= self.size or not self.read(self.position)

    def close(self) -> None:
        """Give the segment up: remove it if it is done, else leave it to the next process."""
        if self._descriptor < 0:
            return
        try:
            if self.path is not None and self.is_done:
                self.path.unlink(missing_ok=True)
                self.path.with_suffix(_POSITION_SUFFIX).unlink(missing_ok=True)
        finally:
            self.forget()

    def forget(self) -> None:
        """Close the descriptors and touch nothing else; for a child process, whose parent goes on."""
        for descriptor in (self._descriptor, self._position_descriptor):
            if descriptor is not None and descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._descriptor = -1
        self._position_descriptor = None

    def _load_position(self) -> int:
        if self.path is None:
            return 0
        try:
            position = int(self.path.with_suffix(_POSITION_SUFFIX).read_bytes())
        except (OSError, ValueError):
            return 0
        if not 0 < position <= self.size:
            return 0
        # A power cut can leave a position that fits no line; sending again is safe, skipping is not.
        return position if os.pread(self._descriptor, 1, position - 1) == b"\n" else 0


def segment_paths(directory: Path) -> list[Path]:
    """Return the segments in a folder, oldest first; nothing if there is no folder."""
    try:
        return sorted(path for path in directory.iterdir() if path.suffix == SUFFIX)
    except OSError:
        return []


def chain_of(path: Path) -> str:
    """Return the chain that a segment belongs to."""
    return path.stem.partition("-")[2]


def adopt_all(directory: Path) -> Iterator[Segment]:
    """Yield the segments that nobody holds, oldest first; whoever takes one closes it before asking for the next.

    A segment is not given while an older one of its chain is there: two processes that adopt at the same time would
    otherwise send the events of one process out of order.
    """
    blocked: set[str] = set()
    for path in segment_paths(directory):
        if chain_of(path) in blocked:
            continue
        try:
            segment = Segment.adopt(path)
        except OSError:
            segment = None
        if segment is not None:
            yield segment
        if path.exists():
            blocked.add(chain_of(path))


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
