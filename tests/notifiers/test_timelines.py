"""Days of alerts in virtual time: who is told what, and when, and why not."""

from dataclasses import dataclass, field

import pytest

from firings import fired, resolved
from notifying import NOON, make_service, notification
from tocsin_events.duration import format_duration, parse_duration
from tocsin_events.instant import to_rfc3339
from tocsin_notifiers import delivery as steps
from tocsin_notifiers import email
from tocsin_notifiers.alert import Refused
from tocsin_notifiers.delivery import delivered
from tocsin_notifiers.ledger import Claimed
from tocsin_notifiers.message import Receipt
from tocsin_notifiers.notification import Severity
from tocsin_notifiers.webhook import payload as webhook_payload


@dataclass
class Day:
    """A service whose clock is moved by hand; deliveries are looked at, not sent."""

    service: object
    clock: list[int]
    firings: int = 0
    names: list[str] = field(default_factory=list)

    async def at(self, written: str) -> None:
        """Move the clock to so long after noon; everything happens in its time."""
        goal = NOON + parse_duration(written)
        while (due := await self.service.next_due()) is not None and due <= goal:
            self.clock[0] = max(self.clock[0], due)
            await self.service.move_due()
        self.clock[0] = goal

    async def fires(self, alert="alert-1", notifier="hook", *, count=1, severity=Severity.ERROR, **about):
        self.firings += 1
        payload = fired(
            alert=alert, id_=f"f{self.firings}", count=count, opened=_written(self.clock[0]), **about
        )
        await self.service.keep_firing("automation.fired", payload)
        asked = notification(
            f"n{self.firings}", notifier, alert, firing=payload, severity=severity, created=self.clock[0]
        )
        await self.service.submit(asked)

    async def resolves(self, alert="alert-1", **about):
        self.firings += 1
        await self.service.keep_firing(
            "automation.resolved", resolved(alert=alert, id_=f"f{self.firings}", **about)
        )

    async def withdraws(self, alert="alert-1", **about):
        """Its rule is paused, removed or changed."""
        self.firings += 1
        ended = resolved(alert=alert, id_=f"f{self.firings}", **about)
        await self.service.keep_firing("automation.resolved", {**ended, "reason": "withdrawn", "event": None})

    async def told(self, notifier="hook") -> list[tuple[str, str]]:
        """What a notifier was told: how long after noon, and the title."""
        found = await self.service.deliveries.of_notifier(notifier)
        # What is told at the same instant comes in no order.
        return [
            (_after(one.created), one.message.title)
            for one in sorted(found, key=lambda one: (one.created, one.message.title))
        ]

    async def bodies(self, notifier="hook") -> dict[str, str]:
        """What the messages of a notifier say, by their titles; the last one of each title."""
        found = await self.service.deliveries.of_notifier(notifier)
        return {one.message.title: one.message.body for one in sorted(found, key=lambda one: one.created)}

    async def arrives(self, notifier="hook"):
        """Let everything arrive that was handed over so far."""
        for one in await self.service.deliveries.of_notifier(notifier):
            claim = await self.service.deliveries.claim(one.id)
            if isinstance(claim, Claimed):
                receipt, now = Receipt(target=one.target, id=one.id), self.clock[0]
                await self.service.deliveries.record(delivered(claim.delivery, receipt, started=now, now=now))

    async def reasons(self, alert="alert-1") -> list[str]:
        story = await self.service.story(alert)
        return [way["reason"] for way in story.ways]


def _after(instant: int) -> str:
    return format_duration(instant - NOON)


def _written(instant: int) -> str:
    return to_rfc3339(instant)


@pytest.fixture
def day(engine, bus):
    def begin(notifiers=None, *, bare=False, **sections):
        """Begin a day with webhooks that have some options or, ``bare``, with notifiers as they are written."""
        clock = [NOON]
        hook = {"webhook": {"url": "http://127.0.0.1:9/"}}
        written = (
            {"hook": hook}
            if notifiers is None
            else notifiers
            if bare
            else {
                n: {**hook, **o} if "route" not in o and "escalate" not in o else o
                for n, o in notifiers.items()
            }
        )
        return Day(make_service(engine, bus, written, clock=lambda: clock[0], **sections), clock)

    return begin


