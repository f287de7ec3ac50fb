"""Slack: what it is sent, and what its answers mean."""

import asyncio
import hashlib
import hmac

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from firings import fired, resolved
from messages import HOSTILE, any_message, message
from notifying import NOON, SECRETS, delivered, finished, notification, until
from receivers import Answer, receiver
from slack_receiver import Slack, complaints_about, shown
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.message import Receipt
from tocsin_notifiers.notification import Status
from tocsin_notifiers.notifier import Outside
from tocsin_notifiers.press import Forged
from tocsin_notifiers.secret import Secrets
from tocsin_notifiers.slack import Slack as SlackNotifier
from tocsin_notifiers.slack import SlackConfig, payload
from tocsin_notifiers.slack_press import check_request
from tocsin_notifiers.testing import MemoryInbox

BOT = SlackConfig(token={"secret": "slack-token"}, channel="#data-alerts", signing_secret={"secret": "s"})


def bot(url: str, **rest: object) -> dict[str, object]:
    return {
        "slack": {"token": {"secret": "slack-token"}, "channel": "#data-alerts", "api": f"{url}/api"},
        **rest,
    }


@given(any_message)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_payload_keeps_slacks_limits(any_one):
    assert complaints_about(payload(any_one, BOT)) == []


@given(any_message)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_that_a_stranger_wrote_becomes_a_mention(any_one):
    said = shown(payload(any_one, BOT))
    for mention in ("<!", "<@", "<#"):
        assert mention not in said


CALLING = BOT.model_copy(update={"mention": ("@here", "@channel", "U024BE7LH", "SAZ94GDB8")})
CALLS = "<!here> <!channel> <@U024BE7LH> <!subteam^SAZ94GDB8> "


@given(any_message)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_only_the_settings_call_anybody_whatever_a_stranger_wrote(any_one):
    body = payload(any_one, CALLING)
    assert body["text"].startswith(CALLS) == (any_one.status is Status.FIRING)
    assert complaints_about(body) == []
    said = shown({**body, "text": body["text"].removeprefix(CALLS)})
    assert [mention for mention in ("<!", "<@", "<#") if mention in said] == []


def test_people_are_called_by_what_is_posted_of_something_wrong_and_not_by_what_follows_up():
    above = Receipt(target="#data-alerts", id="1.000100", place="C024BE91L")
    news = [
        payload(message(), CALLING),
        payload(message(follow_up="thread", broadcast=True), CALLING, above),
        payload(message(), SlackConfig(webhook_url="https://hooks.example/x", mention=["@here"])),
    ]
    assert ["<!here>" in one["text"] for one in news] == [True, True, True]
    later = [
        payload(message(follow_up="edit"), CALLING, above),
        payload(message(follow_up="thread"), CALLING, above),
        *(payload(message(status=status), CALLING) for status in (Status.ACKNOWLEDGED, Status.RESOLVED)),
    ]
    assert [one for one in later if "<!" in one["text"] or "<@" in one["text"]] == []


@pytest.mark.parametrize(
    "wrong",
    [
        "here",
        "@everyone",
        "@ada",
        "ada",
        "u024be7lh",
        "U024BE7LH>",
        "<!here>",
        "C024BE91L",
        "S1",
        "@here\n",
        "",
    ],
)
def test_whom_to_mention_is_checked_strictly(wrong):
    with pytest.raises(ValidationError):
        SlackConfig(webhook_url="https://hooks.example/x", mention=[wrong])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_flow_with_a_hostile_name_is_shown_and_pings_nobody(name):
    made = notification(firing=fired(flow=name, message=name, description=name))
    from tocsin_notifiers.default_message import Pages, make_message

    said = shown(payload(make_message(made, id="d", target="#x", pages=Pages("http://t.example")), BOT))
    assert "<!" not in said
    assert "<@" not in said
    assert "javascript:" not in said.replace("[x](javascript:alert(1))", "")


def test_links_lead_only_to_the_web():
    body = payload(
        message(body="[ok](https://a.example/?a=1&b=2) [no](javascript:alert(1)) [all](<!channel>)"), BOT
    )
    text = body["attachments"][0]["blocks"][0]["text"]["text"]
    assert "<https://a.example/?a=1&amp;b=2|ok>" in text
    assert text.count("<") == 1


def test_an_acknowledged_alert_has_no_button_to_acknowledge_it():
    actions = [
        [one["action_id"] for one in block["elements"]]
        for status in Status
        for block in payload(message(status=status), BOT)["attachments"][0]["blocks"]
        if block["type"] == "actions"
    ]
    assert ["tocsin.acknowledge" in ids for ids in actions] == [True, False, False]


