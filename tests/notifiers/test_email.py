"""Email: through a real server with STARTTLS and AUTH."""

import pytest
from pydantic import ValidationError

from firings import resolved
from mail_server import mail_server
from messages import HOSTILE, message
from notifying import NOON, SECRETS, delivered, finished, notification, until
from tocsin_notifiers.email import EmailConfig, payload
from tocsin_notifiers.message import Receipt

CONFIG = EmailConfig.model_validate(
    {"to": ["Ada <ada@example.com>", "b@example.com"], "from": "tocsin@example.com", "smtp": {"host": "mail"}}
)


@pytest.fixture
async def server(tmp_path):
    async with mail_server(tmp_path, password=SECRETS["smtp"]) as there:
        yield there


async def test_all_mails_about_an_alert_are_one_thread(serving, server):
    async with serving({"mail": {"email": server.written()}}) as service:
        await service.submit(notification(notifier="mail"))
        await until(lambda: delivered(service, "n1"))
        await service.acknowledge("alert-1", by="ada")
        await service.keep_firing("automation.resolved", resolved())
        await service.sweep(older_than=-1_000_000)
        await until(lambda: _came(server, 3))
    first, *later = server.mails
    thread = first["references"]
    for mail in later:
        assert mail["references"].startswith(thread)
        assert mail["in-reply-to"] == first["message-id"]
    assert len({mail["message-id"] for mail in server.mails}) == 3
    assert {mail["auto-submitted"] for mail in server.mails} == {"auto-generated"}


def test_a_reminder_answers_the_first_mail_of_its_thread():
    first = payload(message(), CONFIG)
    above = Receipt(target="ada@example.com", id=first["message-id"])
    reminder = payload(message(follow_up="thread", broadcast=True, at=NOON + 1), CONFIG, above)
    assert reminder["in-reply-to"] == first["message-id"]
    assert reminder["references"] == f"{first['references']} {first['message-id']}"
    assert reminder["message-id"] != first["message-id"]


async def test_each_recipient_has_a_result_of_its_own(serving, server):
    server.refusals["gone@example.com"] = "550 5.1.1 no such user"
    async with serving({"mail": {"email": server.written("ada@example.com", "gone@example.com")}}) as service:
        await service.submit(notification(notifier="mail"))
        done = await until(lambda: finished(service, "n1"))
    results = {one.target: (one.status, one.log[-1].get("answer")) for one in done}
    assert results["ada@example.com"][0] == "delivered"
    assert results["gone@example.com"][0] == "failed"
    assert "no such user" in results["gone@example.com"][1]
    assert [to for _, to in server.envelopes] == [["ada@example.com"]]


async def test_a_connection_is_used_again(serving, server):
    async with serving({"mail": {"email": server.written(), "concurrency": 1}}) as service:
        for number in range(5):
            await service.submit(notification(f"n{number}", "mail", alert=None))
        for number in range(5):
            await until(lambda n=number: delivered(service, f"n{n}"))
    assert server.connections == 1


async def test_a_wrong_password_fails_and_shows_none(serving, server):
    server.password = "another"
    async with serving({"mail": {"email": server.written()}}) as service:
        await service.submit(notification(notifier="mail"))
        done = await until(lambda: finished(service, "n1"))
    assert "535" in done[0].log[-1]["answer"]
    assert SECRETS["smtp"] not in repr(done)


async def test_a_recipient_that_may_come_later_is_tried_again(serving, server):
    server.refusals["data@example.com"] = "451 4.7.1 greylisted"
    async with serving({"mail": {"email": server.written()}}) as service:
        await service.submit(notification(notifier="mail"))
        await until(lambda: _tried(service))
        server.refusals.clear()
        done = await until(lambda: delivered(service, "n1"))
    assert done[0].log[0]["outcome"] == "retry"


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_that_a_stranger_wrote_becomes_a_header_or_markup(name):
    mail = payload(message(title=" ".join(name.split()), body=name, automation=name), CONFIG)
    assert mail["bcc"] is None
    assert b"\nBcc:" not in mail.as_bytes().partition(b"\r\n\r\n")[0]
    page = mail.get_body(("html",)).get_content()
    assert "<script" not in page
    assert "<img" not in page
    assert 'href="javascript:' not in page
    assert "<at>" not in page


def test_a_title_with_a_line_end_makes_no_header():
    mail = payload(message(title="a\r\nBcc: everyone@example.com"), CONFIG)
    assert mail["subject"] == "a Bcc: everyone@example.com"
    assert mail["bcc"] is None


def test_a_mail_has_text_and_html_and_names_all_recipients():
    mail = payload(message(), CONFIG)
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert [str(one) for one in mail["to"].addresses] == ["Ada <ada@example.com>", "b@example.com"]
    assert "http://tocsin.example/runs/r1" in mail.get_body(("plain",)).get_content()


@pytest.mark.parametrize("address", ["nobody", "a@", "a@b\r\nBcc: c@d", "<>"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValidationError):
        EmailConfig.model_validate({"to": [address], "from": "t@example.com", "smtp": {"host": "mail"}})


async def _came(server, count):
    return len(server.mails) >= count


async def _tried(service):
    return [one for one in await service.deliveries.of_notification("n1") if one.log]
