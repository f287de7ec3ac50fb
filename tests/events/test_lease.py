"""Leases on a real bus: one holder at a time, and a standby that takes over."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.js import JetStreamContext

from tocsin_events.lease import LeaseLost, hold_lease


@pytest.fixture
async def js(tmp_path: Path) -> AsyncIterator[JetStreamContext]:
    binary = shutil.which("nats-server") or str(Path(__import__("sys").prefix) / "bin" / "nats-server")
    process = await asyncio.create_subprocess_exec(
        binary, "-js", "-a", "127.0.0.1", "-p", "-1", "-sd", str(tmp_path), "--ports_file_dir", str(tmp_path),
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    while not (ports := list(tmp_path.glob("*.ports"))) or not ports[0].read_text():
        await asyncio.sleep(0.01)
    import json

    client = await nats.connect(json.loads(ports[0].read_text())["nats"][0])
    yield client.jetstream()
    await client.close()
    process.terminate()
    await process.wait()


async def test_a_second_holder_waits_until_the_first_gives_the_lease_back(js: JetStreamContext) -> None:
    order: list[str] = []

    async def second() -> None:
        async with hold_lease(js, "engine-0", life=2.4):
            order.append("second holds")

    async with hold_lease(js, "engine-0", life=2.4):
        waiting = asyncio.create_task(second())
        await asyncio.wait([waiting], timeout=3.5)
        order.append("first leaves")
    await asyncio.wait_for(waiting, 60)
    assert order == ["first leaves", "second holds"]


async def test_a_holder_that_stops_renewing_loses_the_lease_and_is_told(js: JetStreamContext) -> None:
    async with hold_lease(js, "engine-0", life=0.9) as held:
        bucket = await js.key_value("tocsin-leases")
        await bucket.put("engine-0", b"somebody else")
        with pytest.raises(LeaseLost, match="engine-0"):
            await asyncio.wait_for(held, 60)
