"""Opening a way to the bus: straight to NATS where its credentials are known, else through the HTTP API."""

import os
from collections.abc import Mapping

from tocsin.discovery import find_bus, find_server
from tocsin.links import Denied, Link


def open_link(environ: Mapping[str, str] = os.environ) -> Link | None:
    """Return an open link to the bus, or None where no server is known.

    Raises:
        LinkDown: one is known and can't be reached.

    """
    try:
        bus = find_bus(environ)
    except ValueError as problem:
        raise Denied(f"TOCSIN_NATS_URL: {problem}") from None
    if bus is not None:
        from tocsin.nats_link import NatsLink

        return NatsLink(bus)
    server = find_server(environ=environ)
    if server is None:
        return None
    from tocsin.http_link import HttpLink

    return HttpLink(server)
