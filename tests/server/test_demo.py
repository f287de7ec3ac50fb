import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server_process import clean_environment, eventually, tocsin

_STORY = (
    "A server runs",
    "A rule is in force",
    "The flow fails",
    "could not convert string to float: 'n/a'",
    "The rule fires",
    'flow.name == "load-orders" is true',
    "An alert is in the inbox",
    "Slack",
    "Teams",
    "Email",
    "The flow works again",
    "Resolved: load-orders failed",
    "All of this really happened",
    "tocsin init",
)


def processes_of(folder: Path) -> list[str]:
    """Return the command lines of all processes that name a folder, or work in it."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(folder) in line or str(folder) in str((entry / "cwd").readlink()):
                    found.append(line)
            except OSError:
                continue
    return found


def environment_of(folder: Path) -> dict[str, str]:
    return {**clean_environment(folder), "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}


@contextmanager
def demo(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "tocsin_server.cli", "demo"]
    with subprocess.Popen(
        command, env=environment_of(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        cwd="/",
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", word: str) -> None:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if word in line:
            return
    raise AssertionError(f"it never said {word!r}: {''.join(seen)}")


def assert_nothing_is_left(folder: Path) -> None:
    assert eventually(lambda: not processes_of(folder)), processes_of(folder)
    assert list(folder.glob("tocsin-*")) == []


def test_the_demo_tells_the_whole_story_in_order_and_leaves_nothing_behind(tmp_path: Path):
    done = tocsin("demo", "--once", environment=environment_of(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    places = [done.stdout.find(word) for word in _STORY]
    assert -1 not in places, _STORY[places.index(-1)]
    assert places == sorted(places)
    assert "\x1b" not in done.stdout
    assert_nothing_is_left(tmp_path)


def test_no_line_of_the_demo_is_wider_than_the_terminal(tmp_path: Path):
    width = 80
    environment = {**environment_of(tmp_path), "COLUMNS": str(width), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR")
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "tocsin_server.cli", "demo", "--once"], env=environment, stdout=inside
    ) as process:
        os.close(inside)
        told = _read_all(terminal).decode()
    assert process.returncode == 0
    assert "\x1b[" in told
    plain = re.sub(r"\x1b\[[0-9;]*m", "", told)
    assert all(word in plain for word in _STORY)
    assert max(len(line) for line in plain.splitlines()) <= width


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_story_ends_the_demo_well_and_leaves_no_process(tmp_path: Path, number: int):
    with demo(tmp_path) as process:
        read_until(process, "--broken")
        read_until(process, "until Ctrl-C")
        read_until(process, "--broken")
        process.send_signal(number)
        assert process.wait(60) == 0
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    ("word", "number"), [("A server runs", signal.SIGINT), ("The flow fails", signal.SIGTERM)]
)
def test_a_signal_within_the_story_interrupts_it_and_leaves_no_process(
    tmp_path: Path, number: int, word: str
):
    with demo(tmp_path) as process:
        read_until(process, word)
        process.send_signal(number)
        assert process.wait(60) == 130
    assert_nothing_is_left(tmp_path)


def test_a_killed_demo_takes_its_server_and_bus_with_it(tmp_path: Path):
    with demo(tmp_path) as process:
        read_until(process, "until Ctrl-C")
        assert any("nats-server" in line for line in processes_of(tmp_path))
        process.kill()
    assert eventually(lambda: not processes_of(tmp_path)), processes_of(tmp_path)


def test_another_server_and_its_settings_do_not_disturb_the_demo(tmp_path: Path):
    (tmp_path / "tocsin.toml").write_text("[server]\nport = 1\n")
    environment = {
        **environment_of(tmp_path),
        "TOCSIN_API_URL": "http://127.0.0.1:1",
        "TOCSIN_NATS_URL": "nats://127.0.0.1:1",
        "TOCSIN_OUTBOX__DIR": str(tmp_path / "elsewhere"),
        "TOCSIN_CONFIG": str(tmp_path / "tocsin.toml"),
    }
    done = tocsin("demo", "--once", environment=environment)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "elsewhere").exists()


def _read_all(terminal: int) -> bytes:
    told = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            part = b""
        if not part:
            os.close(terminal)
            return told
        told += part
