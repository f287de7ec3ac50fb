"""The demonstration: a real flow fails, a real rule fires, a real alert arrives and resolves.

Everything runs on this machine: a server on free ports with a temporary folder, and the starter project's flow in a
process of its own. Each step waits for what really happened; one that does not happen is an error.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from tocsin.client import Client, NotFound
from tocsin.discovery import find_server
from tocsin_notifiers.message import Message
from tocsin_server.cli.init import starter_files
from tocsin_server.errors import ExitCode, UserError

RULE: Final = "tell-when-a-flow-fails"
RULES_FILE: Final = "automations.yaml"
FLOW_FILE: Final = "flows/orders.py"
_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.02
_STOP_SECONDS: Final = 15.0
_SETTINGS: Final = """\
[server]
port = 0
data_dir = {data_dir}
shutdown_grace = "1s"

[worker]
grace = "1s"
"""

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """What the failing run led to: its last words, the event, why the rule fired, and the message that told of it."""

    last_words: str
    event: str
    because: tuple[str, ...]
    message: Message


class Demo:
    """A running server in a folder of its own, and the steps of the story."""

    def __init__(self, folder: Path, client: Client) -> None:
        self.folder = folder
        self._client = client

    @property
    def data_dir(self) -> Path:
        """The data folder of the server."""
        return self.folder / "server"

    @property
    def url(self) -> str:
        """Where the server answers."""
        return self._client.server.url

    def apply_rule(self) -> str:
        """Put the starter project's rule in force, and return its text."""
        text = (self.folder / RULES_FILE).read_text(encoding="utf-8")
        files = [{"name": RULES_FILE, "folder": str(self.folder), "text": text}]
        self._client.post("config/apply", json={"files": files})
        return text

    def let_the_flow_fail(self) -> Failure:
        """Run the flow so that it raises, and return what came of it."""
        last_words = self._run_flow("--broken")
        fired = self._first("events", "the rule to fire", type="automation.fired")
        event = str(fired["data"]["payload"]["event"]["id"])
        alert = self._first("alerts", "the alert to open", automation=RULE, state="open")
        told = self._first("inbox", "the message in the inbox", status="firing", alert=alert["id"])
        because = self._wait("the explanation", lambda: self._explain(event))
        return Failure(last_words, event, tuple(because), Message.model_validate(told["message"]))

    def let_the_flow_succeed(self, alert: str) -> Message:
        """Run the flow again so that it works, and return the message that says that the alert is over."""
        self._run_flow()
        self._first("alerts", "the alert to resolve", id=alert, state="resolved")
        told = self._first("inbox", "the resolution in the inbox", status="resolved", alert=alert)
        return Message.model_validate(told["message"])

    def _run_flow(self, *options: str) -> str:
        """Run the flow in a process of its own, and return the last line that it wrote."""
        try:
            done = subprocess.run(  # noqa: S603 - our own interpreter, our own file
                [sys.executable, FLOW_FILE, *options],
                env=_environment() | {"TOCSIN_DATA_DIR": str(self.data_dir)}, cwd=self.folder, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                timeout=_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise self._failed(f"The flow has not ended after {_SECONDS:g} s.") from None
        lines = done.stdout.strip().splitlines()
        last = lines[-1] if lines else ""
        if (done.returncode != 0) is not ("--broken" in options):
            raise self._failed(f"The flow ended with {done.returncode}, as it should not: {last}")
        return last

    def _explain(self, event: str) -> list[str] | None:
        try:
            lines: list[str] = self._client.get(f"automations/{RULE}/why", event=event)["lines"]
        except NotFound:  # the log of events is not there yet
            return None
        return lines

    def _first(self, what: str, awaited: str, **wanted: str) -> Mapping[str, Any]:
        def look() -> Mapping[str, Any] | None:
            found: list[Mapping[str, Any]] = self._client.get(what)["items"]
            return next((one for one in found if wanted.items() <= one.items()), None)

        return self._wait(awaited, look)

    def _wait(self, awaited: str, look: Callable[[], T | None]) -> T:
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end:
            found = look()
            if found is not None:
                return found
            time.sleep(_LOOK_SECONDS)
        raise self._failed(f"The demo waited {_SECONDS:g} s in vain for {awaited}.")

    def _failed(self, what: str) -> UserError:
        return _failed(what, self.folder)


@contextlib.contextmanager
def demo_server() -> Iterator[Demo]:
    """Start a server in a temporary folder with the starter project; leave no process and no file behind.

    Raises:
        UserError: it does not start, or something in the block did not happen; says what the server's log says.

    """
    with tempfile.TemporaryDirectory(prefix="tocsin-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for path, text in starter_files():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        with _server(folder):
            found = find_server(data_dir=folder / "server", environ={})
            assert found is not None
            with Client(found) as client:
                yield Demo(folder, client)


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[None]:
    """Run a server while the block runs. It has a session of its own: a terminal's Ctrl-C comes to us alone."""
    settings = folder / "tocsin.toml"
    settings.write_text(_SETTINGS.format(data_dir=json.dumps(str(folder / "server"))), encoding="utf-8")
    command = [
        sys.executable, "-m", "tocsin_server.demo_child", str(os.getpid()), "server", "start", "--config",
        str(settings), "--output", "json",
    ]  # fmt: skip
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(  # noqa: S603 - our own interpreter
            command, env=_environment(), cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=log, text=True, start_new_session=True,
        ) as server,
    ):  # fmt: skip
        try:
            assert server.stdout is not None
            # The line says that it is ready; it ends without one where it can't start.
            if not server.stdout.readline():
                raise _failed("The demo's server did not start.", folder)
            yield
        finally:
            _stop(server)


def _stop(server: subprocess.Popen[str]) -> None:
    """End the server. A second Ctrl-C does not hinder that: it takes a second or two."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    server.terminate()
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # Its bus is in its session, which nobody else is in.
        os.killpg(server.pid, signal.SIGKILL)


def _failed(what: str, folder: Path) -> UserError:
    lines = (folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
    problems = [line for line in lines if '"level": "error"' in line] or lines
    return UserError(
        what,
        f"The server's log ends: {problems[-1]}" if problems else "",
        "Run it again; if that does not help, please report it with the lines above.",
        code=ExitCode.FAILED,
    )


def _environment() -> dict[str, str]:
    """Return the environment without what would lead the demo to another server or another configuration."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
