"""`ingest-http`: events a second over HTTP, one a request and batches of 100; the load comes from another process.

The limit for single events is a bare ASGI app on the same kind of server that publishes the bytes with ack. The server
runs the API alone, then with all services, which share its core.
"""

import contextlib
import itertools
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

from benchmarks.report import Figure
from benchmarks.servers import DURABILITIES, Durability, Running, own_server

_CONNECTIONS = 50
_BATCH, _BATCH_CONNECTIONS = 100, 4
_SECONDS = 2.0
_ROUNDS = 3

_seeds = itertools.count(1)


def measure() -> list[Figure]:
    """Return events a second."""
    figures = []
    for durability in DURABILITIES:
        figures += _alone(durability)
    with own_server("relaxed") as server:
        batches = statistics.median(_batches(server) for _ in range(_ROUNDS))
    figures.append(Figure("batches of 100, all services in one process, relaxed", batches, "events/s"))
    return figures


def _alone(durability: Durability) -> list[Figure]:
    singles, bare, batches = [], [], []
    with own_server(durability, "--services", "api") as server, _bare(server) as bare_host:
        for _ in range(_ROUNDS):
            singles.append(_load(_host(server), server.key, 1, _CONNECTIONS))
            bare.append(_load(bare_host, "none", 1, _CONNECTIONS))
            batches.append(_batches(server))
    return [
        Figure(
            f"one event a request, {durability}", statistics.median(singles), "events/s", statistics.median(bare),
            "bare ASGI, publish with ack", "≥ 0.6",
        ),
        Figure(f"batches of 100, {durability}", statistics.median(batches), "events/s", goal="≥ 25,000"),
    ]  # fmt: skip


def _batches(server: Running) -> float:
    return _load(_host(server), server.key, _BATCH, _BATCH_CONNECTIONS)


def _load(host: str, key: str, count: int, connections: int) -> float:
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.ingest_load", host, key, str(count), str(connections), str(_SECONDS),
            str(next(_seeds)),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def _host(server: Running) -> str:
    return server.url.removeprefix("http://")


@contextlib.contextmanager
def _bare(server: Running) -> Iterator[str]:
    """Give host and port of the bare app, on the bus of the server."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    address = server.bus_address
    url = f"nats://{address.user}:{address.password}@{address.url.removeprefix('nats://')}"
    command = [sys.executable, "-m", "benchmarks.bare_ingest", url, str(port)]
    with subprocess.Popen(command) as process:
        try:
            _wait_for(port)
            yield f"127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError("the bare app did not start")