async def test_an_open_alert_is_told_once_and_reminded_until_it_is_over(day):
    today = day({"hook": {"remind": "1h"}})
    await today.fires()
    await today.at("10m")
    await today.fires(count=2)
    await today.at("2h30m")
    await today.resolves()
    await today.at("6h")
    assert await today.told() == [
        ("0s", "nightly failed"),
        ("1h", "nightly failed 2 times"),
        ("2h", "nightly failed 2 times"),
        ("2h30m", "Resolved: nightly failed 2 times"),
    ]
    assert "already-told" in await today.reasons()


async def test_what_tells_again_of_an_alert_goes_below_the_message_that_told_of_it_first(day):
    today = day({"chat": {**BOT, "remind": "1h"}}, bare=True)
    await today.fires(notifier="chat", severity=Severity.WARNING)
    await today.arrives("chat")
    await today.at("30m")
    await today.fires(notifier="chat", severity=Severity.CRITICAL, count=2)
    await today.at("1h")
    await today.arrives("chat")
    await today.at("2h")
    await today.arrives("chat")
    await today.resolves()
    first, *later = sorted(await today.service.deliveries.of_notifier("chat"), key=lambda one: one.created)
    assert (first.message.follow_up, first.after) == ("message", None)
    assert {one.after for one in later} == {first.id}
    assert {one.message.thread for one in later} == {first.message.thread}
    *again, end = [(one.message.follow_up, one.message.broadcast) for one in later]
    assert set(again) == {("thread", True)}
    assert end == ("edit", False)


async def test_a_reminder_is_a_mail_of_its_own_in_the_thread_of_the_alert(day):
    config = {"to": ["ada@example.com"], "from": "tocsin@example.com", "smtp": {"host": "mail"}}
    today = day({"mail": {"email": config, "remind": "1h"}}, bare=True)
    await today.fires(notifier="mail")
    await today.arrives("mail")
    await today.at("2h")
    found = sorted(await today.service.deliveries.of_notifier("mail"), key=lambda one: one.created)
    mails = [email.payload(one.message, email.EmailConfig.model_validate(config)) for one in found]
    assert len({mail["message-id"] for mail in mails}) == len(mails) == 3
    assert len({mail["references"] for mail in mails}) == 1
    assert [one.after for one in found[1:]] == [found[0].id] * 2


@pytest.mark.parametrize("resolve", ["edit", "message"])
async def test_a_reminder_stands_alone_where_nothing_arrived_or_each_message_shall(day, resolve):
    today = day({"chat": {**BOT, "remind": "1h", "resolve": resolve}}, bare=True)
    await today.fires(notifier="chat")
    if resolve == "message":
        await today.arrives("chat")
    await today.at("1h")
    found = await today.service.deliveries.of_notifier("chat")
    assert [(one.message.follow_up, one.after) for one in found] == [("message", None)] * 2


async def test_the_reminder_of_a_group_goes_below_the_message_that_told_of_all_of_it(day):
    today = day({"chat": {**BOT, "group": TEAM, "remind": "1h"}}, bare=True)
    for number in range(3):
        await today.fires(f"alert-{number}", "chat", labels={"team": "data"})
    await today.at("1m")
    await today.arrives("chat")
    await today.resolves("alert-0")
    await today.at("1h30s")
    first, _, reminder = sorted(
        await today.service.deliveries.of_notifier("chat"), key=lambda one: one.created
    )
    assert reminder.message.title == "2 alerts of page-on-failure"
    assert (reminder.after, reminder.message.thread) == (first.id, first.message.thread)


