"""What is stored about notifiers is looked after: one that is right no longer takes no other with it."""

from collections.abc import AsyncIterator
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
from tocsin_server.config import Configurations
from tocsin_server.notifier_setup import KnownSecrets, NotifierSetup
from tocsin_server.vault import Vault


@pytest.fixture
async def looked_after(
    bus: Bus, tmp_path: Path
) -> AsyncIterator[tuple[AsyncEngine, NotifierSetup, Notifications]]:
    async with open_rooms(sqlite_url(tmp_path), bus) as rooms, HttpClient(AddressGuard()) as http:
        vault = Vault(rooms.engine, MultiFernet([Fernet(Fernet.generate_key())]), {})
        known = KnownSecrets()
        notifications = Notifications(rooms.engine, bus, secrets=Secrets(known.look_up), http=http)
        config = Configurations(rooms.engine, rooms.outgoing, rooms.deployments, Audit(rooms.engine), vault)
        yield rooms.engine, NotifierSetup(config, vault, known, notifications), notifications


async def test_a_notifier_that_is_right_no_longer_is_named_once_and_the_others_work(looked_after):
    engine, setup, notifications = looked_after
    notifiers = {
        "gone": {"pager": {"number": 5}},
        "well": {"console": {}},
        "both": {"route": [{"notify": "gone", "continue": True}, {"notify": "well"}]},
    }
    await Revisions(engine).add({"notifiers": notifiers}, created=1)
    with capture_logs() as said:
        await setup.load()
        await setup.load()
    assert [(one["log_level"], one["name"]) for one in said] == [("error", "gone")]
    assert notifications.notifier("well") is not None
    assert list(notifications.broken) == ["gone"]
    assert set(notifications.setup.all) == {"inbox", "gone", "well", "both"}
