"""Buttons in Slack messages: signed requests as Slack sends them, to a real server, about a run that really failed."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from notifying import until
from receivers import Receiver, receiver
from server_process import ServerProcess, running_server
from slack_receiver import Slack

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
FLOWS = """
from tocsin import flow

@flow
def fail() -> None:
    raise ValueError("boom")
"""
CONFIG = """
deployments:
  nightly: {{flow: "flows.py:fail"}}
notifiers:
  oncall:
    slack: {{token: xoxb-very-secret, channel: "#data-alerts", signing_secret: {secret}, api: "{url}/api"}}
  managers:
    slack: {{token: xoxb-very-secret, channel: "#managers", signing_secret: {secret}, api: "{url}/api"}}
  no-buttons:
    slack: {{token: xoxb-very-secret, channel: "#x", api: "{url}/api"}}
automations:
  failing:
    when: {{event: flow-run.failed, for_each: deployment.name}}
    until: {{event: flow-run.completed}}
    then: [{{notify: oncall}}, {{notify: managers}}]
"""


@dataclass
class Stage:
    """A server, a Slack, and what it showed of the alert."""

    server: ServerProcess
    slack: Slack
    there: Receiver

    async def press(self, action: str, *, notifier: str = "oncall", stamp: str = "1.0", **more: Any) -> int:
        """Press a button of the first message, as Slack tells of it, and return what the server answered."""
        body = self.interaction(action, stamp)
        return await post(f"{self.server.url}/hooks/slack/{notifier}", body, **more)

    def interaction(self, action: str, stamp: str = "1.0") -> bytes:
        told = {
            "type": "block_actions",
            "user": {"id": "U2", "username": "ada", "name": "ada", "team_id": "T1"},
            "api_app_id": "A1",
            "trigger_id": "12.34.56",
            "response_url": f"{self.there.url}/services/response",
            "actions": [
                {"type": "button", "action_id": action, "value": self.value(action), "action_ts": stamp}
            ],
        }
        return urlencode({"payload": json.dumps(told)}).encode()

    def value(self, action: str) -> str:
        blocks = self.slack.calls[0][1]["attachments"][0]["blocks"]
        buttons = [one for block in blocks if block["type"] == "actions" for one in block["elements"]]
        return next((one.get("value", "") for one in buttons if one["action_id"] == action), "")

    @property
    def alert(self) -> str:
        return str(json.loads(self.value("tocsin.acknowledge"))["alert"])

    async def read(self, *arguments: str) -> Any:
        return await asyncio.to_thread(self.server.read, *arguments)

    async def edited(self, text: str) -> None:
        """Wait until the messages of both channels have been edited to say something."""

        async def both() -> bool:
            shown = [json.dumps(body) for method, body in self.slack.calls if method == "chat.update"]
            return sum(text in one for one in shown) == 2

        await until(both)

    async def answered(self) -> list[str]:
        """What the one who pressed was told."""

        async def some() -> list[str]:
            return [one.json["text"] for one in self.there.requests if one.path == "/services/response"]

        return list(await until(some))


def signed(body: bytes, *, secret: str = SECRET, age: int = 0) -> dict[str, str]:
    stamp = str(int(time.time()) - age)
    digest = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest}",
    }


async def post(url: str, body: bytes, headers: dict[str, str] | None = None) -> int:
    async with httpx2.AsyncClient(timeout=60) as client:
        answer = await client.post(url, content=body, headers=signed(body) if headers is None else headers)
    return answer.status_code


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    slack = Slack(channels={"#data-alerts": "C1", "#managers": "C2"})
    async with receiver(slack) as there:
        environment = {"TOCSIN_ACTIONS__ALLOW_PRIVATE_ADDRESSES": "true"}
        with running_server(tmp_path / "data", environment=environment) as server:
            (tmp_path / "flows.py").write_text(FLOWS)
            (tmp_path / "tocsin.yaml").write_text(CONFIG.format(url=there.url, secret=SECRET))
            done = await asyncio.to_thread(server.cli, "apply", str(tmp_path / "tocsin.yaml"))
            assert done.returncode == 0, done.stderr
            await asyncio.to_thread(server.cli, "run", "nightly")
            await there.received(2, within=60)
            yield Stage(server, slack, there)
    assert slack.complaints == []


async def test_the_buttons_act_once_and_every_channel_hears_who_did_it(stage: Stage):
    assert await stage.press("tocsin.silence") == 200
    await stage.edited("Silenced for 1h by ada (Slack).")
    assert await stage.press("tocsin.silence") == 200
    (silence,) = await stage.read("silences", "ls")
    assert silence["author"] == "ada (Slack)"

    assert await stage.press("tocsin.retry_run") == 200
    assert await stage.press("tocsin.retry_run", stamp="2.0") == 200
    await stage.edited("retried as")
    assert len(await stage.read("runs", "ls")) == 2

    assert await stage.press("tocsin.acknowledge") == 200
    await stage.edited("Acknowledged by ada (Slack).")
    alerts = await stage.read("alerts", "ls")
    assert {one["id"]: one["acknowledged_by"] for one in alerts}[stage.alert] == "ada (Slack)"
    assert "You have acknowledged the alert." in await stage.answered()
    assert await stage.press("tocsin.open_why") == 200


async def test_what_slack_did_not_sign_lately_does_nothing_and_is_told_of(stage: Stage):
    good = stage.interaction("tocsin.acknowledge")
    url = f"{stage.server.url}/hooks/slack/"
    stale, foreign = signed(good, age=301), signed(good, secret="another")
    forged = [
        ("oncall", good, {}),
        ("oncall", good, stale),
        ("oncall", good, foreign),
        ("oncall", good + b"&x=1", signed(good)),
        ("oncall", good, {**signed(good), "x-slack-signature": "v0"}),
        ("oncall", good, {**signed(good), "x-slack-request-timestamp": "-1"}),
        ("oncall", b"payload=%7B", None),
        ("oncall", b"", None),
        ("no-buttons", good, None),
        ("nobody", good, None),
    ]
    for notifier, body, headers in forged:
        assert await post(url + notifier, body, headers) == 401, (notifier, headers)
    assert await post(url + "oncall", b"x" * 600_000) == 413
    (alert,) = await stage.read("alerts", "ls")
    assert alert["state"] == "open"

    async def told() -> list[dict[str, Any]]:
        return list(await stage.read("events", "ls", "--type", "webhook.rejected"))

    assert await until(told)