async def test_news_below_a_message_that_waits_is_not_dropped_for_an_edit_of_it(day):
    today = day({"chat": {**BOT, "remind": "1h"}}, bare=True)
    await today.fires(notifier="chat")
    await today.arrives("chat")
    await today.at("1h")
    await today.service.acknowledge("alert-1", by="ada")
    found = sorted(await today.service.deliveries.of_notifier("chat"), key=lambda one: one.message.follow_up)
    assert [(one.message.follow_up, str(one.status)) for one in found] == [
        ("edit", "pending"),
        ("message", "delivered"),
        ("thread", "pending"),
    ]


async def test_an_acknowledged_alert_is_not_reminded_of(day):
    today = day({"hook": {"remind": "1h"}})
    await today.fires()
    await today.at("30m")
    await today.service.acknowledge("alert-1", by="ada")
    await today.at("5h")
    assert [title for _, title in await today.told()] == ["nightly failed", "Acknowledged: nightly failed"]
    assert "acknowledged" in await today.reasons()


async def test_an_escalation_goes_on_until_somebody_acknowledges(day):
    steps = [
        {"notify": "one"},
        {"wait": "10m", "unless": "acknowledged"},
        {"notify": "two"},
        {"wait": "10m"},
        {"repeat": 2},
    ]
    today = day({"one": {}, "two": {}, "page": {"escalate": steps}})
    await today.fires(notifier="page")
    await today.at("25m")
    await today.service.acknowledge("alert-1", by="ada")
    await today.at("3h")
    one, two = await today.told("one"), await today.told("two")
    assert [when for when, title in one if title == "nightly failed"] == ["0s", "20m"]
    assert [when for when, title in two if title == "nightly failed"] == ["10m"]
    assert one[-1] == ("25m", "Acknowledged: nightly failed")
    assert two[-1] == ("25m", "Acknowledged: nightly failed")
    story = await today.service.story("alert-1")
    assert [str(entry.step) for entry in story.history] == [
        "opened",
        "escalated",
        "escalated",
        "acknowledged",
    ]


async def test_an_end_follows_a_reminder_where_the_first_message_never_arrived(day):
    today = day({"hook": {"remind": "1h"}})
    await today.fires()
    deliveries = today.service.deliveries
    [first] = await deliveries.of_alert("alert-1")
    await deliveries.record(steps.refused(first, "no such place", started=NOON, now=NOON))
    await today.at("1h30m")
    await today.resolves()
    _, reminder, end = await deliveries.of_alert("alert-1")
    assert end.after == reminder.id


async def test_without_an_alert_an_escalation_ends_at_its_first_wait(day):
    today = day(
        {"one": {}, "two": {}, "page": {"escalate": [{"notify": "one"}, {"wait": "10m"}, {"notify": "two"}]}}
    )
    await today.fires(alert=None, notifier="page")
    await today.at("1h")
    assert len(await today.told("one")) == 1
    assert await today.told("two") == []


async def test_a_group_is_told_after_its_wait_and_no_more_often_than_its_interval(day):
    today = day({"hook": {"group": {"by": ["automation.labels.team"], "wait": "30s", "interval": "5m"}}})
    for number in range(3):
        await today.fires(f"alert-{number}", labels={"team": "data"}, flow=f"flow-{number}")
    await today.fires("alert-x", labels={"team": "web"})
    await today.at("1m")
    assert await today.told() == [("30s", "3 alerts of page-on-failure"), ("30s", "nightly failed")]
    await today.fires("alert-3", labels={"team": "data"})
    await today.fires("alert-4", labels={"team": "data"})
    await today.at("10m")
    assert (await today.told())[2:] == [("5m30s", "2 alerts of page-on-failure")]


async def test_an_alert_that_fires_again_before_its_group_is_told_is_one_of_the_group(day):
    today = day({"hook": {"group": {"wait": "1m"}, "remind": "1h"}})
    for moment in ("0s", "20s", "40s"):
        await today.at(moment)
        await today.fires("alert-1")
    await today.at("90m")
    assert await today.told() == [("1m", "nightly failed"), ("1h1m", "nightly failed")]
    assert (await today.reasons("alert-1")).count("already-told") == 2


