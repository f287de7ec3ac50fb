"""The page behind the link in an email: looking changes nothing, pressing the button acknowledges."""

import asyncio
import json
import re
from pathlib import Path

import httpx2

from mail_server import mail_server
from notifying import until
from server_process import event, post_events, running_server

CONFIG = """
notifiers:
  mail:
    email: {written}
automations:
  failing:
    when: {{event: com.example.failed}}
    until: {{event: com.example.mended}}
    then: [{{notify: mail, title: "<script>alert(1)</script> failed"}}]
"""


async def test_looking_at_the_link_changes_nothing_and_its_button_acknowledges(tmp_path: Path):
    async with mail_server(tmp_path, password="hunter2-secret") as mails:
        written = mails.written("ada@example.com")
        written["smtp"]["password"] = mails.password
        environment = {"TOCSIN_ACTIONS__ALLOW_PRIVATE_ADDRESSES": "true"}
        with running_server(tmp_path / "data", environment=environment) as server:
            (tmp_path / "tocsin.yaml").write_text(CONFIG.format(written=json.dumps(written)))
            done = await asyncio.to_thread(server.cli, "apply", str(tmp_path / "tocsin.yaml"))
            assert done.returncode == 0, done.stderr
            with server.client() as client:
                assert post_events(client, [event("com.example.failed")]).status_code == 202
                await until(lambda: _has(mails.mails, 1), within=60)
                text = mails.mails[0].get_body(("plain",)).get_content()
                (link,) = re.findall(rf"{server.url}/ack/\S+", text)

                async with httpx2.AsyncClient() as browser:
                    for _ in range(2):
                        shown = await browser.get(link)
                    assert shown.status_code == (await browser.head(link)).status_code == 200
                    assert "<script" not in shown.text
                    assert "&lt;script&gt;alert(1)" in shown.text
                    assert "script-src" not in shown.headers["content-security-policy"]
                    assert "default-src 'none'" in shown.headers["content-security-policy"]
                    (alert,) = client.get("/alerts").json()["items"]
                    assert alert["state"] == "open"

                    thanked = await browser.post(link)
                    assert thanked.status_code == 200
                    (alert,) = client.get("/alerts").json()["items"]
                    assert alert["acknowledged_by"] == "ada@example.com"
                    assert "ada@example.com has acknowledged it" in (await browser.get(link)).text
                    await until(lambda: _has(mails.mails, 2))
                    assert mails.mails[1]["Subject"].startswith("Acknowledged: ")

                    damaged = link[:-3] + ("AAA" if link[-3:] != "AAA" else "BBB")
                    assert (await browser.get(damaged)).status_code == 404
                    assert (await browser.post(damaged)).status_code == 404
    again = [one.get_body(("plain",)).get_content() for one in mails.mails[1:]]
    assert not any("/ack/" in one for one in again)


async def _has(mails: list[object], count: int) -> bool:
    return len(mails) >= count
