"""Real servers for tests: `tocsin server start` as a process on a free port with a data folder of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2

T = TypeVar("T")
_SECONDS = 60


@dataclass(frozen=True)
class ServerProcess:
    """A server that is ready."""

    process: subprocess.Popen[str]
    url: str
    nats: str
    data_dir: Path
    key: str

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which commands and flows find this server, and no other."""
        return {**clean_environment(self.data_dir), "TOCSIN_DATA_DIR": str(self.data_dir)}

    def client(self, key: str | None = None) -> httpx2.Client:
        """Return an HTTP client of its API; with its admin key unless another is given (empty for none)."""
        wanted = self.key if key is None else key
        headers = {"Authorization": f"Bearer {wanted}"} if wanted else {}
        return httpx2.Client(base_url=f"{self.url}/api/v1", headers=headers, timeout=60)

    def cli(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run ``tocsin`` against it."""
        return tocsin(*arguments, environment=self.environment, stdin=stdin)

    def read(self, *arguments: str) -> Any:
        """Run ``tocsin`` with ``--output json`` and return what it printed."""
        done = self.cli(*arguments, "--output", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def log(self) -> str:
        """What it wrote on stderr."""
        return (self.data_dir / "server.log").read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(_SECONDS)


def clean_environment(home: Path) -> dict[str, str]:
    """Return the environment without anything of Tocsin, with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TOCSIN_", "XDG_"))}
    return {**kept, "HOME": str(home), "NO_COLOR": "1"}


def tocsin(
    *arguments: str, environment: Mapping[str, str], stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tocsin_server.cli", *arguments], env=dict(environment), input=stdin or "",
        capture_output=True, text=True, check=False, timeout=_SECONDS,
    )  # fmt: skip


@contextlib.contextmanager
def running_server(
    data_dir: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[ServerProcess]:
    """Start a server, give it when it is ready, and stop it in the end."""
    process = start_server(data_dir, *options, environment=environment)
    try:
        yield ready_server(process, data_dir)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        finally:
            assert process.stdout is not None
            process.stdout.close()


def start_server(
    data_dir: Path, *options: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a server process; its log goes to ``server.log`` in the data folder."""
    data_dir.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "tocsin_server.cli", "server", "start", "--data-dir", str(data_dir), "--port", "0",
        "--output", "json", *options,
    ]  # fmt: skip
    with (data_dir / "server.log").open("a") as log:
        return subprocess.Popen(
            command, env={**clean_environment(data_dir), **(environment or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip


def ready_server(process: subprocess.Popen[str], data_dir: Path) -> ServerProcess:
    """Wait until a server process says that it is ready."""
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the server ended:\n{(data_dir / 'server.log').read_text()}")
    told = json.loads(line)
    return ServerProcess(process, told["url"], told["nats"], data_dir, (data_dir / "api-key").read_text())


def eventually(ask: Callable[[], T], *, seconds: float = 60) -> T:
    """Ask until the answer is true, and return it."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"it did not come within {seconds} s; last: {answer!r}")
        time.sleep(0.05)


def event(type: str = "test.happened", id: str = "e1", **further: Any) -> dict[str, Any]:  # noqa: A002
    """Return a CloudEvent from outside."""
    return {"specversion": "1.0", "id": id, "type": type, "source": "/test", **further}


def post_events(client: httpx2.Client, events: Sequence[Mapping[str, Any]]) -> httpx2.Response:
    """Post events as a batch."""
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    return client.post("/events", content=json.dumps(list(events)).encode(), headers=headers)
