"""Apprise reaches no further than other notifiers do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from messages import message
from receivers import Answer, receiver
from tocsin_notifiers.address_guard import AddressGuard
from tocsin_notifiers.apprise import Apprise, AppriseConfig
from tocsin_notifiers.http_client import HttpClient
from tocsin_notifiers.notifier import Outside, Rejected, Retry
from tocsin_notifiers.secret import Secrets
from tocsin_notifiers.testing import MemoryInbox


@asynccontextmanager
async def apprise(
    url: str, *, allow_private: bool = False, allowed: tuple[str, ...] = ()
) -> AsyncIterator[Apprise]:
    guard = AddressGuard(allow_private=allow_private, allowed=allowed)
    async with HttpClient(guard) as http:
        outside = Outside(http, Secrets(str), guard, lambda: 0, lambda _: None, MemoryInbox())
        yield Apprise(AppriseConfig.model_validate({"urls": [url]}), outside)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_a_private_address_is_refused_however_it_is_written(host: str):
    async with receiver() as hook:
        port = hook.url.rpartition(":")[2]
        async with apprise(f"json://{host}:{port}/secret", allow_private=False) as notifier:
            with pytest.raises(Rejected) as refused:
                await notifier.send(message(target="json-1"), None)
        assert hook.requests == []
    assert "secret" not in refused.value.reason


async def test_a_service_of_ones_own_is_reached_where_its_network_is_allowed():
    async with receiver() as hook:
        url = hook.url.replace("http://", "json://")
        async with apprise(url, allowed=("127.0.0.0/8",)) as notifier:
            await notifier.send(message(target="json-1"), None)
        assert len(hook.requests) == 1
        async with apprise(url, allowed=("10.0.0.0/8",)) as notifier:
            with pytest.raises(Rejected, match=r"setting actions\.allowed_networks"):
                await notifier.send(message(target="json-1"), None)
        assert len(hook.requests) == 1


async def test_a_redirect_is_not_followed():
    async with receiver() as inner, receiver() as hook:
        hook.answer = lambda request: Answer(302, headers={"location": f"{inner.url}/admin"})
        async with apprise(hook.url.replace("http://", "json://"), allow_private=True) as notifier:
            with pytest.raises(Retry):
                await notifier.send(message(target="json-1"), None)
        assert len(hook.requests) == 1
        assert inner.requests == []
