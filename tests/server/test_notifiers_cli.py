"""Notifiers from the command line against a real server: what an event would become, and what came of a sample."""

import asyncio
import json
from pathlib import Path

from receivers import Answer, receiver
from server_process import ServerProcess, event, eventually, post_events, running_server

CONFIG = """
notifiers:
  preview-slack:
    slack: {token: xoxb-very-secret, channel: "#data", signing_secret: hush}
    template: {title: "{{ data.table }} is <late>"}
  preview-mail:
    email: {to: [ada@example.com, bob@example.com], from: t@example.com, smtp: {host: localhost}}
  preview-router:
    route: [{where: data.table == "orders", notify: preview-slack, continue: true}, {notify: preview-mail}]
"""


def test_a_preview_shows_what_each_target_would_get_and_sends_nothing(server: ServerProcess, tmp_path: Path):
    (tmp_path / "tocsin.yaml").write_text(CONFIG)
    assert server.cli("apply", str(tmp_path / "tocsin.yaml")).returncode == 0
    with server.client() as client:
        post_events(
            client, [event("com.example.late", "late-orders", data={"table": "orders"}, subject="orders")]
        )
        eventually(lambda: client.get("/events/late-orders").status_code == 200)
        shown = server.read("notifiers", "preview", "preview-router", "--event", "late-orders")
        assert [(one["notifier"], one["target"]) for one in shown] == [
            ("preview-slack", "#data"),
            ("preview-mail", "ada@example.com"),
            ("preview-mail", "bob@example.com"),
        ]
        assert shown[0]["message"]["title"] == "orders is <late>"
        assert "orders is &lt;late&gt;" in shown[0]["payload"]["text"]
        assert shown[1]["payload"]["subject"] == "orders late"
        assert "xoxb" not in json.dumps(shown)
        assert "/ack/" not in json.dumps(shown)
        assert "/firings/" not in json.dumps(shown)
    text = server.cli("notifiers", "preview", "preview-slack", "--event", "late-orders").stdout
    assert "preview-slack (slack): #data" in text
    assert "orders is <late>" in text
    assert server.cli("notifiers", "preview", "nobody", "--event", "late-orders").returncode == 3
    assert server.cli("notifiers", "preview", "preview-mail", "--event", "nothing").returncode == 3


ANSWERS = {"/wrong": 404, "/gone": 410}


async def test_a_test_says_of_each_target_what_came_of_it(tmp_path: Path):
    async with receiver(lambda request: Answer(ANSWERS.get(request.path, 200))) as there:
        environment = {"TOCSIN_ACTIONS__ALLOWED_NETWORKS": "127.0.0.0/8"}
        with running_server(tmp_path / "data", environment=environment) as server:
            (tmp_path / "tocsin.yaml").write_text(
                f"notifiers: {{good: {{webhook: {{url: '{there.url}/'}}}}, bad: {{webhook: {{url: '{there.url}/wrong'}}}},"
                f" left: {{webhook: {{url: '{there.url}/gone'}}}},"
                " both: {route: [{notify: good, continue: true}, {notify: bad, continue: true}, {notify: left}]}}"
            )
            assert (
                await asyncio.to_thread(server.cli, "apply", str(tmp_path / "tocsin.yaml"))
            ).returncode == 0
            done = await asyncio.to_thread(server.cli, "notifiers", "test", "both")
            assert done.returncode == 1
            lines = done.stdout.splitlines()
            assert any("good" in line and "delivered" in line for line in lines)
            assert any("bad" in line and "failed" in line and "rejected: HTTP 404" in line for line in lines)
            listed = await asyncio.to_thread(server.read, "notifiers", "ls")
            problems = {one["name"]: one["problem"] for one in listed}
            assert (problems["good"], problems["bad"]) == (None, None)
            assert "the target is gone (HTTP 410" in problems["left"]


QUIET = """
notifiers:
  at-night: {console: {}, quiet: always}
  dropped: {console: {}, quiet: never-ever}
  crowd: {console: {}, group: {by: [automation.name], wait: 1h}}
  keyless: {webhook: {url: {secret: forgotten-url}}}
  loud: {console: {}}
  both: {route: [{notify: at-night, continue: true}, {notify: loud}]}
quiet_hours:
  always: {intervals: [{from: "00:00", to: "24:00"}]}
  never-ever: {intervals: [{from: "00:00", to: "24:00"}], then: drop}
"""


def test_a_test_says_what_holds_a_sample_back(server: ServerProcess, tmp_path: Path):
    (tmp_path / "tocsin.yaml").write_text(QUIET)
    assert server.cli("apply", str(tmp_path / "tocsin.yaml")).returncode == 0
    for name, said in [
        ("at-night", "held: quiet hours always defers until"),
        ("dropped", "not sent: quiet hours never-ever drops until"),
        ("crowd", "held: collected with its group until"),
        ("keyless", "there is no secret 'forgotten-url'"),
    ]:
        done = server.cli("notifiers", "test", name)
        assert done.returncode == 1
        assert any(name in line and said in line for line in done.stdout.splitlines()), done.stdout
        assert "nobody" not in done.stderr
    done = server.cli("notifiers", "test", "both")
    assert done.returncode == 1
    assert ["delivered" in line for line in done.stdout.splitlines() if "loud" in line] == [True]
    assert ["held" in line for line in done.stdout.splitlines() if "at-night" in line] == [True]


def test_a_missing_secret_is_told_of_until_it_is_set(server: ServerProcess, tmp_path: Path):
    (tmp_path / "tocsin.yaml").write_text(
        'notifiers: {needs-token: {slack: {channel: "#x", token: {secret: later-token}}}}'
    )
    said = "there is no secret 'later-token': `tocsin secrets set later-token`"
    for command in ("plan", "apply"):
        done = server.cli(command, str(tmp_path / "tocsin.yaml"))
        assert done.returncode == 0
        assert done.stderr.strip() == f"{tmp_path}/tocsin.yaml:1:57: warning: {said}"

    def problem() -> str | None:
        (found,) = [one for one in server.read("notifiers", "ls") if one["name"] == "needs-token"]
        return found["problem"]

    assert problem() == said
    assert server.cli("secrets", "set", "later-token", stdin="xoxb-1").returncode == 0
    assert problem() is None
    assert server.cli("apply", str(tmp_path / "tocsin.yaml")).stderr == ""
