"""Runs in Prefect's own environment: emits an event for each line of JSON on standard input.

``{"resource": …, "number": …}`` is answered with the instant, by the clock that all processes share, at which
Prefect's own client was given the event.
"""

import asyncio
import json
import sys
import time

from prefect.events import Event
from prefect.events.clients import get_events_client


async def main() -> None:
    async with get_events_client() as client:
        # Read in a thread, so that the client answers the server's pings meanwhile.
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            event = Event(
                event="order.checked",
                resource={"prefect.resource.id": asked["resource"]},
                payload={"number": asked["number"], "text": "x" * 400},
            )
            sent = time.perf_counter()
            await client.emit(event)
            print(json.dumps({"sent": sent}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
