"""What goes wrong out there, and what becomes of a delivery then."""

import asyncio
from itertools import pairwise

import pytest
from sqlalchemy import select
from standardwebhooks import Webhook as Verifier

from firings import fired, resolved
from notifying import SECRETS, delivered, events_of, finished, make_engine, make_service, notification, until
from receivers import Answer, receiver
from tocsin_events.dead_letters import DeadLetter, DeadLetters
from tocsin_events.ending import end
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.backoff import LONGEST, Breaker, wait_after
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.setup import parse_setup
from tocsin_notifiers.store import GONE_TARGETS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


async def test_a_webhooks_signature_is_verified_by_the_standard_library_of_its_receivers(serving):
    async with (
        receiver() as hook,
        serving({"hook": {"webhook": {"url": hook.url, "signing_secret": SECRET}}}) as service,
    ):
        await service.submit(notification())
        got = (await hook.received(1))[0]
        assert Verifier(SECRET).verify(got.body, got.headers)["type"] == "notification.firing"


@pytest.mark.parametrize(
    "answer", [Answer(301, headers={"location": "/"}), Answer(400), Answer(401), Answer(404), Answer(413)]
)
async def test_an_answer_that_will_not_change_ends_the_delivery_at_once(serving, answer):
    async with (
        receiver(lambda request: answer) as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}) as service,
    ):
        await service.submit(notification())
        done = await until(lambda: finished(service, "n1"))
        assert done[0].status == "failed"
        assert len(hook.requests) == 1


@pytest.mark.parametrize("answer", [Answer(500), Answer(503), Answer(429), Answer(reset=True)])
async def test_an_answer_that_may_change_is_asked_for_again(serving, answer):
    answers = [answer, Answer(200)]
    async with (
        receiver(lambda request: answers.pop(0)) as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}) as service,
    ):
        await service.submit(notification())
        await until(lambda: delivered(service, "n1"))
        assert len({one.headers["webhook-id"] for one in hook.requests}) == 1
        assert len(hook.requests) == 2


async def test_an_address_that_is_gone_is_not_asked_again(serving, bus):
    async with (
        receiver(lambda request: Answer(410)) as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}) as service,
    ):
        await service.submit(notification())
        await until(lambda: finished(service, "n1"))
        await service.submit(notification("n2", alert=None))
        done = await until(lambda: finished(service, "n2"))
        assert "gone" in done[0].log[-1]["answer"]
        (said,) = (await service.gone())["hook"].values()
        assert said.startswith("the target is gone (HTTP 410")
        assert said.endswith("mend the notifier's settings and apply again")
        assert len(hook.requests) == 1


async def test_an_address_that_is_gone_is_remembered_across_restarts_until_its_settings_change(serving):
    async with receiver(lambda request: Answer(410)) as hook, receiver() as new:
        written = {"hook": {"webhook": {"url": hook.url}}}
        async with serving(written) as service:
            await service.submit(notification())
            await until(lambda: finished(service, "n1"))
        async with serving(written) as service:
            await service.submit(notification("n2", alert=None))
            (done,) = await until(lambda: finished(service, "n2"))
            assert "is gone" in done.log[-1]["answer"]
            assert len(hook.requests) == 1

            mended = {"hook": {"webhook": {"url": hook.url}, "concurrency": 7}}
            service.configure(parse_setup({"notifiers": mended}, load_kinds()))
            await service.submit(notification("n3", alert=None))
            await hook.received(2)
            service.configure(
                parse_setup({"notifiers": {"hook": {"webhook": {"url": new.url}}}}, load_kinds())
            )
            await service.submit(notification("n4", alert=None))
            await until(lambda: delivered(service, "n4"))
            assert await service.gone() == {}


async def test_another_secret_address_at_the_same_host_is_another_target(serving, engine):
    async with receiver(lambda request: Answer(410 if request.path == "/old-token" else 200)) as hook:
        async with serving({"hook": {"webhook": {"url": f"{hook.url}/old-token"}}}) as service:
            await service.submit(notification())
            await until(lambda: finished(service, "n1"))
        async with serving({"hook": {"webhook": {"url": f"{hook.url}/new-token"}}}) as service:
            await service.submit(notification("n2", alert=None))
            await until(lambda: delivered(service, "n2"))
    async with engine.connect() as connection:
        kept = [str(row) for row in await connection.execute(select(GONE_TARGETS))]
    assert len(kept) == 1
    assert "token" not in kept[0]


