"""The contract of every notifier, as a suite of tests: built-ins and plugins pass the same.

Inherit from `NotifierContract`, say how one is made, and let pytest collect it (with ``asyncio_mode = "auto"``)::

    class TestPager(NotifierContract):
        @pytest.fixture
        async def made(self, outside):
            async with my_receiver() as there:
                yield Made(Pager(PagerConfig(url=there.url), outside), arrived=there.texts)

What a notifier is given comes from the fixture ``outside``, which may be overridden, too.
"""

# ruff: noqa: D102 - the names of tests are sentences

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.lookup import LooksUp
from tocsin_notifiers.message import Fact, Link, Message, Receipt
from tocsin_notifiers.notification import AlertRef, Severity, Status
from tocsin_notifiers.notifier import Notifier, Outside, Rejected, Retry, follow_ups
from tocsin_notifiers.secret import Secrets

__all__ = ["Made", "MemoryInbox", "NotifierContract", "sample_message"]

HOSTILE = "<!channel> </script><script>alert(1)</script> [x](javascript:alert(1)) {{ 7*7 }} \x1b[31m \u202e"
"""A name that a stranger may give a flow."""


@dataclass
class Made:
    """A notifier under test, and what arrived at the other side so far: one text for each message or edit.

    ``break_down`` makes the other side fail for a while (HTTP 503 and the like), where the test can do that.
    """

    notifier: Notifier
    arrived: Callable[[], list[str]]
    break_down: Callable[[], None] | None = None


@dataclass
class MemoryInbox:
    """An inbox for tests."""

    kept: dict[str, Message] = field(default_factory=dict)

    async def keep(self, message: Message) -> str:
        """Keep a message once."""
        self.kept.setdefault(message.id, message)
        return str(list(self.kept).index(message.id) + 1)


def sample_message(**changes: Any) -> Message:
    """Return a message with everything in it; ``changes`` replace its fields."""
    made = Message(
        id="4b4b9a4e-7f3c-5d55-9f1c-0d2f6a1d7c11",
        target="",
        title="nightly failed 3 times",
        body="The **load** step failed.\n\n```\nValueError: boom\n```",
        severity=Severity.CRITICAL,
        status=Status.FIRING,
        fields=(Fact(name="Flow", value="etl"), Fact(name="Times", value="3")),
        links=(Link(kind="run", label="Open run", url="https://tocsin.example/runs/r1"),),
        alert=AlertRef(id="alert-1", opened=1_772_366_400_000_000, count=3),
        automation="page-on-failure",
        thread="alert-1",
        at=1_772_366_460_000_000,
    )
    return made.model_copy(update=changes)


class NotifierContract:
    """What every notifier keeps; subclasses give the fixture ``made``."""

    @pytest.fixture
    async def outside(self) -> AsyncIterator[Outside]:
        """Give what a notifier may use, with private addresses allowed and one secret: ``name`` is ``value of name``."""
        guard = AddressGuard(allow_private=True)
        lines: list[str] = []
        async with HttpClient(guard) as http:
            secrets = Secrets(lambda name: f"value of {name}")
            yield Outside(http, secrets, guard, lambda: time.time_ns() // 1000, lines.append, MemoryInbox())

    @pytest.fixture
    async def made(self, outside: Outside) -> Made:
        """Return the notifier under test."""
        raise NotImplementedError("say how the notifier is made")

    async def test_it_has_targets_that_stay_the_same(self, made: Made) -> None:
        targets = made.notifier.targets()
        assert targets
        assert targets == made.notifier.targets()
        assert len(set(targets)) == len(targets)

    async def test_a_message_arrives_with_its_title_and_gives_a_receipt(self, made: Made) -> None:
        target = made.notifier.targets()[0]
        receipt = await made.notifier.send(sample_message(target=target), None)
        assert isinstance(receipt, Receipt)
        assert receipt.target == target
        assert any("nightly failed 3 times" in text for text in made.arrived())

    async def test_every_status_and_severity_can_be_told(self, made: Made) -> None:
        target = made.notifier.targets()[0]
        for number, (status, severity) in enumerate((one, two) for one in Status for two in Severity):
            await made.notifier.send(
                sample_message(target=target, id=f"m{number}", status=status, severity=severity), None
            )
        assert len(made.arrived()) == len(Status) * len(Severity)

    async def test_a_message_with_nothing_but_a_title_can_be_told(self, made: Made) -> None:
        bare = Message(id="bare", target=made.notifier.targets()[0], title="Only a title")
        await made.notifier.send(bare, None)
        assert any("Only a title" in text for text in made.arrived())

    async def test_a_huge_hostile_message_arrives_or_is_rejected_but_breaks_nothing(self, made: Made) -> None:
        huge = sample_message(
            target=made.notifier.targets()[0], title=HOSTILE, body=f"{HOSTILE}\n\n" * 2_000,
            fields=tuple(Fact(name=HOSTILE, value=HOSTILE * 20) for _ in range(50)), automation=HOSTILE,
        )  # fmt: skip
        try:
            await made.notifier.send(huge, None)
        except Rejected:
            return
        assert made.arrived()

    async def test_each_way_to_follow_up_that_it_offers_works(self, made: Made) -> None:
        target = made.notifier.targets()[0]
        first = await made.notifier.send(sample_message(target=target), None)
        for number, way in enumerate(follow_ups(made.notifier)):
            later = sample_message(target=target, id=f"later-{number}", follow_up=way, status=Status.RESOLVED)
            assert isinstance(await made.notifier.send(later, first), Receipt)

    async def test_what_it_finds_at_its_service_is_what_was_sent(self, made: Made) -> None:
        notifier, target = made.notifier, made.notifier.targets()[0]
        if not isinstance(notifier, LooksUp):
            pytest.skip("its service can't be asked for a message")
        since = time.time_ns() // 1000
        sent = sample_message(target=target)
        receipt = await notifier.send(sent, None)
        found = await notifier.find(sent, None, since)
        if found is not None:
            assert (found.target, found.id, found.place) == (target, receipt.id, receipt.place)
        assert await notifier.find(sample_message(target=target, id="never-sent"), None, since) is None

    async def test_a_service_that_is_down_is_to_be_tried_again(self, made: Made) -> None:
        if made.break_down is None:
            pytest.skip("the other side can't break down")
        made.break_down()
        with pytest.raises(Retry):
            await made.notifier.send(sample_message(target=made.notifier.targets()[0]), None)