async def test_what_is_over_before_its_group_is_told_is_not_told(day):
    today = day({"hook": {"group": {"wait": "30s"}}})
    await today.fires("alert-1")
    await today.at("10s")
    await today.resolves("alert-1")
    await today.at("10m")
    assert await today.told() == []
    assert await today.reasons("alert-1") == ["over"]


TEAM = {"by": ["automation.labels.team"], "wait": "30s", "interval": "5m"}


async def test_the_ends_of_a_group_are_told_together_at_its_turn_with_what_is_still_open(day):
    today = day({"hook": {"group": TEAM}})
    for number in range(4):
        await today.fires(f"alert-{number}", labels={"team": "data"}, flow=f"flow-{number}")
    await today.at("1m")
    await today.arrives()
    await today.resolves("alert-0")
    await today.at("4m")
    await today.resolves("alert-1")
    await today.resolves("alert-2")
    assert await today.told() == [("30s", "4 alerts of page-on-failure")]
    await today.at("6m")
    ends = "Resolved: 3 alerts of page-on-failure, 1 still open"
    assert (await today.told())[1:] == [("5m30s", ends)]
    said, _, left = (await today.bodies())[ends].partition("**Still open:**")
    assert (said.count("over after 1m"), said.count("over after 4m")) == (1, 2)
    assert left.count("nightly failed") == left.count("since 2026-03-01 12:00") == 1
    await today.resolves("alert-3")
    await today.at("1h")
    assert (await today.told())[2:] == [("10m30s", "Resolved: nightly failed")]
    assert "Still open" not in (await today.bodies())["Resolved: nightly failed"]


async def test_an_end_that_waits_for_its_groups_turn_says_so(day):
    today = day({"hook": {"group": TEAM}})
    await today.fires(labels={"team": "data"})
    await today.at("1m")
    await today.resolves()
    way = (await today.service.story("alert-1")).ways[-1]
    assert (way["status"], way["state"], way["stage"], way["reason"]) == (
        "resolved",
        "held",
        "group",
        "grouped",
    )
    assert way["detail"] == "until its group's turn at 2026-03-01T12:05:30Z"
    await today.at("6m")
    assert (await today.service.story("alert-1")).ways[-1]["state"] == "passed"


async def test_what_ends_together_long_after_the_groups_last_message_is_collected_for_its_wait(day):
    today = day({"hook": {"group": TEAM}})
    for number in range(3):
        await today.fires(f"alert-{number}", labels={"team": "data"})
    await today.at("1h")
    await today.arrives()
    for number in range(3):
        await today.at(f"1h{10 * number}s")
        await today.resolves(f"alert-{number}")
    await today.at("3h")
    assert (await today.told())[1:] == [("1h30s", "Resolved: 3 alerts of page-on-failure")]


async def test_no_end_waits_longer_than_the_interval_also_where_the_wait_is_longer(day):
    today = day({"hook": {"group": {**TEAM, "wait": "20m"}}})
    await today.fires("alert-1", labels={"team": "data"})
    await today.at("1h")
    await today.fires("alert-2", labels={"team": "data"})
    await today.resolves("alert-1")
    await today.at("3h")
    assert (await today.told())[1:] == [("1h5m", "Resolved: nightly failed"), ("1h20m", "nightly failed")]


async def test_somebody_who_acknowledges_is_not_kept_waiting_by_the_group(day):
    today = day({"hook": {"group": TEAM}})
    for alert in ("alert-1", "alert-2"):
        await today.fires(alert, labels={"team": "data"})
    await today.at("1m")
    await today.arrives()
    await today.service.acknowledge("alert-1", by="ada")
    assert (await today.told())[1:] == [("1m", "Acknowledged: nightly failed")]
    await today.resolves("alert-2")
    await today.service.resolve("alert-1", by="ada")
    await today.at("1h")
    ends = "Resolved: 2 alerts of page-on-failure"
    assert (await today.told())[2:] == [("5m30s", ends)]
    assert "Resolved by ada" in (await today.bodies())[ends]


