"""The subprocess that executes a run: its own process group, its output line by line, its end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_LINES_KEPT: Final = 20
_LAST_WORDS_SECONDS: Final = 2.0
_LONGEST_LINE: Final = 20_000
_SETTINGS: Final = frozenset(
    f"TOCSIN_{name}{suffix}" for name in ("DATABASE_URL", "NATS_URL", "CONFIG") for suffix in ("", "_FILE")
)

Listener = Callable[[str, str], None]
"""Gets ``stdout`` or ``stderr``, and a line."""


@dataclass(frozen=True)
class Ending:
    """How a process ended: its exit code, or the number of the signal that killed it, and its last words.

    ``reported`` says whether the process told of the run's end before its own.
    """

    code: int
    last_lines: tuple[str, ...]
    reported: bool = False

    @property
    def signal(self) -> str | None:
        """The name of the signal that killed it."""
        if self.code >= 0:
            return None
        try:
            return signal.Signals(-self.code).name
        except ValueError:
            return f"signal {-self.code}"

    def __str__(self) -> str:
        return f"killed by {self.signal}" if self.code < 0 else f"exit code {self.code}"


class RunProcess:
    """One subprocess; made by `RunProcess.start`."""

    def __init__(self, process: asyncio.subprocess.Process, report: int, listener: Listener) -> None:
        self._process = process
        self._report = report
        self._listener = listener
        self._last: deque[str] = deque(maxlen=_LINES_KEPT)
        assert process.stdout is not None
        assert process.stderr is not None
        self._readers = (
            asyncio.create_task(self._read("stdout", process.stdout)),
            asyncio.create_task(self._read("stderr", process.stderr)),
        )

    @classmethod
    async def start(
        cls, order: bytes, *, directory: Path, environment: Mapping[str, str], listener: Listener
    ) -> "RunProcess":
        """Start the process of a run, and hand it the order on its standard input.

        Raises:
            OSError: it can't be started, for one because there is no such directory.

        """
        report, told = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tocsin_server.run_child",
                str(os.getpid()),
                str(told),
                cwd=directory,
                env=dict(environment),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(told,),
                start_new_session=True,
                limit=_LONGEST_LINE * 4,
            )
        except OSError:
            os.close(report)
            raise
        finally:
            os.close(told)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            process.stdin.write(order)
            await process.stdin.drain()
        process.stdin.close()
        return cls(process, report, listener)

    @property
    def pid(self) -> int:
        """The number of the process, and of its group."""
        return self._process.pid

    async def wait(self) -> Ending:
        """Wait for the end, and leave nothing of the process's group behind."""
        code = await self._process.wait()
        self.signal(signal.SIGKILL)
        # What left the group (a daemon of the flow's own) may keep the pipes open for ever.
        _, open_still = await asyncio.wait(self._readers, timeout=_LAST_WORDS_SECONDS)
        for reader in open_still:
            reader.cancel()
        if open_still:
            # asyncio has no other way to let go of a pipe that somebody else holds open.
            self._process._transport.close()  # type: ignore[attr-defined]
        return Ending(code, tuple(self._last), reported=self._was_reported())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def terminate(self, grace: float) -> None:
        """Ask the process group to end, and kill it after ``grace`` seconds."""
        self.signal(signal.SIGTERM)
        waiting = asyncio.ensure_future(self._process.wait())
        _, alive = await asyncio.wait({waiting}, timeout=grace)
        if alive:
            waiting.cancel()
            self.signal(signal.SIGKILL)

    def _was_reported(self) -> bool:
        os.set_blocking(self._report, False)
        try:
            return bool(os.read(self._report, 16))
        except BlockingIOError:
            return False
        finally:
            os.close(self._report)

    async def _read(self, name: str, stream: asyncio.StreamReader) -> None:
        while True:
            try:
                raw = await stream.readuntil(b"\n")
            except asyncio.IncompleteReadError as end:
                raw = end.partial
            except asyncio.LimitOverrunError as found:
                raw = await stream.readexactly(found.consumed or _LONGEST_LINE)
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip("\r\n")[:_LONGEST_LINE]
            if name == "stderr":
                self._last.append(line)
            self._listener(name, line)


def child_environment(ours: Mapping[str, str], added: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a run: the worker's, without the service's own settings and their secrets."""
    kept = {
        name: value
        for name, value in ours.items()
        if name not in _SETTINGS and not (name.startswith("TOCSIN_") and "__" in name)
    }
    return {**kept, **added}