async def test_a_target_that_hangs_holds_up_no_other(serving):
    async with receiver(lambda request: Answer(delay=60)) as stuck, receiver() as well:
        written = {"stuck": {"webhook": {"url": stuck.url}}, "well": {"webhook": {"url": well.url}}}
        async with serving(written) as service:
            for number in range(100):
                await service.submit(notification(f"s{number}", "stuck", alert=None))
            await stuck.received(1)
            for number in range(20):
                await service.submit(notification(f"w{number}", "well", alert=None))
            await well.received(20)


async def test_a_broken_notifier_keeps_its_error_and_the_others_work(serving):
    async with receiver() as well:
        written = {
            "broken": {"webhook": {"url": {"secret": "not-there"}}},
            "well": {"webhook": {"url": well.url}},
        }
        async with serving(written) as service:
            assert "no secret 'not-there'" in service.broken["broken"]
            await service.submit(notification(notifier="well"))
            await well.received(1)


async def test_a_secret_that_is_missing_when_something_is_sent_is_named_and_asked_for_again(
    serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async with (
        receiver() as there,
        serving({"team": {"slack": {"webhook_url": {"secret": "removed"}}}}) as service,
    ):
        await service.submit(notification(notifier="team"))

        async def tried() -> dict[str, object] | None:
            (one,) = await service.deliveries.of_notification("n1")
            return one.log[0] if one.log else None

        line = await until(tried)
        said = (
            "there is no secret 'removed': set it with `tocsin secrets set removed`, which counts within 2 s"
        )
        assert (line["outcome"], line["answer"]) == ("retry", said)
        assert "unsure" not in line
        monkeypatch.setitem(SECRETS, "removed", there.url)
        await until(lambda: delivered(service, "n1"))
    assert not [one for one in caplog.records if one.exc_info]


async def test_undecodable_bytes_on_a_queue_hold_up_nobody(serving, bus):
    async with receiver() as hook, serving({"hook": {"webhook": {"url": hook.url}}}) as service:
        await bus.publish_to("tocsin.deliveries.hook", b"\xff{", key="bad")
        await service.submit(notification())
        await hook.received(1)


async def test_a_failed_delivery_is_a_dead_letter_whose_replay_delivers_it_once(serving, engine, bus):
    answers = [Answer(400), Answer(400), Answer()]
    letters = DeadLetters(engine)
    async with (
        receiver(lambda request: answers[min(len(hook.requests), 3) - 1]) as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}) as service,
    ):
        await service.submit(notification())
        await until(lambda: finished(service, "n1"))
        (first,) = await letters.ls()
        assert (first.subject, first.stream) == ("tocsin.deliveries.hook", "DELIVERIES")
        assert "HTTP 400" in first.reason

        assert await letters.replay(first.id, bus, at=1)
        await hook.received(2)
        (second,) = [one for one in await until(lambda: _so_many(letters, 2)) if one.id != first.id]
        assert await letters.replay(second.id, bus, at=2)
        (done,) = await until(lambda: delivered(service, "n1"))
        assert [line["outcome"] for line in done.log] == ["rejected", "rejected", "delivered"]

        for number, one in enumerate((first, second, first)):
            assert await letters.replay(one.id, bus, at=10 + number)
        await service.submit(notification("n2", alert=None))
        await until(lambda: delivered(service, "n2"))
        assert len(hook.requests) == 4
    assert len(await events_of(bus, "dead-letter.created")) == 2
    assert len(await events_of(bus, "dead-letter.replayed")) == 5
    assert len(await events_of(bus, "notification.failed")) == 2


async def _so_many(letters: DeadLetters, count: int) -> list[DeadLetter] | None:
    found = await letters.ls()
    return found if len(found) == count else None


async def test_a_failed_delivery_is_an_event_that_others_can_act_on(serving, bus):
    async with (
        receiver(lambda request: Answer(400)) as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}) as service,
    ):
        await service.submit(notification())
        (failed,) = await until(lambda: events_of(bus, "notification.failed"))
        assert failed.resource["id"] == "n1"
        assert failed.cause == "firing-1"
        assert failed.hops > 0