async def test_what_fires_again_before_its_end_was_told_is_told_at_the_same_turn_and_as_open(day):
    today = day({"hook": {"group": TEAM}})
    await today.fires("before", labels={"team": "data"})
    await today.at("1m")
    await today.arrives()
    await today.resolves("before")
    await today.at("2m")
    await today.fires("again", labels={"team": "data"})
    await today.at("1h")
    assert (await today.told())[1:] == [("5m30s", "Resolved: nightly failed"), ("5m30s", "nightly failed")]
    said, _, left = (await today.bodies())["Resolved: nightly failed"].partition("**Still open:**")
    assert said.startswith("It lasted 1m")
    assert "since 2026-03-01 12:02" in left


async def test_a_late_firing_of_what_is_over_does_not_have_its_end_told_twice(day):
    today = day({"hook": {"group": {"wait": "0s", "interval": "5m"}}})
    await today.resolves()
    for moment, severity in (("0s", Severity.INFO), ("6m", Severity.WARNING), ("7m", Severity.CRITICAL)):
        await today.at(moment)
        await today.fires(severity=severity)
    await today.at("1h")
    assert [title for _, title in await today.told()].count("Resolved: nightly failed") == 1


async def test_a_group_that_was_told_to_be_over_begins_anew(day):
    today = day({"hook": {"group": TEAM}})
    await today.fires("alert-1", labels={"team": "data"})
    await today.at("1m")
    await today.resolves("alert-1")
    await today.at("6m")
    await today.fires("alert-2", labels={"team": "data"})
    await today.at("1h")
    assert await today.told() == [
        ("30s", "nightly failed"),
        ("5m30s", "Resolved: nightly failed"),
        ("6m30s", "nightly failed"),
    ]


async def test_where_ends_are_not_told_a_group_tells_none(day):
    today = day({"hook": {"group": TEAM, "resolve": "none"}})
    await today.fires(labels={"team": "data"})
    await today.at("1m")
    await today.resolves()
    await today.at("1h")
    assert await today.told() == [("30s", "nightly failed")]
    assert "resolve-none" in await today.reasons()


async def test_a_silence_or_night_that_began_in_between_does_not_keep_a_groups_ends_back(day):
    hours = {"nights": {"intervals": [{"from": "12:01", "to": "18:00"}]}}
    today = day({"hook": {"group": TEAM, "quiet": "nights"}}, quiet_hours=hours)
    for alert in ("alert-1", "alert-2"):
        await today.fires(alert, labels={"team": "data"})
    await today.at("2m")
    await today.arrives()
    await today.service.silence('flow.name == "etl"', ends=NOON + parse_duration("3h"), author="ada")
    for alert in ("alert-1", "alert-2"):
        await today.resolves(alert)
    await today.at("9h")
    assert (await today.told())[1:] == [("5m30s", "Resolved: 2 alerts of page-on-failure")]


async def test_an_end_never_depends_on_whether_another_alerts_message_arrives(day):
    today = day({"hook": {"group": {**TEAM, "by": ["severity"]}}})
    await today.fires("alert-1")
    await today.at("1m")
    await today.arrives()
    for alert in ("alert-2", "alert-3"):
        await today.fires(alert)
    await today.at("6m")
    for number in range(1, 4):
        await today.resolves(f"alert-{number}")
    await today.at("1h")
    # The second message is still on its way: what follows up on it waits for it, and only that.
    assert (await today.told())[2:] == [
        ("10m30s", "Resolved: 2 alerts of page-on-failure"),
        ("10m30s", "Resolved: nightly failed"),
    ]
    found = await today.service.deliveries.of_notifier("hook")
    followed = {one.after for one in found if one.message.status == "resolved"}
    assert followed == {one.id for one in found if one.message.status == "firing"}


BOT = {"slack": {"token": {"secret": "slack-token"}, "channel": "#data-alerts"}}


