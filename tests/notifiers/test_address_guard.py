"""Addresses that only the server can reach are refused, however they are written."""

import asyncio
import gzip
import socket

import pytest

from notifying import finished, notification, until
from receivers import Answer, receiver
from tocsin_notifiers.address_guard import AddressGuard, AddressRefused
from tocsin_notifiers.http_client import MOST_READ, HttpClient, NoAnswer, Unsendable

PRIVATE = (
    "127.0.0.1", "127.1", "0177.0.0.1", "0x7f000001", "2130706433", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]", "[fc00::1]",
    "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "localhost", "224.0.0.1", "255.255.255.255", "198.18.0.1",
    "192.0.2.1", "[ff02::1]",
)  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
async def test_a_private_address_is_refused_in_every_form(host):
    async with HttpClient(AddressGuard()) as http:
        # A form that the client or the system doesn't understand is no address at all, which is as good.
        with pytest.raises((Unsendable, NoAnswer), match=r"private address|has no address|is no URL"):
            await http.request("GET", f"http://{host}:9/", within=60)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "8.8.8.8", "::ffff:8.8.8.8"])
def test_a_public_address_passes(address):
    assert AddressGuard().permits(address)


def test_an_allowed_network_passes_and_its_neighbours_do_not():
    guard = AddressGuard(allowed=["10.1.0.0/16"])
    assert guard.permits("10.1.2.3")
    assert guard.permits("::ffff:10.1.2.3")
    assert not guard.permits("10.2.0.1")


async def test_a_redirect_is_an_answer_and_not_followed():
    elsewhere = Answer(302, headers={"location": "/elsewhere"})
    async with (
        receiver(lambda request: elsewhere) as hook,
        HttpClient(AddressGuard(allow_private=True)) as http,
    ):
        assert (await http.request("GET", hook.url)).status == 302
        assert len(hook.requests) == 1


async def test_a_number_is_judged_even_where_no_name_is_looked_up():
    async with receiver() as hook:
        async with HttpClient(AddressGuard(allowed=["127.0.0.1/32"])) as http:
            assert (await http.request("GET", hook.url)).status == 200
        async with HttpClient(AddressGuard()) as http:
            with pytest.raises(Unsendable, match=r"actions\.allowed_networks"):
                await http.request("GET", hook.url)
        assert len(hook.requests) == 1


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
    async with receiver() as hook, HttpClient(AddressGuard(allow_private=True)) as http:
        await http.request("GET", hook.url.replace("127.0.0.1", "rebind.example"))
    assert asked == ["rebind.example"]


async def test_a_webhook_with_a_private_address_fails_for_good_and_says_how_to_allow_it(serving):
    async with (
        receiver() as hook,
        serving({"hook": {"webhook": {"url": hook.url}}}, allow_private=False) as service,
    ):
        await service.submit(notification())
        done = await until(lambda: finished(service, "n1"))
        assert done[0].status == "failed"
        assert "actions.allowed_networks" in done[0].log[-1]["answer"]
        assert hook.requests == []


async def test_a_huge_answer_is_cut():
    guard = AddressGuard(allow_private=True)
    async with (
        receiver(lambda request: Answer(200, b"x" * (3 * MOST_READ))) as hook,
        HttpClient(guard) as http,
    ):
        for _ in range(2):
            answer = await http.request("GET", hook.url)
            assert (answer.status, len(answer.body)) == (200, MOST_READ)


async def test_an_answer_stays_packed():
    packed = gzip.compress(b"x" * 50_000_000)
    async with (
        receiver(lambda request: Answer(200, packed, headers={"content-encoding": "gzip"})) as hook,
        HttpClient(AddressGuard(allow_private=True)) as http,
    ):
        assert (await http.request("GET", hook.url)).body == packed


@pytest.mark.parametrize(
    "url", ["", "ftp://example.com/", "http://", "http://[::1/", "http://example.com:99999/"]
)
async def test_what_is_no_address_is_told_without_repeating_it(url):
    async with HttpClient(AddressGuard(allow_private=True)) as http:
        with pytest.raises(Unsendable) as problem:
            await http.request("POST", url)
    assert "example" not in str(problem.value)


@pytest.mark.parametrize(
    "headers", [{"x": "one\r\ntwo: 2"}, {"x\r\ntwo": "2"}, {"x": "one\ntwo: 2"}, {"x": "\0"}]
)
async def test_a_header_can_not_become_two(headers):
    async with receiver() as hook, HttpClient(AddressGuard(allow_private=True)) as http:
        with pytest.raises(Unsendable, match="characters"):
            await http.request("POST", hook.url, b"", headers)
        assert hook.requests == []


@pytest.mark.parametrize("said", [b"no http at all\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b""])
async def test_what_is_no_http_is_no_answer_and_keeps_the_secret_in_the_address(said):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, HttpClient(AddressGuard(allow_private=True)) as http:
        with pytest.raises(NoAnswer) as problem:
            await http.request("POST", f"http://127.0.0.1:{port}/hooks/s3cret", b"{}")
    assert "s3cret" not in str(problem.value)


async def test_a_connection_that_breaks_in_mid_answer_is_no_answer():
    async with (
        receiver(lambda request: Answer(reset=True)) as hook,
        HttpClient(AddressGuard(allow_private=True)) as http,
    ):
        with pytest.raises(NoAnswer):
            await http.request("POST", hook.url, b"{}")


async def test_an_answer_that_does_not_come_in_time_is_none():
    async with (
        receiver(lambda request: Answer(delay=600)) as hook,
        HttpClient(AddressGuard(allow_private=True)) as http,
    ):
        with pytest.raises(NoAnswer, match="in time"):
            await http.request("POST", hook.url, b"{}", within=0.05)
