"""A process with nothing but the notification service, to be killed: ``python notifying_process.py SETTINGS``."""

import asyncio
import json
import sys

from notifying import make_engine, make_service, notification
from tocsin_events.bus import Bus, BusAddress


async def main(settings: dict[str, object]) -> None:
    engine = await make_engine(str(settings["database"]))
    bus = await Bus.connect(
        BusAddress(str(settings["url"]), str(settings["user"]), str(settings["password"]))
    )
    service = make_service(engine, bus, settings["notifiers"], lease=2_000_000)
    running = asyncio.create_task(service.run())
    print("ready", flush=True)
    for number in range(int(str(settings["count"]))):
        await service.submit(notification(f"n{number}", "hook", alert=None))
    print("submitted", flush=True)
    await running


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