async def test_where_messages_can_be_edited_a_groups_message_shows_its_present_state(day):
    today = day({"chat": {**BOT, "group": TEAM}}, bare=True)
    for number in range(3):
        await today.fires(f"alert-{number}", "chat", labels={"team": "data"}, flow=f"flow-{number}")
    await today.at("1m")
    await today.arrives("chat")
    await today.service.acknowledge("alert-1", by="ada")
    await today.resolves("alert-0")
    await today.at("6m")
    await today.resolves("alert-1")
    await today.resolves("alert-2")
    await today.at("1h")
    assert await today.told("chat") == [
        ("30s", "3 alerts of page-on-failure"),
        ("1m", "3 of 3 alerts of page-on-failure still open"),
        ("5m30s", "2 of 3 alerts of page-on-failure still open"),
        ("10m30s", "Resolved: 3 alerts of page-on-failure"),
    ]
    found = sorted(await today.service.deliveries.of_notifier("chat"), key=lambda one: one.created)
    assert [one.message.follow_up for one in found] == ["message", "edit", "edit", "edit"]
    assert {one.after for one in found[1:]} == {found[0].id}
    assert "acknowledged by ada" in found[2].message.body
    assert [one.message.body.count("over after") for one in found] == [0, 0, 1, 3]


async def test_an_alert_that_is_withdrawn_is_not_told_as_one_that_is_over(day):
    today = day()
    await today.fires()
    await today.at("5s")
    await today.withdraws()
    assert (await today.told())[1:] == [("5s", "Withdrawn: nightly failed")]
    [end] = [one for one in await today.service.deliveries.of_notifier("hook") if one.message.withdrawn]
    assert end.message.body.startswith(
        "The rule was paused, removed or changed: whether it is over is not known.\n\nIt was open for 5s."
    )
    assert webhook_payload(end.message)["type"] == "notification.resolved"
    assert webhook_payload(end.message)["data"]["withdrawn"] is True


@pytest.mark.parametrize("resolve", ["edit", "thread"])
async def test_the_ends_of_a_group_tell_which_of_its_alerts_were_withdrawn(day, resolve):
    today = day({"chat": {**BOT, "group": TEAM, "resolve": resolve}}, bare=True)
    for number in range(2):
        await today.fires(f"alert-{number}", "chat", labels={"team": "data"}, flow=f"flow-{number}")
    await today.at("1m")
    await today.arrives("chat")
    await today.withdraws("alert-0")
    await today.resolves("alert-1")
    await today.at("6m")
    [(_, title)] = (await today.told("chat"))[1:]
    assert title == "Ended: 2 alerts of page-on-failure, 1 of them withdrawn"
    [end] = [one.message for one in await today.service.deliveries.of_notifier("chat") if one.after]
    assert end.withdrawn
    assert (end.body.count("over after"), end.body.count("withdrawn (")) == (1, 1)


async def test_a_group_of_which_all_is_withdrawn_resolves_nothing(day):
    today = day({"chat": {**BOT, "group": TEAM}}, bare=True)
    for number in range(2):
        await today.fires(f"alert-{number}", "chat", labels={"team": "data"})
    await today.at("1m")
    await today.arrives("chat")
    for number in range(2):
        await today.withdraws(f"alert-{number}")
    await today.at("6m")
    assert (await today.told("chat"))[1:] == [("5m30s", "Withdrawn: 2 alerts of page-on-failure")]


async def test_an_edit_that_a_newer_one_overtakes_is_not_made_any_more(day):
    today = day({"chat": BOT}, bare=True)
    await today.fires(notifier="chat")
    await today.arrives("chat")
    await today.at("1m")
    await today.service.acknowledge("alert-1", by="ada")
    await today.at("2m")
    await today.resolves()
    found = sorted(await today.service.deliveries.of_notifier("chat"), key=lambda one: one.created)
    assert [(str(one.message.status), str(one.status)) for one in found] == [
        ("firing", "delivered"),
        ("acknowledged", "dropped"),
        ("resolved", "pending"),
    ]