async def test_the_first_message_is_edited_when_the_alert_is_acknowledged_and_when_it_is_over(serving):
    slack = Slack()
    async with receiver(slack) as there, serving({"oncall": bot(there.url)}) as service:
        await service.submit(notification(notifier="oncall"))
        await until(lambda: delivered(service, "n1"))
        await service.acknowledge("alert-1", by="ada")
        # An edit that still waited would be dropped for the next one, which shows all of it.
        await there.received(2)
        await service.keep_firing("automation.resolved", resolved())
        await service.sweep(older_than=-1_000_000)
        await there.received(3)
        assert [method for method, _ in slack.calls] == ["chat.postMessage", "chat.update", "chat.update"]
        assert len(slack.messages) == 1
        assert slack.complaints == []
        acknowledged, over = slack.calls[1][1], slack.calls[2][1]
        assert "Acknowledged by ada" in shown(acknowledged)
        assert "Resolved: nightly failed" in over["text"]


async def test_an_edit_that_has_to_be_repeated_does_not_overwrite_a_newer_one(serving):
    slack = Slack()
    async with receiver(slack) as there, serving({"oncall": bot(there.url)}) as service:
        await service.submit(notification(notifier="oncall"))
        await until(lambda: delivered(service, "n1"))
        slack.next = [Answer(503, delay=1.5)]
        await service.acknowledge("alert-1", by="ada")
        await there.received(2)
        await service.keep_firing("automation.resolved", resolved())
        await service.sweep(older_than=-1_000_000)
        ended = await until(lambda: _ended(service, 3))
        assert sorted(one.status for one in ended) == ["delivered", "delivered", "dropped"]
        [message] = slack.messages.values()
        assert "Resolved: nightly failed" in message["text"]


async def _ended(service, count):
    found = await service.deliveries.of_alert("alert-1")
    return found if len(found) == count and all(one.is_finished for one in found) else None


async def test_an_edit_that_fails_for_good_becomes_a_new_message(serving):
    slack = Slack()
    async with receiver(slack) as there, serving({"oncall": bot(there.url)}) as service:
        await service.submit(notification(notifier="oncall"))
        await until(lambda: delivered(service, "n1"))
        slack.messages.clear()
        await service.keep_firing("automation.resolved", resolved())
        await service.sweep(older_than=-1_000_000)
        await there.received(3)
        assert [method for method, _ in slack.calls] == [
            "chat.postMessage",
            "chat.update",
            "chat.postMessage",
        ]


async def test_the_resolution_answers_in_the_thread_where_that_is_wanted(serving):
    slack = Slack()
    async with receiver(slack) as there, serving({"oncall": bot(there.url, resolve="thread")}) as service:
        await service.submit(notification(notifier="oncall"))
        await until(lambda: delivered(service, "n1"))
        await service.keep_firing("automation.resolved", resolved())
        await service.sweep(older_than=-1_000_000)
        await there.received(2)
        assert slack.calls[1][1]["thread_ts"] == next(iter(slack.messages))


def test_news_below_the_first_message_is_shown_in_the_channel_too():
    above = Receipt(target="#data-alerts", id="1.000100", place="C024BE91L")
    news = payload(message(follow_up="thread", broadcast=True), BOT, above)
    assert (news["thread_ts"], news["reply_broadcast"]) == ("1.000100", True)
    assert "reply_broadcast" not in payload(message(follow_up="thread"), BOT, above)
    # Where it can't go below any more, it is a message of its own, which Slack broadcasts anyway.
    assert "reply_broadcast" not in payload(message(broadcast=True), BOT, above)


async def test_too_many_requests_wait_as_long_as_slack_says(serving):
    slack = Slack(next=[Answer(429, headers={"retry-after": "1"})])
    async with receiver(slack) as there, serving({"oncall": bot(there.url)}) as service:
        await service.submit(notification(notifier="oncall"))
        done = await until(lambda: delivered(service, "n1"))
        waited = done[0].log[1]["at"] - done[0].log[0]["at"]
        assert waited >= 1_000_000


async def test_a_message_whose_answer_got_lost_is_found_and_not_sent_again(serving):
    slack = Slack(cut=1)
    async with receiver(slack) as there, serving({"oncall": bot(there.url)}) as service:
        await service.submit(notification(notifier="oncall"))
        [done] = await until(lambda: delivered(service, "n1"))
        assert list(slack.messages) == [done.receipt.id]
        assert done.receipt.place == "C024BE91L"
        assert done.log[-1]["answer"] == "it was there already"


async def test_an_answer_in_a_thread_whose_answer_got_lost_is_found_there(serving):
    slack = Slack()
    async with receiver(slack) as there, serving({"oncall": bot(there.url, resolve="thread")}) as service:
        await service.submit(notification(notifier="oncall"))
        await until(lambda: delivered(service, "n1"))
        slack.cut = 1
        await service.keep_firing("automation.resolved", resolved())
        await service.sweep(older_than=-1_000_000)
        await until(lambda: _all_delivered(service, 2))
        assert len(slack.messages) == 2
        assert "conversations.replies" in [method for method, _ in slack.calls]


