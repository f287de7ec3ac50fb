"""The HTTP client's sockets: what goes over them, and what becomes of connections that break."""

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest

from receivers import Answer, receiver
from tls import certificate
from tocsin_notifiers.address_guard import AddressGuard, guarded_client
from tocsin_notifiers.connections import MOST_READ, Connections
from tocsin_notifiers.sockets import Sockets


@pytest.fixture
async def http():
    async with guarded_client(AddressGuard(allow_private=True)) as client:
        yield client


@asynccontextmanager
async def serving(talk):
    """A server that talks to each connection as told, and its address."""
    tasks = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_body_that_is_larger_than_all_buffers_arrives_whole(http):
    body = bytes(range(256)) * 20_000
    async with receiver() as there:
        answer = await http.post(there.url, content=body)
        assert answer.status_code == 200
        assert there.requests[0].body == body


async def test_an_answer_without_an_end_is_cut(http):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serving(talk) as url:
        assert len((await http.get(url)).content) == MOST_READ


async def test_one_connection_serves_many_requests_and_one_that_was_closed_is_not_used_again(http):
    connections = []

    async def talk(reader, writer):
        connections.append(writer)
        for _ in range(2):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with serving(talk) as url:
        for _ in range(2):
            assert (await http.get(url)).text == "ok"
        assert len(connections) == 1
        await connections[0].wait_closed()
        # Whether the client has heard of the end yet is not certain; that it is not asked on a dead line is.
        await _until_it_is_answered(http, url)
        assert len(connections) == 2


async def _until_it_is_answered(http, url):
    async with asyncio.timeout(20):
        while True:
            try:
                assert (await http.get(url)).text == "ok"
            except httpx2.HTTPError:
                continue
            return


def counting(connections):
    """Answers every request, and counts the connections."""

    async def talk(reader, writer):
        connections.append(writer)
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    return talk


def client(**options):
    return httpx2.AsyncClient(transport=Connections(Sockets(), verify=False, **options), trust_env=False)


async def test_no_more_connections_are_open_than_allowed_and_all_requests_are_answered():
    connections = []
    async with serving(counting(connections)) as url, client(connections=2) as http:
        answers = await asyncio.gather(*(http.get(url, timeout=60) for _ in range(20)))
        assert [one.text for one in answers] == ["ok"] * 20
        assert len(connections) <= 2


async def test_a_connection_that_was_not_used_for_long_is_not_used_again():
    connections = []
    async with serving(counting(connections)) as url, client(connections=1, kept=-1.0) as http:
        for _ in range(3):
            assert (await http.get(url)).text == "ok"
        assert len(connections) == 3


async def test_who_waits_for_a_connection_waits_as_long_as_was_asked():
    arrived = asyncio.Event()

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()

    async with serving(talk) as url, client(connections=1) as http:
        first = asyncio.create_task(http.get(url, timeout=60))
        await arrived.wait()
        with pytest.raises(httpx2.PoolTimeout):
            await http.get(url, timeout=httpx2.Timeout(20, pool=0.05))
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def test_a_server_that_says_nothing_is_waited_for_as_long_as_was_asked(http):
    async def talk(reader, writer):
        await reader.read()

    async with serving(talk) as url:
        with pytest.raises(httpx2.ReadTimeout):
            await http.get(url, timeout=httpx2.Timeout(20, read=0.05))


async def test_a_server_that_takes_nothing_is_waited_for_as_long_as_was_asked(http):
    async def talk(reader, writer):
        await asyncio.Event().wait()

    async with serving(talk) as url:
        with pytest.raises(httpx2.WriteTimeout):
            await http.post(url, content=b"x" * 20_000_000, timeout=httpx2.Timeout(20, write=0.05))


async def test_a_connection_that_breaks_in_mid_answer_is_an_error(http):
    async with receiver(lambda request: Answer(reset=True)) as there:
        with pytest.raises((httpx2.ReadError, httpx2.RemoteProtocolError)):
            await http.get(there.url)


async def test_where_nobody_listens_nothing_is_connected(http):
    async with serving(None) as url:
        pass
    with pytest.raises(httpx2.ConnectError):
        await http.get(url)


async def test_tls_is_spoken_with_whom_the_client_trusts_and_nobody_else(http, tmp_path):
    server, client = certificate(tmp_path)
    async with (
        receiver(tls=server) as there,
        guarded_client(AddressGuard(allow_private=True), verify=client) as trusting,
    ):
        url = there.url.replace("127.0.0.1", "localhost")
        for _ in range(3):
            answer = await trusting.post(url, content=b"x" * 300_000)
            assert answer.status_code == 200
        assert [len(one.body) for one in there.requests] == [300_000] * 3
        with pytest.raises(httpx2.ConnectError):
            await http.get(url)
