"""The service end to end: a real bus, a real database, receivers on loopback."""

from firings import resolved
from notifying import NOON, delivered, events_of, finished, notification, until
from receivers import Answer, receiver
from tocsin_events.instant import SECOND


async def test_a_notification_reaches_its_webhook_once_however_often_it_is_submitted(serving, bus):
    async with receiver() as hook, serving({"hook": {"webhook": {"url": hook.url}}}) as service:
        for _ in range(3):
            await service.submit(notification())
        await hook.received(1)
        done = await until(lambda: delivered(service, "n1"))
        assert len(hook.requests) == 1
        assert hook.requests[0].json["data"]["title"] == "nightly failed"
        assert hook.requests[0].headers["webhook-id"] == done[0].id
        assert [e.type for e in await events_of(bus, "notification.delivered", "alert.opened")] == [
            "alert.opened",
            "notification.delivered",
        ]


async def test_the_resolution_reaches_everyone_who_got_the_firing(serving):
    async with receiver() as one, receiver() as other:
        written = {
            "a": {"webhook": {"url": one.url}},
            "b": {"webhook": {"url": other.url}},
            "hook": {"route": [{"notify": "a", "continue": True}, {"notify": "b"}]},
        }
        async with serving(written) as service:
            await service.submit(notification())
            await service.keep_firing("automation.resolved", resolved())
            await service.sweep(older_than=-1_000_000)
            for hook in (one, other):
                got = await hook.received(2)
                assert [r.json["type"] for r in got] == ["notification.firing", "notification.resolved"]


async def test_a_busy_service_is_tried_again_after_the_time_it_asks_for(serving):
    answers = [Answer(429, headers={"retry-after": "0.1"}), Answer(503), Answer(200)]
    async with (
        receiver(lambda request: answers.pop(0)) as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}) as service,
    ):
        await service.submit(notification())
        done = await until(lambda: delivered(service, "n1"))
        assert [line["outcome"] for line in done[0].log] == ["retry", "retry", "delivered"]
        assert len({r.headers["webhook-id"] for r in hook.requests}) == 1


async def test_what_is_rejected_fails_with_an_event_that_says_why(serving, bus):
    async with (
        receiver(lambda request: Answer(400, b"no such field")) as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}) as service,
    ):
        await service.submit(notification())
        await until(lambda: finished(service, "n1"))
        failed = await until(lambda: events_of(bus, "notification.failed"))
        assert "HTTP 400 no such field" in failed[0].data["reason"]


async def test_the_ends_of_a_group_outlive_a_restart_and_arrive_in_one_message(serving):
    clock = [NOON]
    async with receiver() as hook:
        grouped = {"hook": {"webhook": {"url": hook.url}, "group": {"wait": "30s", "interval": "5m"}}}
        async with serving(grouped, clock=lambda: clock[0]) as service:
            for number in range(3):
                await service.submit(notification(f"n{number}", alert=f"alert-{number}"))
            clock[0] += 30 * SECOND
            await until(lambda: _arrived(service))
            for number in range(3):
                payload = resolved(alert=f"alert-{number}", id_=f"end-{number}")
                await service.keep_firing("automation.resolved", payload)
        clock[0] += 300 * SECOND
        async with serving(grouped, clock=lambda: clock[0]) as service:
            news, ends = [request.json for request in await hook.received(2)]
            assert (news["type"], ends["type"]) == ("notification.firing", "notification.resolved")
            assert ends["data"]["title"] == "Resolved: 3 alerts of page-on-failure"
            assert await service.next_due() is None


async def _arrived(service):
    return [one for one in await service.deliveries.of_notifier("hook") if one.status == "delivered"]