async def test_a_digest_that_is_edited_keeps_its_other_alerts(day):
    hours = {"nights": {"intervals": [{"from": "12:00", "to": "18:00"}]}}
    today = day({"chat": {**BOT, "quiet": "nights"}}, bare=True, quiet_hours=hours)
    for alert in ("alert-1", "alert-2"):
        await today.fires(alert, "chat")
    await today.at("7h")
    await today.resolves("alert-1")
    assert await today.told("chat") == [
        ("6h", "2 alerts of page-on-failure"),
        ("7h", "1 of 2 alerts of page-on-failure still open"),
    ]


async def test_no_message_leaves_during_a_silence_and_what_is_still_open_is_told_after_it(day):
    today = day()
    await today.service.silence(
        'flow.name == "etl"', ends=NOON + parse_duration("1h"), author="ada", comment="migration"
    )
    await today.fires("alert-1")
    await today.fires("alert-2", flow="etl")
    await today.fires("alert-3", flow="other")
    await today.at("30m")
    assert await today.told() == [("0s", "nightly failed")]
    await today.resolves("alert-2")
    await today.at("2h")
    assert [when for when, _ in await today.told()] == ["0s", "1h"]
    assert await today.reasons("alert-2") == ["over"]
    assert await today.reasons("alert-1") == ["unmuted"]


async def test_a_silence_that_began_in_between_does_not_keep_the_resolution_back(day):
    today = day()
    await today.fires()
    await today.service.silence('flow.name == "etl"', ends=NOON + parse_duration("1h"), author="ada")
    await today.at("10m")
    await today.resolves()
    assert [title for _, title in await today.told()] == ["nightly failed", "Resolved: nightly failed"]


async def test_a_deleted_silence_lets_go_soon(day):
    today = day()
    silence = await today.service.silence(
        'flow.name == "etl"', ends=NOON + parse_duration("8h"), author="ada"
    )
    await today.fires()
    await today.at("10m")
    await today.service.delete_silence(silence.id)
    await today.at("12m")
    assert len(await today.told()) == 1


async def test_an_inhibited_alert_is_told_when_its_cause_is_over_and_it_is_not(day):
    rules = [
        {
            "source": 'automation.name == "warehouse-down"',
            "target": 'automation.name == "late"',
            "equal": ["deployment.labels.env"],
        }
    ]
    today = day(inhibit=rules)
    await today.fires("root", automation="warehouse-down")
    await today.fires("leaf", automation="late")
    await today.at("30m")
    assert len(await today.told()) == 1
    story = await today.service.story("leaf")
    assert (story.ways[0]["reason"], story.ways[0]["by"]) == ("inhibited", "root")
    await today.resolves("root", automation="warehouse-down")
    await today.at("35m")
    assert [title for _, title in await today.told()] == [
        "nightly failed",
        "Resolved: nightly failed",
        "nightly failed",
    ]


async def test_quiet_hours_end_in_one_digest_of_what_is_still_open(day):
    hours = {"nights": {"intervals": [{"from": "12:00", "to": "18:00"}], "only": ["critical"]}}
    today = day({"hook": {"quiet": "nights"}}, quiet_hours=hours)
    await today.fires("alert-1")
    await today.fires("alert-2")
    await today.fires("alert-3")
    await today.fires("alert-4", severity=Severity.CRITICAL)
    await today.at("1h")
    await today.resolves("alert-2")
    await today.at("7h")
    assert await today.told() == [("0s", "nightly failed"), ("6h", "2 alerts of page-on-failure")]


async def test_dropped_in_quiet_hours_is_dropped_for_good_and_says_so(day):
    hours = {"nights": {"intervals": [{"from": "12:00", "to": "18:00"}], "then": "drop"}}
    today = day({"hook": {"quiet": "nights"}}, quiet_hours=hours)
    await today.fires()
    await today.at("8h")
    assert await today.told() == []
    assert await today.reasons() == ["quiet-hours"]


