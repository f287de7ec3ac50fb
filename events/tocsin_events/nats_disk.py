"""What nats-server does when its disk is full, and what has to be done about it.

After a write that failed, a stream acknowledges nothing any more until the server starts again (nats-server 2.15), however
much room there is by then. It says so in its log and nowhere else.
"""

import shutil
from enum import Enum, auto
from pathlib import Path
from typing import Final

_SAID: Final = b"critical write error"
_ENOUGH: Final = 32 * 1024**2
"""How many free bytes are worth a new start."""


class Disk(Enum):
    """How the server stands with its disk."""

    FINE = auto()
    FULL = auto()
    """A stream has stopped, and there is no room yet."""
    ROOM_AGAIN = auto()
    """A stream has stopped, and a new start would help."""


class DiskWatch:
    """Reads the log of one nats-server process from its beginning on."""

    def __init__(self, log: Path, data: Path) -> None:
        self._log, self._data = log, data
        self._read = log.stat().st_size if log.exists() else 0
        self._stopped = False

    def look(self) -> Disk:
        """Return how things stand; blocking, though short."""
        self._stopped = self._stopped or self._said_so()
        if not self._stopped:
            return Disk.FINE
        return Disk.ROOM_AGAIN if shutil.disk_usage(self._data).free >= _ENOUGH else Disk.FULL

    def _said_so(self) -> bool:
        try:
            with self._log.open("rb") as log:
                size = log.seek(0, 2)
                # A shorter file is a new one: nats-server puts the old one aside when it is large.
                log.seek(self._read if self._read <= size else 0)
                new = log.read()
                self._read = log.tell()
        except OSError:
            return False
        return _SAID in new.lower()
