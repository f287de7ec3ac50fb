"""What a killed service leaves behind: a nats-server without a parent, stopped before the next one starts.

Blocking: call it in a thread.
"""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from tocsin_events.nats_binary import NatsServerError

_PATIENCE: Final = 10.0


def stop_orphan(pid_file: Path, config_file: Path) -> None:
    """Stop the nats-server that an earlier service left behind on this data folder, if there is one.

    A process is taken for ours only if its command line names our configuration file: the pid may long belong to
    somebody else.

    Raises:
        NatsServerError: it does not end.

    """
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return
    if pid <= 1 or not _is_ours(pid, config_file):
        pid_file.unlink(missing_ok=True)
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        if _ended(pid, config_file):
            pid_file.unlink(missing_ok=True)
            return
    raise NatsServerError(
        f"the nats-server {pid} of an earlier run does not end: stop it by hand (kill -9 {pid})"
    )


def _ended(pid: int, config_file: Path) -> bool:
    patience = time.monotonic() + _PATIENCE
    while time.monotonic() < patience:
        if not _is_ours(pid, config_file):
            return True
        time.sleep(0.01)
    return False


def _is_ours(pid: int, config_file: Path) -> bool:
    return str(config_file) in _command_line(pid)


def _command_line(pid: int) -> list[str]:
    proc = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self").exists():
        try:
            return [os.fsdecode(part) for part in proc.read_bytes().split(b"\0")]
        except OSError:
            return []
    listed = subprocess.run(  # noqa: S603 - the only argument is a number
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],  # noqa: S607 - wherever the system keeps ps
        capture_output=True,
        text=True,
        check=False,
    )
    # ps joins the arguments with blanks; the configuration file is the last one.
    text = listed.stdout.strip()
    start = text.find(" -c ")
    return [text, text[start + 4 :]] if start >= 0 else [text]
