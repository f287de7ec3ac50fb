"""The embedded bus: a nats-server of our own, as a child process.

It listens on loopback only, keeps JetStream's data in a folder of its own, has credentials that nobody else knows
(generated once, in a file that only the user can read), comes back when it dies, and is stopped with us. If we are
killed, Linux ends it; elsewhere it outlives us, and the next start on the same folder stops it first.
"""

import asyncio
import contextlib
import json
import logging
import signal
import subprocess
from pathlib import Path
from typing import IO, Final, Literal, get_args

from tocsin_events.address import BusAddress
from tocsin_events.ending import end
from tocsin_events.nats_accounts import BusUser, accounts_config, password_of
from tocsin_events.nats_binary import NatsServerError, find_nats_server
from tocsin_events.nats_child import bound_to_us
from tocsin_events.nats_disk import Disk, DiskWatch
from tocsin_events.nats_folder import NatsFolder
from tocsin_events.nats_orphan import stop_orphan

__all__ = ["Durability", "NatsServer", "NatsServerError"]

Durability = Literal["durable", "relaxed"]
"""``durable``: what is acknowledged is on the disk. ``relaxed``: a power cut may take the last two minutes."""

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 2.0
_FIRST_DELAY, _LONGEST_DELAY = 0.05, 5.0

_log = logging.getLogger(__name__)


class NatsServer:
    """A nats-server with JetStream on loopback, as a child of this process.

    ``data_dir`` is made if it is not there, and belongs to one server at a time. ``port`` is fixed if it is given;
    else a free one is taken at the first start, and kept across restarts as long as it stays free.
    """

    def __init__(
        self, data_dir: Path, *, durability: Durability = "durable", port: int | None = None
    ) -> None:
        self._folder = NatsFolder(data_dir.absolute())
        self._durability = durability
        self._wanted_port = port
        self._port: int | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._secret = ""

    @property
    def url(self) -> str:
        """Where clients connect to, without credentials; known once the server has started."""
        if self._port is None:
            raise NatsServerError("the embedded NATS server has not been started")
        return f"nats://127.0.0.1:{self._port}"

    @property
    def address(self) -> BusAddress:
        """Where the service connects to, with credentials for everything."""
        return self.address_for("service")

    def address_for(self, user: BusUser) -> BusAddress:
        """Where a user connects to, with its credentials; `tocsin_events.nats_accounts` says what they are for."""
        return BusAddress(self.url, user, password_of(user, self._secret))

    @property
    def pid(self) -> int | None:
        """The process id of the running child, or None."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start the server and return when it takes connections.

        Raises:
            NatsServerError: it can't be started; the message says why and what to do.

        """
        binary = find_nats_server()
        self._folder.claim()
        try:
            await asyncio.to_thread(stop_orphan, self._folder.pid_file, self._folder.config_file)
            self._secret = self._folder.secret()
            self._port = self._wanted_port or self._folder.kept_port()
            await self._launch(binary)
        except BaseException:
            await self._terminate()
            self._folder.release()
            raise
        self._keeper = asyncio.create_task(self._keep_running(binary), name="nats-server")

    async def stop(self) -> None:
        """Stop the server, which writes everything down first; a second call does nothing."""
        if self._keeper is not None:
            await end(self._keeper, patience=_START_SECONDS + _STOP_SECONDS)
            self._keeper = None
        await self._terminate()
        self._folder.release()

    # -- the child -------------------------------------------------------------------------------------------------

    async def _launch(self, binary: Path) -> None:
        self._watch = DiskWatch(self._folder.log_file, self._folder.path)
        for stale in self._folder.ports_dir.glob("*.ports"):
            stale.unlink(missing_ok=True)
        sync = "always" if self._durability == "durable" else '"2m"'
        passwords = {user: password_of(user, self._secret) for user in get_args(BusUser)}
        self._folder.write_config(
            port=self._port or -1, jetstream=f"sync_interval: {sync}", accounts=accounts_config(passwords)
        )
        with self._folder.writing(), self._folder.output_file.open("wb") as output:
            spawning = asyncio.ensure_future(self._spawn(binary, output))
            try:
                self._process = process = await asyncio.shield(spawning)
            except asyncio.CancelledError:
                # The child may exist although nobody waits for it any more.
                self._process = await spawning
                raise
        with self._folder.writing():
            self._folder.pid_file.write_text(str(process.pid))
        self._port = await self._wait_until_ready(process)
        self._folder.port_file.write_text(str(self._port))

    async def _spawn(self, binary: Path, output: IO[bytes]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *bound_to_us(binary, "-c", self._folder.config_file),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A terminal's Ctrl-C goes to the whole group: the bus must outlive the services that drain into it.
            start_new_session=True,
        )

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> int:
        exited = asyncio.create_task(process.wait())
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not exited.done():
                    for file in self._folder.ports_dir.glob(f"*_{process.pid}.ports"):
                        with contextlib.suppress(json.JSONDecodeError, KeyError, IndexError):
                            return int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
                    await asyncio.wait([exited], timeout=0.003)
        except TimeoutError:
            raise NatsServerError(
                f"nats-server did not get ready within {_START_SECONDS:.0f} s; its log is {self._folder.log_file}"
            ) from None
        finally:
            exited.cancel()
        raise NatsServerError(self._why_it_ended())

    async def _keep_running(self, binary: Path) -> None:
        delay = _FIRST_DELAY
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            if self._process is not None:
                await self._until_it_ends(self._process)
            if loop.time() - started > _LONGEST_DELAY:
                delay = _FIRST_DELAY
            _log.warning("the embedded NATS server ended; starting it again in %.2f s", delay)
            await asyncio.sleep(delay)
            delay = min(delay * 2, _LONGEST_DELAY)
            try:
                await self._launch(binary)
            except (NatsServerError, OSError) as problem:
                _log.error("the embedded NATS server could not be started again: %s", problem)
                await self._terminate()

    async def _until_it_ends(self, process: asyncio.subprocess.Process) -> None:
        """Wait for the end of the child; end it where only a new start makes it write again."""
        ended = asyncio.ensure_future(process.wait())
        before = Disk.FINE
        while not (await asyncio.wait([ended], timeout=_LOOK_SECONDS))[0]:
            disk = await asyncio.to_thread(self._watch.look)
            if disk is Disk.FULL and before is not disk:
                _log.error(
                    "the disk of %s is full: the bus takes nothing until there is room; nothing is lost",
                    self._folder.path,
                )
            elif disk is Disk.ROOM_AGAIN:
                _log.warning("the bus could not write; it is started again, now that its disk has room")
                await self._terminate()
            before = disk

    async def _terminate(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        self._folder.pid_file.unlink(missing_ok=True)

    def _why_it_ended(self) -> str:
        text = ""
        for file in (self._folder.log_file, self._folder.output_file):
            with contextlib.suppress(OSError):
                text += file.read_text(errors="replace")[-4000:]
        if "address already in use" in text:
            return (
                f"port {self._port} on 127.0.0.1 is in use by another program: stop that program, "
                "or give another port (0 takes a free one)"
            )
        fatal = [line for line in text.splitlines() if "[FTL]" in line or "nats-server:" in line]
        reason = fatal[-1].partition("[FTL]")[2].strip() or fatal[-1] if fatal else "it gave no reason"
        return f"nats-server ended while it started: {reason}; its log is {self._folder.log_file}"
