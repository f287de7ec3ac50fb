"""What is stored about notifiers is looked after: one that is right no longer takes no other with it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from run_rooms import open_rooms, sqlite_url
from tocsin_automations.revisions import Revisions
from tocsin_events.bus import Bus
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.secret import Secrets
from tocsin_notifiers.service import Notifications
from tocsin_server.access import Audit
from tocsin_server.config import Configurations, InvalidFiles
from tocsin_server.config_files import SourceFile
from tocsin_server.notifier_setup import KnownSecrets, NotifierSetup
from tocsin_server.vault import Vault


@dataclass(frozen=True)
class LookedAfter:
    """A stored configuration, and the notifiers that are made of it."""

    engine: AsyncEngine
    config: Configurations
    setup: NotifierSetup
    notifications: Notifications


@pytest.fixture
async def looked_after(bus: Bus, tmp_path: Path) -> AsyncIterator[LookedAfter]:
    async with open_rooms(sqlite_url(tmp_path), bus) as rooms, HttpClient(AddressGuard()) as http:
        vault = Vault(rooms.engine, MultiFernet([Fernet(Fernet.generate_key())]), {})
        known = KnownSecrets()
        notifications = Notifications(rooms.engine, bus, secrets=Secrets(known.look_up), http=http)
        config = Configurations(rooms.engine, rooms.outgoing, rooms.deployments, Audit(rooms.engine), vault)
        setup = NotifierSetup(config, vault, known, notifications)
        yield LookedAfter(rooms.engine, config, setup, notifications)


async def test_a_notifier_that_is_right_no_longer_is_named_once_and_the_others_work(looked_after):
    notifiers = {
        "gone": {"pager": {"number": 5}},
        "well": {"console": {}},
        "both": {"route": [{"notify": "gone", "continue": True}, {"notify": "well"}]},
    }
    await Revisions(looked_after.engine).add({"notifiers": notifiers}, created=1)
    with capture_logs() as said:
        await looked_after.setup.load()
        await looked_after.setup.load()
    assert [(one["log_level"], one["name"]) for one in said] == [("error", "gone")]
    assert looked_after.notifications.notifier("well") is not None
    assert list(looked_after.notifications.broken) == ["gone"]
    assert set(looked_after.notifications.setup.all) == {"inbox", "gone", "well", "both"}


async def test_what_is_wrong_in_force_keeps_nobody_from_applying_something_else(looked_after):
    notifiers = {"gone": {"pager": {"number": 5}}, "both": {"route": [{"notify": "gone"}]}}
    await Revisions(looked_after.engine).add({"notifiers": notifiers}, created=1)

    async def planned(text: str):
        return await looked_after.config.plan([SourceFile("new.yaml", Path("/"), text)])

    plan = await planned("notifiers:\n  well: {console: {}}\n")
    assert [change.name for change in plan.changes] == ["well"]
    assert ["gone" in str(one) for one in plan.warnings] == [True]
    for wrong in (
        "notifiers:\n  gone: {pager: {number: 6}}\n",
        "notifiers:\n  well: {route: [{notify: lost}]}\n",
    ):
        with pytest.raises(InvalidFiles):
            await planned(wrong)
