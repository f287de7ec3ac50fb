"""Who may do what on the bus, asked of a real server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.client import Client

from tocsin_events.address import BusAddress
from tocsin_events.arrival import event_of
from tocsin_events.bus import Bus
from tocsin_events.envelope import encode_event
from tocsin_events.nats_accounts import BusUser, accounts_config
from tocsin_events.nats_binary import find_nats_server
from tocsin_events.nats_server import NatsServer
from tocsin_events.streams import EVENTS, SERVICE_KINDS, event_subject, told_by_service_alone
from tocsin_events.view import EventView, InvalidEvent


@dataclass
class Connected:
    """A plain NATS client of a user, and what the server refused it."""

    client: Client
    refused: list[str]

    async def publish(self, subject: str, body: bytes = b"{}", reply: str = "") -> None:
        """Publish, and wait until the server has seen it."""
        await self.client.publish(subject, body, reply=reply)
        await self.client.flush()

    async def refusal(self) -> str:
        """Wait until the server has refused something, and return what it said of the last."""
        async with asyncio.timeout(60):
            while not self.refused:
                await asyncio.sleep(0.01)
        return self.refused[-1]


async def connected(server: NatsServer, user: BusUser) -> Connected:
    refused: list[str] = []

    async def note(problem: Exception) -> None:
        refused.append(str(problem))

    address = server.address_for(user)
    client = await nats.connect(address.url, user=address.user, password=address.password, error_cb=note)
    return Connected(client, refused)


@pytest.fixture
async def client(bus: Bus, nats_server: NatsServer) -> AsyncIterator[Connected]:
    found = await connected(nats_server, "client")
    yield found
    await found.client.close()


@pytest.fixture
async def worker(bus: Bus, nats_server: NatsServer) -> AsyncIterator[Connected]:
    found = await connected(nats_server, "worker")
    yield found
    await found.client.close()


async def test_a_client_publishes_events_once_each_and_log_lines(
    bus: Bus, nats_server: NatsServer, client: Connected
) -> None:
    async with await Bus.connect(nats_server.address_for("client")) as theirs:
        body = encode_event(id="1", type="flow-run.failed", source="/t", time=0)
        assert await theirs.publish(body, type="flow-run.failed", key="1") == 1
        assert await theirs.publish(body, type="flow-run.failed", key="1") == 1
        assert await theirs.publish_to("tocsin.logs.run-1", b"a line", key="2") == 1
    assert await bus.message(1) == body


@pytest.mark.parametrize("kind", SERVICE_KINDS)
async def test_a_client_can_not_tell_what_the_service_alone_tells(
    bus: Bus, client: Connected, worker: Connected, kind: str
) -> None:
    for user in (client, worker):
        await user.publish(event_subject(f"{kind}.anything"))
        assert f"{kind}.anything" in await user.refusal()
    assert (await bus.state()).messages == 0
    assert told_by_service_alone(f"{kind}.anything")


@pytest.mark.parametrize(
    "subject",
    [
        "tocsin.ticks.0", "tocsin.deliveries.slack", "tocsin.runs.default.default", "tocsin.actions.notify", "tocsin",
        "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.PURGE.EVENTS", "$JS.API.STREAM.MSG.GET.EVENTS", "$JS.API.INFO",
        "$JS.API.CONSUMER.CREATE.EVENTS.mine", "$JS.ACK.EVENTS.actions.1.1.1.1.0", "$KV.tocsin-leases.engine-0",
        "$KV.tocsin-runs.cancel.run-1", "_INBOX.somebody",
    ],
)  # fmt: skip
async def test_a_client_publishes_nothing_else(client: Connected, subject: str) -> None:
    await client.publish(subject)
    assert "permissions violation for publish" in await client.refusal()


@pytest.mark.parametrize(
    "subject",
    [
        "tocsin.ticks.0", "tocsin.deliveries.slack", "$JS.API.STREAM.DELETE.EVENTS", "$JS.API.STREAM.DELETE.RUNS",
        "$JS.API.STREAM.PURGE.RUNS", "$JS.API.CONSUMER.CREATE.EVENTS.mine", "$KV.tocsin-leases.engine-0",
    ],
)  # fmt: skip
async def test_a_worker_publishes_no_more_than_runs_need(worker: Connected, subject: str) -> None:
    await worker.publish(subject)
    assert "permissions violation for publish" in await worker.refusal()


@pytest.mark.parametrize("subject", ["tocsin.>", "tocsin.events.>", ">", "$KV.>", "$JS.>"])
async def test_clients_and_workers_listen_to_nothing_but_their_answers(
    client: Connected, worker: Connected, subject: str
) -> None:
    for user in (client, worker):
        await user.client.subscribe(subject)
        assert "permissions violation for subscription" in await user.refusal()


@pytest.mark.parametrize(
    "reply",
    [
        "tocsin.events.automation.fired",
        "tocsin.ticks.0",
        "$KV.tocsin-runs.cancel.run-1",
        "$JS.API.STREAM.PURGE.EVENTS",
    ],
)
async def test_an_acknowledgement_goes_nowhere_that_its_publisher_could_not_publish_to(
    bus: Bus, client: Connected, reply: str
) -> None:
    heard: list[str] = []

    async def hear(message: nats.aio.msg.Msg) -> None:
        heard.append(message.subject)

    await bus.client.subscribe(reply, cb=hear)
    await bus.client.flush()
    await client.publish(event_subject("a"), reply=reply)
    # Published later and acknowledged: by now the first acknowledgement has gone where it goes.
    await bus.publish(b"{}", type="b", key="b")
    await bus.client.flush()
    assert heard == []
    state = await bus.state()
    assert state.messages == state.last == 2


async def test_a_client_hears_no_answers_of_the_services(bus: Bus, client: Connected) -> None:
    heard: list[str] = []

    async def hear(message: nats.aio.msg.Msg) -> None:
        heard.append(message.subject)

    await client.client.subscribe("_INBOX.>", cb=hear)
    await client.client.flush()
    await bus.publish(b"{}", type="a", key="1")
    await bus.state()
    await client.client.flush()
    assert heard == []


async def test_a_worker_without_rights_on_it_can_not_read_the_log_of_events(
    nats_server: NatsServer, bus: Bus
) -> None:
    async with await Bus.connect(nats_server.address_for("worker")) as theirs:
        with pytest.raises((nats.errors.TimeoutError, TimeoutError, nats.errors.Error)):
            async with asyncio.timeout(1):
                await theirs.js.stream_info(EVENTS)


async def test_an_event_that_lies_about_its_type_is_none(bus: Bus, client: Connected) -> None:
    forged = encode_event(id="1", type="automation.fired", source="/engine", time=0, payload={"actions": []})
    for subject in (event_subject("flow-run.failed"), "tocsin.events.%61utomation.fired"):
        await client.publish(subject, forged)
    async for batch in bus.read_events(0, heartbeat=0.1):
        for message in batch:
            assert EventView.decode(message.body, received=0).type == "automation.fired"
            with pytest.raises(InvalidEvent, match="yet it was published to"):
                event_of(message)
            if message.sequence == 2:
                return


@pytest.mark.parametrize("user", ["service", "worker", "client"])
async def test_the_configuration_in_the_documentation_is_that_of_the_embedded_server(
    tmp_path: Path, user: BusUser
) -> None:
    page = Path(__file__).parents[2] / "docs" / "how-to" / "use-your-own-nats.md"
    block = page.read_text().partition("```nats\n")[2].partition("```")[0]
    passwords: dict[BusUser, str] = {
        "service": "SERVICE_PASSWORD", "worker": "WORKER_PASSWORD", "client": "CLIENT_PASSWORD",
    }  # fmt: skip
    assert block == accounts_config(passwords)
    config = tmp_path / "nats.conf"
    config.write_text(f'jetstream {{ store_dir: "{tmp_path}" }}\n{block}')
    process = await asyncio.create_subprocess_exec(
        find_nats_server(), "-c", config, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", tmp_path,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while not (found := list(tmp_path.glob("*.ports"))) or not found[0].read_text():
                await asyncio.sleep(0.01)
        url = found[0].read_text().split('"')[3]
        async with await Bus.connect(BusAddress(url, "service", passwords["service"])) as bus:
            await bus.prepare()
        async with await Bus.connect(BusAddress(url, user, passwords[user])) as theirs:
            assert await theirs.publish(b"{}", type="a", key="1") == 1
    finally:
        process.terminate()
        await process.wait()
