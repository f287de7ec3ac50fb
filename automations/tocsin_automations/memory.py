"""Bounded memories of the engine: which events it has seen, and what came before what.

Each keeps what is dirty since the last checkpoint, as bytes by key, so that a restored engine remembers the same.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Final, Generic, TypeVar

import msgspec

from tocsin_events.view import EventView

K = TypeVar("K", str, int)
V = TypeVar("V")

_encode = msgspec.msgpack.Encoder().encode
_CHUNK: Final = 1_000


class Seen:
    """The events of the last ``span`` microseconds, at most ``most`` of them.

    Kept in numbered chunks, so that a checkpoint writes only what is new.
    """

    def __init__(self, span: int, most: int) -> None:
        self._span = span
        self._most = most
        self._arrivals: dict[bytes, int] = {}
        self._chunks: deque[_Chunk] = deque()
        self._dirty: set[int] = set()

    def add(self, source: str, id_: str, at: int) -> bool:
        """Remember an event that arrived at an instant; tell whether it was not known yet."""
        digest = _digest(source, id_)
        before = self._arrivals.get(digest)
        if before is not None and at - before <= self._span:
            return False
        self._arrivals[digest] = at
        chunk = self._chunks[-1] if self._chunks else None
        if chunk is None or len(chunk.digests) >= _CHUNK:
            chunk = _Chunk(0 if chunk is None else chunk.number + 1)
            self._chunks.append(chunk)
            self._forget(at)
        chunk.digests.append(digest)
        chunk.times.append(at)
        self._dirty.add(chunk.number)
        return True

    def take(self) -> Iterator[tuple[str, bytes | None]]:
        """Return what changed since the last time, by key."""
        kept = {chunk.number: chunk for chunk in self._chunks if chunk.number in self._dirty}
        for number in sorted(self._dirty):
            yield str(number), _encode(kept[number]) if number in kept else None
        self._dirty.clear()

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Take over what `take` once gave."""
        for _, body in sorted(entries.items(), key=lambda entry: int(entry[0])):
            chunk = msgspec.msgpack.decode(body, type=_Chunk)
            self._chunks.append(chunk)
            self._arrivals.update(zip(chunk.digests, chunk.times, strict=True))

    def _forget(self, now: int) -> None:
        while len(self._chunks) > 1 and (
            now - self._chunks[0].times[-1] > self._span or len(self._arrivals) > self._most
        ):
            chunk = self._chunks.popleft()
            self._dirty.add(chunk.number)
            for digest, at in zip(chunk.digests, chunk.times, strict=True):
                if self._arrivals.get(digest) == at:
                    del self._arrivals[digest]


class _Chunk(msgspec.Struct, array_like=True):
    number: int
    digests: list[bytes] = []
    times: list[int] = []


class Recent(Generic[K, V]):
    """The values of the keys that were set or read lately: between ``most`` and twice as many.

    Two generations: a key that is used moves to the young one, and when that is full the old one is forgotten.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return the value of a key, if it is still known."""
        value = self._young.get(key)
        if value is None:
            value = self._old.pop(key, None)
            if value is not None:
                self._set(key, value)
        return value

    def put(self, key: K, value: V) -> None:
        """Set the value of a key."""
        self._old.pop(key, None)
        self._set(key, value)

    def _set(self, key: K, value: V) -> None:
        if len(self._young) >= self._most and key not in self._young:
            self._forget(self._old)
            self._old, self._young = self._young, {}
        self._young[key] = value

    def _forget(self, values: Mapping[K, V]) -> None:
        """Take note of what is forgotten."""


class Lately(Recent[str, V]):
    """Recent values that checkpoints keep."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._dirty: set[str] = set()

    def put(self, key: str, value: V) -> None:
        """Set the value of a key."""
        self._old.pop(key, None)
        self._set(key, value)
        self._dirty.add(key)

    def take(self) -> Iterator[tuple[str, bytes | None]]:
        """Return what changed since the last time, by key."""
        for key in sorted(self._dirty):
            value = self._young.get(key, self._old.get(key))
            yield key, None if value is None else _encode(value)
        self._dirty.clear()

    def restore(self, entries: Mapping[str, bytes]) -> None:
        """Take over what `take` once gave."""
        for key in sorted(entries):
            self._old[key] = msgspec.msgpack.decode(entries[key])

    def _forget(self, values: Mapping[str, V]) -> None:
        self._dirty.update(values)


class Remembered(EventView):
    """An event of which only the bytes are kept, until somebody looks at it.

    Decoded, it takes five times the room, in some sixty objects that fall out of the processor's caches and that the garbage
    collector walks through; and most of what is remembered is never looked at.
    """

    __slots__ = ()

    def __init__(self, body: bytes, received: int, sequence: int) -> None:
        self.body = body
        self.received = received
        self.sequence = sequence

    def __getattr__(self, name: str) -> Any:
        """Decode the bytes: what is not there yet was asked for."""
        if name not in EventView.__slots__ or self.body is None:
            raise AttributeError(name)
        decoded = EventView.decode(self.body, received=self.received, sequence=self.sequence)
        for slot in EventView.__slots__:
            setattr(self, slot, getattr(decoded, slot))
        return getattr(self, name)


def _digest(source: str, id_: str) -> bytes:
    return blake2b(f"{len(source)} {source}{id_}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