async def _all_delivered(service, count):
    found = await service.deliveries.of_notifier("oncall")
    return len(found) == count and all(one.status == "delivered" for one in found)


@pytest.fixture
async def outside():
    guard = AddressGuard(allow_private=True)
    async with HttpClient(guard) as http:
        yield Outside(
            http, Secrets(SECRETS.__getitem__), guard, lambda: NOON, lambda line: None, MemoryInbox()
        )


def notifier_at(url, outside, channel="#data-alerts"):
    return SlackNotifier(
        SlackConfig(token={"secret": "slack-token"}, channel=channel, api=f"{url}/api"), outside
    )


async def test_a_message_is_found_among_many_pages_of_others(outside):
    slack = Slack(page=2)
    slack.channels = {f"#other-{number}": f"C0OTHER{number}" for number in range(3)} | slack.channels
    async with receiver(slack) as there:
        for number in range(6):
            await notifier_at(there.url, outside).send(message(id=f"m{number}"), None)
        found = await notifier_at(there.url, outside).find(message(id="m1"), None, NOON)
        assert found is not None
        assert found.id == list(slack.messages)[1]


async def test_a_channel_named_by_its_id_needs_no_list_of_channels(outside):
    slack = Slack(scopes={"chat:write", "channels:history"})
    async with receiver(slack) as there:
        notifier = notifier_at(there.url, outside, "C024BE91L")
        receipt = await notifier.send(message(), None)
        found = await notifier_at(there.url, outside, "C024BE91L").find(message(), None, NOON)
        assert found is not None
        assert found.id == receipt.id


@pytest.mark.parametrize("missing", ["channels:read", "channels:history"])
async def test_a_scope_that_is_missing_is_told_of_once_and_keeps_nothing_from_being_sent(
    outside, caplog, missing
):
    slack = Slack(scopes={"chat:write", "channels:history", "channels:read"} - {missing})
    async with receiver(slack) as there:
        await notifier_at(there.url, outside).send(message(), None)
        notifier = notifier_at(there.url, outside)
        assert await notifier.find(message(), None, NOON) is None
        assert await notifier.find(message(), None, NOON) is None
        [told] = [one.message for one in caplog.records if "looked up" in one.message]
        assert f"give the app {missing}" in told


async def test_a_wrong_token_is_a_failure_whose_record_does_not_show_it(serving):
    slack = Slack(token="another")
    async with receiver(slack) as there, serving({"oncall": bot(there.url)}) as service:
        await service.submit(notification(notifier="oncall"))
        done = await until(lambda: finished(service, "n1"))
        assert done[0].log[-1]["answer"] == "Slack says invalid_auth"
        assert "xoxb" not in repr(done) + repr(service.setup)


async def test_a_channel_takes_no_more_than_one_message_a_second(serving):
    slack = Slack()
    async with receiver(slack) as there, serving({"oncall": bot(there.url)}) as service:
        await asyncio.gather(
            *(service.submit(notification(f"n{number}", "oncall", alert=None)) for number in range(3))
        )
        for number in range(3):
            await until(lambda n=number: delivered(service, f"n{n}"))
        starts = sorted(
            [(await service.deliveries.of_notification(f"n{number}"))[0].log[0]["at"] for number in range(3)]
        )
        assert starts[2] - starts[0] >= 1_900_000


async def test_an_incoming_webhook_gets_the_message_without_buttons_that_act(serving):
    slack = Slack()
    async with receiver(slack) as there:
        async with serving({"oncall": {"slack": {"webhook_url": f"{there.url}/services/T/B/x"}}}) as service:
            await service.submit(notification(notifier="oncall"))
            await there.received(1)
        assert slack.complaints == []
        assert "tocsin.acknowledge" not in shown(there.requests[0].json)


def test_only_what_slack_signed_lately_is_taken_from_its_buttons():
    body, secret, stamp = b"payload=%7B%7D", "8f742231b10e", str(NOON // 1_000_000)
    signature = "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    headers = {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}
    check_request(secret, headers, body, now=NOON)
    forged = [
        ("another", headers, body, NOON),
        (secret, headers, body + b"x", NOON),
        (secret, headers, body, NOON + 301_000_000),
        (secret, headers, body, NOON - 301_000_000),
        (secret, {}, body, NOON),
        (secret, {**headers, "x-slack-request-timestamp": "²"}, body, NOON),
        (secret, {**headers, "x-slack-signature": "v0=ü\ud800"}, body, NOON),
    ]
    for key, with_headers, with_body, now in forged:
        with pytest.raises(Forged):
            check_request(key, with_headers, with_body, now=now)
