"""Where the server is: the one place that answers this, for the SDK and the command line."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tocsin_events.address import BusAddress

_STATE_FILE = "server.json"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that was found; ``nats_url`` is None where only its HTTP API is known."""

    url: str
    api_key: str | None = field(default=None, repr=False)
    nats_url: str | None = field(default=None, repr=False)
    nats_user: str | None = None
    nats_password: str | None = field(default=None, repr=False)

    @property
    def nats(self) -> BusAddress | None:
        """The address of its bus, if one is known.

        Raises:
            ValueError: what is known is no address.

        """
        if self.nats_url is None:
            return None
        address = BusAddress.parse(self.nats_url)
        if self.nats_user is None:
            return address
        return BusAddress(address.url, self.nats_user, self.nats_password)


def data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the data folder: TOCSIN_DATA_DIR, else ``tocsin`` in XDG's data folder."""
    if named := environ.get("TOCSIN_DATA_DIR"):
        return Path(named).expanduser()
    return Path(environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "tocsin"


def find_server(
    url: str | None = None, data_dir: Path | str | None = None, *, environ: Mapping[str, str] = os.environ
) -> Server | None:
    """Return the server to talk to, or None. Looks at the environment and one small file; no network.

    ``url`` or TOCSIN_API_URL (with TOCSIN_API_KEY) comes first, then the state file that a running local server
    keeps in ``data_dir``, TOCSIN_DATA_DIR, or the default data folder. A state file whose process is gone is passed
    over. The local server's key and bus serve for an explicit URL, too, if it is that server's.
    """
    folder = Path(data_dir).expanduser() if data_dir is not None else data_directory(environ)
    local = _local_server(folder)
    explicit = url or (environ.get("TOCSIN_API_URL") if data_dir is None else None)
    key = environ.get("TOCSIN_API_KEY") or _read_key(environ.get("TOCSIN_API_KEY_FILE"))
    nats = environ.get("TOCSIN_NATS_URL")
    if explicit:
        explicit = explicit.rstrip("/")
        if local is None or local.url != explicit:
            local = Server(explicit)
    if local is None:
        return None
    return Server(
        local.url,
        key or local.api_key,
        nats or local.nats_url,
        None if nats else local.nats_user,
        None if nats else local.nats_password,
    )


def find_bus(environ: Mapping[str, str] = os.environ) -> BusAddress | None:
    """Return the bus to publish to: TOCSIN_NATS_URL, else that of the server that is found.

    Raises:
        ValueError: TOCSIN_NATS_URL is no address.

    """
    if named := environ.get("TOCSIN_NATS_URL"):
        return BusAddress.parse(named)
    server = find_server(environ=environ)
    return server.nats if server is not None else None


def _local_server(folder: Path) -> Server | None:
    state = _read_state(folder / _STATE_FILE)
    if state is None or not _is_alive(state.get("pid")):
        return None
    url = state.get("url")
    if not isinstance(url, str) or not url:
        return None
    return Server(
        url.rstrip("/"),
        _read_key(state.get("key_file")),
        state.get("nats_url"),
        state.get("nats_user"),
        state.get("nats_password"),
    )


def _read_state(path: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def _read_key(path: object) -> str | None:
    if not isinstance(path, str) or not path:
        return None
    try:
        return Path(path).expanduser().read_text().strip() or None
    except OSError:
        return None


def _is_alive(pid: object) -> bool:
    if not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
