"""What was right when it was applied and is not any more takes nothing with it, and loses nothing."""

from typing import Any

import pytest

from notifying import NOON, delivered, notification, until
from receivers import receiver
from tocsin_events.instant import SECOND
from tocsin_notifiers.configuration import ServiceNotifier
from tocsin_notifiers.notifier import load_kinds
from tocsin_notifiers.rehearsal import rehearsal
from tocsin_notifiers.setup import parse_setup
from tocsin_notifiers.usable import usable_setup

KINDS = load_kinds()
HOURS = {"intervals": [{"from": "00:00", "to": "24:00"}]}


async def told(written: dict[str, Any], notifier: str) -> list[str]:
    """Who is told of a notification to a notifier."""
    async with rehearsal(usable_setup(written, KINDS), at=NOON) as pipeline:
        await pipeline.take(notification(notifier=notifier))
        return sorted(one.notifier for one in await pipeline.told())


def test_what_is_all_right_is_what_is_written():
    written = {"notifiers": {"a": {"console": {}, "quiet": "n"}}, "quiet_hours": {"n": HOURS}}
    assert usable_setup(written, KINDS) == parse_setup(written, KINDS)


@pytest.mark.parametrize(
    ("broken", "kind", "said"),
    [
        ({"pager": {"number": 5}}, "pager", "there is no service 'pager' here any more: install its plugin again"),
        ({"pager": {}, "quiet": "n", "max_age": "1h"}, "pager", "there is no service 'pager' here any more"),
        ({"webhook": {"url": "https://x", "method": "PUT"}}, "webhook", "webhook.method: there is no setting 'method'"),
        ({"console": {}, "resolve": "never"}, "console", "resolve: must be 'edit'"),
        ({"console": {}, "group": {"by": ["a ++"]}}, "console", "group.by.0: "),
        ({"console": {}, "quiet": "gone"}, "console", "there are no quiet hours 'gone'"),
        ({"slack": {}, "console": {}}, "", "one notifier has one service"),
        ("console", "", "a notifier is a mapping"),
    ],
)  # fmt: skip
async def test_a_service_that_cannot_be_read_is_named_and_the_rest_goes_on(broken: Any, kind: str, said: str):
    written = {
        "notifiers": {
            "bad": broken,
            "good": {"console": {}},
            "router": {"route": [{"notify": "bad", "continue": True}, {"notify": "good"}]},
            "steps": {"escalate": [{"notify": "bad"}, {"notify": "good"}]},
        },
        "quiet_hours": {"n": HOURS},
    }
    setup = usable_setup(written, KINDS)
    assert list(setup.broken) == ["bad"]
    assert said in setup.broken["bad"]
    config = setup.all["bad"]
    assert isinstance(config, ServiceNotifier)
    assert config.kind == kind
    for name, who in [("good", ["good"]), ("router", ["good"]), ("steps", ["good"]), ("bad", [])]:
        assert await told(written, name) == who


async def test_a_route_or_escalation_that_cannot_be_read_leads_to_the_inbox():
    written = {
        "notifiers": {
            "good": {"console": {}},
            "mute": {"route": [{"where": "a ++", "notify": "good"}]},
            "round": {"route": [{"notify": "about"}]},
            "about": {"escalate": [{"notify": "round"}]},
            "lost": {"route": [{"notify": "nobody"}]},
            "all": {"route": [{"notify": "mute", "continue": True}, {"notify": "good"}]},
        }
    }
    assert sorted(usable_setup(written, KINDS).broken) == ["about", "lost", "mute", "round"]
    assert await told(written, "mute") == ["inbox"]
    assert await told(written, "round") == ["inbox"]
    assert await told(written, "lost") == ["inbox"]
    assert await told(written, "all") == ["good", "inbox"]


async def test_a_broken_inbox_of_ones_own_gives_way_to_the_built_in_one():
    written = {"notifiers": {"inbox": {"route": [{"where": "a ++", "notify": "inbox"}]}}}
    assert list(usable_setup(written, KINDS).broken) == ["inbox"]
    assert await told(written, "inbox") == ["inbox"]


async def test_quiet_hours_and_inhibitions_that_cannot_be_read_hold_nothing_back():
    written = {
        "notifiers": {"night": {"console": {}, "quiet": "n"}, "other": {"console": {}, "quiet": "m"}},
        "quiet_hours": {"n": {**HOURS, "timezone": "Mars/Base"}, "m": HOURS},
        "inhibit": [{"source": "true ++", "target": "true"}, {"source": "false", "target": "true"}],
    }
    setup = usable_setup(written, KINDS)
    assert list(setup.broken) == ["night"]
    assert "the quiet hours n hold nothing back" in setup.broken["night"]
    assert ("inhibit", 0) in setup.problems
    assert [one.source for one in setup.inhibitions] == ["false"]
    assert await told(written, "night") == ["night"]
    assert await told(written, "other") == []


async def test_messages_for_a_broken_notifier_are_kept_until_it_is_mended(serving):
    clock = NOON
    async with receiver() as hook, serving({"good": {"console": {}}}, clock=lambda: clock) as service:
        service.configure(usable_setup({"notifiers": {"hook": {"pager": {"number": 5}}}}, KINDS))
        assert "there is no service 'pager'" in service.broken["hook"]
        await service.submit(notification(notifier="hook"))
        assert await service.deliveries.of_notification("n1") == []
        service.configure(parse_setup({"notifiers": {"hook": {"webhook": {"url": hook.url}}}}, KINDS))
        assert service.broken == {}
        clock += 3600 * SECOND
        await service.move_due()
        assert len(await hook.received(1)) == 1
        await until(lambda: delivered(service, "n1"))
