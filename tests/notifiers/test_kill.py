"""kill -9 at any moment: every notification arrives, and a second time only where nobody could know better."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest

from notifying import make_engine, make_service, until
from receivers import Answer, receiver
from slack_receiver import Slack

COUNT = 300


@pytest.mark.soak
@pytest.mark.timeout(110)
async def test_nothing_is_lost_when_the_process_is_killed_in_the_middle(tmp_path, nats_server, bus):
    database = f"sqlite+aiosqlite:///{tmp_path}/killed.db"
    async with receiver(lambda request: Answer(200, delay=0.02)) as hook:
        address = nats_server.address
        settings = {
            "database": database, "count": COUNT, "notifiers": {"hook": {"webhook": {"url": hook.url}, "concurrency": 8}},
            "url": address.url, "user": address.user, "password": address.password,
        }  # fmt: skip
        for share in (0.2, 0.5, 0.8):
            async with process(settings) as child:
                await hook.received(int(COUNT * share), within=30)
                os.kill(child.pid, signal.SIGKILL)
        engine = await make_engine(database)
        service = make_service(engine, bus, settings["notifiers"])
        async with process(settings):
            await until(lambda: _all_delivered(service), within=60)
        arrivals = Counter(request.headers["webhook-id"] for request in hook.requests)
        assert len(arrivals) == COUNT
        for id_, count in arrivals.items():
            delivery = await service.deliveries.get(id_)
            unknown = [line for line in delivery.log if line["outcome"] == "unknown"]
            # A second copy goes out only after an attempt whose end nobody saw.
            assert count <= 1 + len(unknown)
        assert sum(arrivals.values()) <= COUNT + 3 * 8
        await engine.dispose()


@pytest.mark.timeout(110)
async def test_slack_shows_one_copy_of_what_it_took_before_the_process_was_killed(tmp_path, nats_server, bus):
    database = f"sqlite+aiosqlite:///{tmp_path}/killed.db"
    # It takes the message at once, and says so only when nobody is left to note it.
    slack = Slack(slow=1_000)
    async with receiver(slack) as there:
        address = nats_server.address
        bot = {"token": {"secret": "slack-token"}, "channel": "#data-alerts", "api": f"{there.url}/api"}
        settings = {
            "database": database, "count": 1, "notifiers": {"hook": {"slack": bot}},
            "url": address.url, "user": address.user, "password": address.password,
        }  # fmt: skip
        async with process(settings) as child:
            await there.received(1, within=60)
            os.kill(child.pid, signal.SIGKILL)
        slack.slow = 0
        engine = await make_engine(database)
        service = make_service(engine, bus, settings["notifiers"])
        async with process(settings):
            await until(lambda: _all_delivered(service, 1), within=60)
        [delivery] = await service.deliveries.of_notifier("hook")
        assert list(slack.messages) == [delivery.receipt.id]
        assert (delivery.log[0]["outcome"], delivery.log[-1]["outcome"]) == ("unknown", "delivered")
        assert slack.complaints == []
        await engine.dispose()


async def _all_delivered(service, count=COUNT):
    found = await service.deliveries.of_notifier("hook", limit=count + 1)
    return len(found) == count and all(one.status == "delivered" for one in found)


class process:  # noqa: N801 - it reads as what it is
    """The service in a process of its own, killed at the end."""

    def __init__(self, settings):
        self._settings = json.dumps(settings)

    async def __aenter__(self):
        tests = Path(__file__).parents[1]
        self._child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(tests / "notifying_process.py"),
            self._settings,
            stdout=asyncio.subprocess.DEVNULL,
        )
        return self._child

    async def __aexit__(self, *_):
        if self._child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._child.kill()
        await self._child.wait()
