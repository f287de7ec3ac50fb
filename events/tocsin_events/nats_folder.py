"""The folder of an embedded nats-server: one owner at a time, a secret and a port that are kept, its configuration."""

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from tocsin_events.nats_binary import NatsServerError


class NatsFolder:
    """The data folder of one server, and where everything lies in it."""

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.ports_dir: Final = path / "ports"
        """Where the running server says which ports it took."""
        self.config_file: Final = path / "nats.conf"
        self.log_file: Final = path / "nats.log"
        self.output_file: Final = path / "nats.out"
        self.pid_file: Final = path / "nats.pid"
        self.port_file: Final = path / "nats.port"
        self._lock: IO[str] | None = None

    def claim(self) -> None:
        """Make the folder where it is missing, and keep every other server out of it until `release`.

        Raises:
            NatsServerError: another server has it, or it can't be written.

        """
        import fcntl

        with self.writing():
            self.path.mkdir(parents=True, exist_ok=True)
            self.ports_dir.mkdir(exist_ok=True)
            lock = (self.path / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            lock.close()
            raise NatsServerError(
                f"another Tocsin server uses the data folder {self.path}: stop it, or give this one a folder of its own"
            ) from problem
        self._lock = lock

    def release(self) -> None:
        """Let others have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def secret(self) -> str:
        """Return the secret of the folder's server; made at the first call, and then kept."""
        file = self.path / "secret"
        with contextlib.suppress(OSError, UnicodeDecodeError):
            kept = file.read_text().strip()
            if kept.isalnum():
                return kept
        fresh = secrets.token_hex(24)
        with self.writing():
            _write_private(file, fresh)
        return fresh

    def kept_port(self) -> int | None:
        """Return the port of the last start, if nobody has taken it meanwhile."""
        try:
            port = int(self.port_file.read_text())
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except (OSError, ValueError, OverflowError):
            return None
        return port

    def write_config(self, *, port: int, jetstream: str, accounts: str) -> None:
        """Write nats-server's configuration; ``port`` is -1 for a free one."""
        with self.writing():
            _write_private(
                self.config_file,
                f"""# Written by Tocsin at each start: changes are lost.
server_name: "tocsin-embedded"
host: "127.0.0.1"
port: {port}
ports_file_dir: {json.dumps(str(self.ports_dir))}
log_file: {json.dumps(str(self.log_file))}
logfile_size_limit: 10MB
logfile_max_num: 2
max_payload: 1MB
jetstream {{ store_dir: {json.dumps(str(self.path))}, {jetstream} }}
{accounts}""",
            )

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Turn what goes wrong with the folder into a `NatsServerError`."""
        try:
            yield
        except OSError as problem:
            raise NatsServerError(
                f"the bus's data folder {self.path} can't be used ({problem.strerror}): "
                "make it writable and its disk not full, or choose another with --data-dir"
            ) from problem


def _write_private(file: Path, text: str) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(text)