def test_waits_double_up_to_a_quarter_of_an_hour_and_differ_between_deliveries():
    waits = [wait_after("d", attempt) for attempt in range(1, 30)]
    assert all(later > earlier for earlier, later in pairwise(waits[:8]))
    assert max(waits) <= LONGEST * 1.25
    assert len({wait_after(f"d{number}", 5) for number in range(100)}) > 90
    assert wait_after("d", 3) == wait_after("d", 3)
    assert wait_after("d", 1, 60_000_000) >= 60_000_000


def test_a_breaker_pauses_after_five_failures_and_lets_one_probe_through():
    breaker = Breaker()
    for _ in range(5):
        assert breaker.allows(0)
        breaker = breaker.failed(0)
    assert not breaker.allows(29_000_000)
    assert breaker.allows(30_000_000)
    assert not breaker.begins_probe(30_000_000).allows(31_000_000)


async def test_what_waits_for_a_missing_secret_goes_out_once_it_is_there(serving):
    async with receiver() as hook:
        written = {"hook": {"webhook": {"url": {"secret": "not-there"}}}}
        async with serving(written) as service:
            await service.submit(notification())
            assert await service.deliveries.of_notification("n1") == []
            service.configure(
                parse_setup({"notifiers": {"hook": {"webhook": {"url": hook.url}}}}, load_kinds())
            )
            await hook.received(1)


async def test_what_waits_for_a_notifier_that_was_removed_fails_and_says_so(serving):
    async with (
        receiver(lambda request: Answer(503)) as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}) as service,
    ):
        await service.submit(notification())
        await hook.received(1)
        service.configure(parse_setup({"notifiers": {}}, load_kinds()))
        await until(lambda: _given_up(service))
        done = await finished(service, "n1")
        assert "was removed" in done[0].log[-1]["answer"]


async def _given_up(service):
    await service.sweep(older_than=0)
    return await finished(service, "n1")


async def test_a_preview_shows_what_each_target_would_get_and_sends_nothing(serving):
    async with receiver() as hook, serving({"hook": {"webhook": {"url": hook.url}}}) as service:
        message = (await service.preview(notification()))[0].message
        assert message.title == "nightly failed"
        assert hook.requests == []


async def test_a_template_that_fails_leaves_the_default_text_and_says_so(serving):
    broken = {
        "webhook": {"url": "http://127.0.0.1:9"},
        "template": {"title": "{{ nothing.there }}", "body": "**{{ flow.name }}**"},
    }
    async with serving({"hook": broken}) as service:
        message = (await service.preview(notification()))[0].message
        assert message.title == "nightly failed"
        assert "title template failed" in message.body
        assert message.body.endswith("**etl**")


@pytest.mark.postgres
async def test_it_all_works_on_postgresql(bus, postgres_url):
    engine = await make_engine(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    async with receiver() as hook, HttpClient(AddressGuard(allow_private=True)) as http:
        hooked = {"hook": {"webhook": {"url": hook.url}, "remind": "1h"}}
        service = make_service(engine, bus, hooked, http=http)
        running = asyncio.create_task(service.run())
        await asyncio.gather(
            *(service.submit(notification(f"n{number}", alert=f"a{number}")) for number in range(20))
        )
        await hook.received(20)
        await service.acknowledge("a1", by="ada")
        await service.silence('flow.name == "etl"', ends=service.deliveries._clock() + 10**9, author="ada")
        await service.keep_firing("automation.resolved", resolved(alert="a2"))
        await service.sweep(older_than=-1_000_000)
        await hook.received(22)
        await service.move_due()
        await end(running)
    await engine.dispose()


@pytest.mark.postgres
async def test_a_group_may_have_a_key_of_any_length(bus, postgres_url):
    engine = await make_engine(postgres_url.replace("postgresql://", "postgresql+asyncpg://"))
    # No compression helps: each character is another one.
    long = "".join(chr(0x20000 + number * 7919 % 40_000) for number in range(900))
    by_flow = {"console": {}, "group": {"by": ["flow.name"], "wait": "1h", "interval": "1h"}}
    service = make_service(engine, bus, {"hook": by_flow})
    for number, flow in enumerate((long, long, long[:-1])):
        firing = fired(alert=f"a{number}", id_=f"f{number}", flow=flow)
        await service.submit(notification(f"n{number}", alert=f"a{number}", firing=firing))
    stories = [await service.story(f"a{number}") for number in range(3)]
    groups = [story.ways[0]["group"] for story in stories]
    assert groups[0] == groups[1] != groups[2]
    await engine.dispose()