async def test_a_route_takes_the_first_branch_that_fits_and_goes_on_where_it_says_so(day):
    branches = [
        {"where": 'severity == "critical"', "notify": "page", "continue": True},
        {"where": '"finance" in tags', "notify": "mail"},
        {"notify": "chat"},
    ]
    today = day({"page": {}, "mail": {}, "chat": {}, "router": {"route": branches}})
    await today.fires("a", "router", severity=Severity.CRITICAL, tags=("finance",))
    await today.fires("b", "router")
    told = {name: len(await today.told(name)) for name in ("page", "mail", "chat")}
    assert told == {"page": 1, "mail": 1, "chat": 1}


async def test_what_nobody_would_get_goes_to_the_inbox_with_a_warning(day):
    today = day({"chat": {}, "router": {"route": [{"where": "false", "notify": "chat"}]}})
    await today.fires("a", "router")
    await today.fires("b", "gone")
    unfit, unknown = await _in_the_inbox(today)
    assert "Nobody is notified by 'router'**: none of its branches fits." in unfit.body
    assert "Nobody is notified by 'gone'**: there is no notifier of that name." in unknown.body
    assert "`tocsin apply`" in unknown.body


async def _in_the_inbox(today):
    found = await today.service.deliveries.of_notifier("inbox")
    return [one.message for one in sorted(found, key=lambda one: one.message.alert.id)]


@pytest.mark.parametrize(
    ("asked", "told"), [(Severity.INFO, Severity.WARNING), (Severity.CRITICAL, Severity.CRITICAL)]
)
async def test_what_nobody_would_get_says_in_the_inbox_all_that_it_would_have_said(day, asked, told):
    today = day({"oncall": {}})
    await today.fires("a", "oncall", severity=asked)
    await today.fires("a2", "oncal", severity=asked)
    [wanted] = [one.message for one in await today.service.deliveries.of_notifier("oncall")]
    [kept] = await _in_the_inbox(today)
    assert kept.body.startswith(wanted.body + "\n\n**Nobody is notified by 'oncal'**")
    assert "did you mean 'oncall'?" in kept.body
    assert [one for one in kept.fields if one.name == "Because"] == [
        one for one in wanted.fields if one.name == "Because"
    ]
    assert (kept.title, kept.severity) == (wanted.title, told)


async def test_what_nobody_would_get_says_so_also_when_a_silence_has_held_it(day):
    today = day()
    await today.service.silence('flow.name == "etl"', ends=NOON + parse_duration("1h"), author="ada")
    await today.fires("a", "gone", severity=Severity.INFO)
    await today.at("2h")
    [kept] = await _in_the_inbox(today)
    assert kept.severity is Severity.WARNING
    assert kept.body.startswith("Held back by a silence")
    assert "Nobody is notified by 'gone'" in kept.body


async def test_a_worse_firing_of_an_open_alert_is_told(day):
    today = day()
    await today.fires(severity=Severity.WARNING)
    await today.fires(count=2, severity=Severity.CRITICAL)
    await today.fires(count=3, severity=Severity.WARNING)
    assert len(await today.told()) == 2


async def test_an_alert_that_ended_before_its_notification_came_is_told_with_its_end(day):
    today = day()
    await today.resolves()
    await today.fires()
    assert [title for _, title in await today.told()] == ["Resolved: nightly failed", "nightly failed"]


async def test_an_alert_is_ended_by_hand_once(day):
    today = day()
    await today.fires()
    await today.service.resolve("alert-1", by="ada")
    with pytest.raises(Refused):
        await today.service.resolve("alert-1", by="ada")
    with pytest.raises(Refused):
        await today.service.acknowledge("alert-1", by="ada")
    assert len(await today.told()) == 2


async def test_an_alert_has_the_worst_severity_that_its_notify_actions_name(day):
    today = day()
    await today.fires(severity=Severity.WARNING)
    assert (await today.service.story("alert-1")).alert.severity is Severity.CRITICAL
