"""Who may send a delivery now."""

from dataclasses import replace

import pytest

from notifying import NOON
from tocsin_notifiers import delivery as steps
from tocsin_notifiers.delivery import Delivery
from tocsin_notifiers.ledger import Claimed, Ledger, insert_deliveries
from tocsin_notifiers.message import Message


def made(id_: str, how: str, *, after: str | None = "first", created: int = NOON) -> Delivery:
    message = Message(id=id_, target="t", title=id_, follow_up=how)
    return Delivery(
        id=id_, way=id_, notification=id_, alert="a", notifier="n", target="t", kind="slack", message=message,
        created=created, expires=NOON * 2, after=after,
    )  # fmt: skip


@pytest.mark.parametrize(("newer", "outdated"), [("edit", True), ("thread", False)])
async def test_an_edit_is_outdated_by_a_newer_edit_and_by_nothing_else(engine, newer, outdated):
    ledger = Ledger(engine, lambda: NOON)
    first, edit = made("first", "message", after=None), made("edit", "edit")
    async with engine.begin() as connection:
        await insert_deliveries(connection, [first, edit])
    assert isinstance(await ledger.claim("first"), Claimed)
    await ledger.record(replace(first, attempts=1, status=steps.DeliveryStatus.DELIVERED, finished=NOON))
    assert isinstance(await ledger.claim("edit"), Claimed)
    async with engine.begin() as connection:
        await insert_deliveries(connection, [made("newer", newer, created=NOON + 1)])
    again = steps.put_off(replace(edit, attempts=1), "busy", 0, started=NOON, now=NOON)
    await ledger.record(replace(again, next_at=NOON))
    claim = await ledger.claim("edit")
    assert isinstance(claim, Claimed)
    assert claim.outdated is outdated
