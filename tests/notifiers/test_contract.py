"""Every built-in notifier passes the contract that plugins pass."""

import json

import pytest

from mail_server import mail_server
from receivers import Answer, receiver
from slack_receiver import Slack as SlackThere
from slack_receiver import shown
from tls import certificate
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.apprise import Apprise, AppriseConfig
from tocsin_notifiers.console import Console, ConsoleConfig
from tocsin_notifiers.email import Email
from tocsin_notifiers.file import File, FileConfig
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.inbox import Inbox, InboxConfig
from tocsin_notifiers.notifier import Outside, load_kinds
from tocsin_notifiers.slack import Slack, SlackConfig
from tocsin_notifiers.teams import LIMIT, Teams, TeamsConfig
from tocsin_notifiers.testing import Made, MemoryInbox, NotifierContract
from tocsin_notifiers.webhook import Webhook, WebhookConfig


def there(hook, make=str):
    def break_down():
        hook.answer = lambda request: Answer(503)

    return {"arrived": lambda: [make(one.json) for one in hook.requests], "break_down": break_down}


class TestWebhook(NotifierContract):
    @pytest.fixture
    async def made(self, outside):
        async with receiver() as hook:
            yield Made(Webhook(WebhookConfig(url=hook.url), outside), **there(hook))


class TestSlackBot(NotifierContract):
    @pytest.fixture
    async def made(self, outside, monkeypatch):
        slack = SlackThere(token="value of t")
        async with receiver(slack) as hook:
            config = SlackConfig(token={"secret": "t"}, channel="#data-alerts", api=f"{hook.url}/api")
            yield Made(Slack(config, outside), **there(hook, shown))
            assert slack.complaints == []


class TestSlackWebhook(NotifierContract):
    @pytest.fixture
    async def made(self, outside):
        slack = SlackThere()
        async with receiver(slack) as hook:
            yield Made(
                Slack(SlackConfig(webhook_url=f"{hook.url}/services/x"), outside), **there(hook, shown)
            )
            assert slack.complaints == []


class TestTeams(NotifierContract):
    """Behind TLS, and taking no more than Teams does."""

    @pytest.fixture
    async def made(self, outside, tmp_path):
        server, client = certificate(tmp_path)
        too_large = []

        def answer(request):
            too_large.extend([len(request.body)] if len(request.body) > LIMIT else [])
            return Answer(202, b"")

        guard = AddressGuard(allow_private=True)
        async with receiver(answer, tls=server) as hook, HttpClient(guard, tls=client) as http:
            secure = Outside(http, outside.secrets, guard, outside.clock, outside.write, outside.inbox)
            texts = there(hook, lambda body: json.dumps(body, ensure_ascii=False))
            yield Made(
                Teams(TeamsConfig(webhook_url=hook.url.replace("127.0.0.1", "localhost")), secure), **texts
            )
        assert too_large == []


class TestEmail(NotifierContract):
    @pytest.fixture
    async def made(self, outside, tmp_path):
        async with mail_server(tmp_path, password="value of smtp") as server:
            yield Made(
                Email(server.config(), outside), arrived=lambda: [one["subject"] for one in server.mails]
            )


class TestApprise(NotifierContract):
    @pytest.fixture
    async def made(self, outside):
        async with receiver() as hook:
            url = hook.url.replace("http://", "json://")
            yield Made(Apprise(AppriseConfig(urls=(url,)), outside), **there(hook))


class TestConsole(NotifierContract):
    @pytest.fixture
    async def made(self, outside):
        lines = []
        quiet = Outside(
            outside.http, outside.secrets, outside.guard, outside.clock, lines.append, outside.inbox
        )
        return Made(Console(ConsoleConfig(), quiet), arrived=lambda: lines)


class TestFile(NotifierContract):
    @pytest.fixture
    async def made(self, outside, tmp_path):
        path = tmp_path / "new" / "messages.jsonl"
        return Made(File(FileConfig(path=path), outside), arrived=lambda: path.read_text().splitlines())


class TestInbox(NotifierContract):
    @pytest.fixture
    async def made(self, outside):
        assert isinstance(outside.inbox, MemoryInbox)
        return Made(
            Inbox(InboxConfig(), outside), arrived=lambda: [one.title for one in outside.inbox.kept.values()]
        )


def test_every_built_in_notifier_has_its_contract_tested():
    tested = {one.__name__.removeprefix("Test").lower() for one in NotifierContract.__subclasses__()}
    assert {kind for kind in load_kinds() if not any(kind in name for name in tested)} == set()
