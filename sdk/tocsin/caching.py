"""Results of tasks that are taken again: in this process's memory, and as JSON files for the next process.

A result goes into a file only if JSON gives back exactly the same (a tuple would come back as a list); others are kept
in memory only. Nothing is ever unpickled.
"""

import hashlib
import os
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from tocsin.plain import plain

_MOST_IN_MEMORY = 1_000


class Cache:
    """Results by key, for as long as they are good; safe to use from several threads. Trouble with files is a miss."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._memory: dict[str, tuple[float | None, Any]] = {}

    @staticmethod
    def key_of(arguments: Mapping[str, Any]) -> str | None:
        """Return the key of a call; None where an argument has no exact JSON form, so that it can't be told apart."""
        try:
            encoded = msgspec.json.encode(arguments, order="deterministic")
        except (TypeError, ValueError, RecursionError):
            return None
        return hashlib.sha256(encoded).hexdigest()

    def get(self, key: str) -> tuple[Any] | None:
        """Return the result, as a tuple of one; None if there is none, or it is too old."""
        with self._lock:
            known = self._memory.get(key)
        if known is None:
            known = self._read(key)
        if known is None or (known[0] is not None and known[0] <= time.time()):
            return None
        return (known[1],)

    def put(self, key: str, value: Any, keep: float | None) -> None:
        """Keep a result for so many seconds; None: for good."""
        until = None if keep is None else time.time() + keep
        with self._lock:
            self._memory.pop(key, None)
            while len(self._memory) >= _MOST_IN_MEMORY:
                del self._memory[next(iter(self._memory))]
            self._memory[key] = (until, value)
        self._write(key, until, value)

    def _path(self, key: str) -> Path:
        return self._directory / f"{hashlib.sha256(key.encode()).hexdigest()}.json"

    def _read(self, key: str) -> tuple[float | None, Any] | None:
        try:
            found = msgspec.json.decode(self._path(key).read_bytes())
            return found["until"], found["value"]
        except (OSError, msgspec.DecodeError, KeyError, TypeError):
            return None

    def _write(self, key: str, until: float | None, value: Any) -> None:
        if not _is_exact(value):
            return
        path = self._path(key)
        draft = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode({"key": key, "until": until, "value": value}))
            draft.replace(path)
        except (OSError, ValueError):
            return


def _is_exact(value: Any) -> bool:
    match value:
        case None | bool() | str():
            return type(value) in (type(None), bool, str)
        case int() | float():
            return type(value) in (int, float) and plain(value) == value
        case list():
            return type(value) is list and all(_is_exact(item) for item in value)
        case dict():
            return type(value) is dict and all(
                type(key) is str and _is_exact(item) for key, item in value.items()
            )
    return False


@cache
def default_cache() -> Cache:
    """Return this process's cache: in TOCSIN_DATA_DIR if that is set, else in XDG's cache folder."""
    if named := os.environ.get("TOCSIN_DATA_DIR"):
        return Cache(Path(named).expanduser() / "cache")
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Cache(Path(home).expanduser() / "tocsin" / "results")
