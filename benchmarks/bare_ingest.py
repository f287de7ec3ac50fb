"""What `ingest-http` is measured against: a bare ASGI app that publishes each body with ack. Run: module, NATS URL, port."""

import asyncio
import itertools
import sys
from typing import Any

import uvicorn
import uvloop

from tocsin_events.bus import Bus, BusAddress


class Bare:
    """Publishes the bytes of each request as one event, waits for the acknowledgement, answers 202."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._numbers = itertools.count()

    async def __call__(self, _scope: dict[str, Any], receive: Any, send: Any) -> None:
        chunks = []
        while True:
            message = await receive()
            chunks.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        await self._bus.publish(b"".join(chunks), type="flow-run.failed", key=f"bare {next(self._numbers)}")
        await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


async def _serve(address: str, port: int) -> None:
    async with await Bus.connect(BusAddress.parse(address)) as bus:
        await bus.prepare()
        config = uvicorn.Config(Bare(bus), port=port, lifespan="off", log_config=None, access_log=False)
        await uvicorn.Server(config).serve()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(sys.argv[1], int(sys.argv[2])))
