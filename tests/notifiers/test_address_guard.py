"""Addresses that only the server can reach are refused, however they are written."""

import asyncio
import socket

import httpx2
import pytest

from notifying import finished, notification, until
from receivers import Answer, receiver
from tocsin_notifiers.address_guard import AddressGuard, AddressRefused, guarded_client, refusal_in
from tocsin_notifiers.connections import MOST_READ

PRIVATE = (
    "127.0.0.1", "127.1", "0177.0.0.1", "0x7f000001", "2130706433", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]", "[fc00::1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "localhost", "224.0.0.1", "255.255.255.255", "198.18.0.1",
    "192.0.2.1", "[ff02::1]",
)  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
async def test_a_private_address_is_refused_in_every_form(host):
    async with guarded_client(AddressGuard()) as http:
        with pytest.raises((httpx2.HTTPError, httpx2.InvalidURL)) as problem:
            await http.get(f"http://{host}:9/", timeout=5)
    # A form that the client or the system doesn't understand is no address at all, which is as good.
    said = str(problem.value)
    assert refusal_in(problem.value) is not None or "has no address" in said or "Invalid IPv4 address" in said


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "8.8.8.8", "::ffff:8.8.8.8"])
def test_a_public_address_passes(address):
    assert AddressGuard().permits(address)


def test_an_allowed_network_passes_and_its_neighbours_do_not():
    guard = AddressGuard(allowed=["10.1.0.0/16"])
    assert guard.permits("10.1.2.3")
    assert guard.permits("::ffff:10.1.2.3")
    assert not guard.permits("10.2.0.1")


async def test_a_redirect_to_a_private_address_is_refused(monkeypatch):
    async with receiver(lambda request: Answer(302, headers={"location": "http://127.0.0.2:9/"})) as hook:
        guard = AddressGuard(allowed=["127.0.0.1/32"])
        async with guarded_client(guard) as http:
            assert (await http.get(hook.url)).status_code == 302
            with pytest.raises(httpx2.ConnectError) as problem:
                await http.get(hook.url, follow_redirects=True)
        assert refusal_in(problem.value) is not None


async def test_a_name_that_leads_to_public_and_private_addresses_is_refused(monkeypatch):
    async def both(*_, **__):
        return [(0, 0, 0, "", ("1.1.1.1", 80)), (0, 0, 0, "", ("127.0.0.1", 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", both)
    with pytest.raises(AddressRefused):
        await AddressGuard().resolve("both.example", 80)


async def test_the_connection_goes_to_the_address_that_was_judged(monkeypatch):
    """A name that answers with another address the second time (DNS rebinding) is asked only once."""
    loop = asyncio.get_running_loop()
    real, asked = loop.getaddrinfo, []

    async def rebinding(host, port, **options):
        if host != "rebind.example":
            return await real(host, port, **options)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(loop, "getaddrinfo", rebinding)
    async with receiver() as hook, guarded_client(AddressGuard(allow_private=True)) as http:
        await http.get(hook.url.replace("127.0.0.1", "rebind.example"))
    assert asked == ["rebind.example"]


async def test_a_webhook_with_a_private_address_fails_for_good_and_says_how_to_allow_it(serving):
    async with (
        receiver() as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}, allow_private=False) as service,
    ):
        await service.submit(notification())
        done = await until(lambda: finished(service, "n1"))
        assert done[0].status == "failed"
        assert "server's settings" in done[0].log[-1]["answer"]
        assert hook.requests == []


async def test_a_huge_answer_is_cut():
    guard = AddressGuard(allow_private=True)
    async with (
        receiver(lambda request: Answer(200, b"x" * (3 * MOST_READ))) as hook,
        guarded_client(guard) as http,
    ):
        assert len((await http.get(hook.url)).content) == MOST_READ
        assert (await http.get(hook.url)).status_code == 200
