"""A Python environment with a peer in it, made once in the user's cache folder; nothing of it is a dependency of ours."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

PREFECT: Final = "prefect==3.8.8"
"""What is measured beside us."""


class PeerUnavailable(SystemExit):
    """A peer can't be installed; the other rows don't need it."""


def python_with(requirement: str) -> Path:
    """Return an interpreter of the running version that has a package; install it at the first call."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / "tocsin-benchmarks" / f"{requirement.replace('==', '-')}-python{version}"
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(requirement, sys.executable, "-m", "venv", str(folder))
        _run(requirement, str(python), "-m", "pip", "install", "--quiet", requirement)
        complete.touch()
    return python


def _run(requirement: str, *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerUnavailable(
            f"{requirement} could not be installed: {done.stderr.strip() or done.stdout.strip()}\n"
            "The row `peers` needs a package index that pip can reach; all other rows run without it."
        )
