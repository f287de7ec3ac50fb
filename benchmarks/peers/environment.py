"""A Python environment with a peer in it, made once in the user's cache folder; nothing of it is a dependency of ours."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PREFECT: Final = "prefect==3.8.8"
"""What is measured beside us."""

_FASTAPI: Final = "fastapi==0.154.0"
"""The last with which this Prefect's server starts; its own requirements would let pip take a later one."""


class PeerUnavailable(SystemExit):
    """A peer can't be installed; the other rows don't need it."""


def prefect_python() -> Path:
    """Return an interpreter that has Prefect; install it at the first call."""
    return _python_with(PREFECT, _FASTAPI)


def prefect_environment(home: str | Path, **settings: str) -> dict[str, str]:
    """Return an environment in which Prefect knows this home folder and none of the user's settings, and logs errors only."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")},
        "PREFECT_HOME": str(home),
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        **settings,
    }


def _python_with(*requirements: str) -> Path:
    """Return an interpreter of the running version that has some packages; install them at the first call."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache / "tocsin-benchmarks" / "-".join([*requirements, f"python{version}"]).replace("==", "-")
    python = folder / "bin" / "python"
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(requirements, sys.executable, "-m", "venv", str(folder))
        _run(requirements, str(python), "-m", "pip", "install", "--quiet", *requirements)
        complete.touch()
    return python


def _run(requirements: Sequence[str], *command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerUnavailable(
            f"{' and '.join(requirements)} could not be installed: {done.stderr.strip() or done.stdout.strip()}\n"
            "The row `peers` needs a package index that pip can reach; all other rows run without it."
        )
