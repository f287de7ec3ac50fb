"""A Prefect server of this benchmark's own: its process, its home folder with SQLite in it, a free port."""

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2

from benchmarks.peers.environment import prefect_environment, prefect_python
from benchmarks.servers import own_process

_START: Final = 300
"""Seconds that it has to start in; it makes its database first."""


@dataclass(frozen=True)
class PrefectServer:
    """A server that is ready; ``environment`` is the one in which programs find it."""

    url: str
    environment: dict[str, str]

    def client(self) -> httpx2.Client:
        """Return a client of its API."""
        return httpx2.Client(base_url=self.url, timeout=60)


@contextlib.contextmanager
def prefect_server() -> Iterator[PrefectServer]:
    """Give a server that is ready, as ``prefect server start`` starts it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        log = Path(home, "server.log")
        port = _free_port()
        url = f"http://127.0.0.1:{port}/api"
        environment = prefect_environment(home)
        command = [
            str(prefect_python()), "-W", "ignore", "-m", "prefect",
            "server", "start", "--host", "127.0.0.1", "--port", str(port),
        ]  # fmt: skip
        with (
            log.open("w") as output,
            own_process(command, env=environment, stdout=output, stderr=subprocess.STDOUT) as process,
        ):
            _wait(process, url, log)
            yield PrefectServer(url, {**environment, "PREFECT_API_URL": url})


def _wait(process: subprocess.Popen[str], url: str, log: Path) -> None:
    until = time.monotonic() + _START
    while not _answers(url):
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"Prefect's server did not start:\n{log.read_text()}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    with contextlib.suppress(httpx2.HTTPError):
        answer: Any = httpx2.get(f"{url}/health", timeout=10)
        return bool(answer.is_success)
    return False


def _free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        port: int = any_port.getsockname()[1]
        return port
