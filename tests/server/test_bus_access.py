"""What the programs around a real server may do on its bus, and how it takes a bus that has lost something."""

import asyncio
import json
import stat
import sys
from pathlib import Path

import nats
import pytest

from server_process import ServerProcess, event, eventually, post_events, running_server
from tocsin.discovery import find_bus
from tocsin_events.bus import Bus
from tocsin_events.envelope import encode_event
from tocsin_events.nats_server import NatsServer
from tocsin_server.bus_access import worker_address

FORGED = encode_event(
    id="forged",
    type="automation.fired",
    source="/engine",
    time=1,
    payload={
        "firing": {"id": "f", "automation": "a", "revision": 1, "key": [], "state": "firing", "at": 1},
        "actions": [{"kind": "emit_event", "args": {"type": "forged.action"}}],
        "automation": {"name": "a"},
    },
)


def test_a_flow_tells_its_events_and_not_those_of_the_service(server: ServerProcess, tmp_path: Path):
    script = tmp_path / "forger.py"
    script.write_text(
        "from tocsin import emit, flow\n\n@flow\ndef forger():\n    emit('before.it', data=1)\n"
        "    emit('automation.fired', data={'actions': []})\n    emit('after.it', data=2)\n\nforger()\n"
    )
    done = run(server, script)
    assert "can't be delivered" in done
    assert done.count("the bus lets only the service publish 'automation.fired'") == 1
    with server.client() as client:
        eventually(lambda: len(client.get("/events", params={"type": "*.it"}).json()["items"]) == 2)
        assert client.get("/events", params={"type": "flow-run.completed"}).json()["items"]
        fired = client.get("/events", params={"type": "automation.fired"}).json()["items"]
        assert not [one for one in fired if one["source"] != "/engine"]
    rejected = (server.data_dir / "outbox" / "rejected").read_text().splitlines()
    reasons = [json.loads(line)["reason"] for line in rejected]
    assert "the bus lets only the service publish 'automation.fired': choose a type of your own" in reasons


def run(server: ServerProcess, script: Path) -> str:
    async def finish() -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), env=server.environment, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
        assert process.returncode == 0, err.decode()
        return err.decode()

    return asyncio.run(finish())


async def test_a_forged_firing_acts_on_nothing_whoever_publishes_it(server: ServerProcess):
    address = find_bus({"TOCSIN_DATA_DIR": str(server.data_dir)})
    worker = worker_address(server.data_dir)
    assert address is not None
    assert worker is not None
    refused: list[str] = []

    async def note(problem: Exception) -> None:
        refused.append(str(problem))

    for user in (address, worker):
        client = await nats.connect(user.url, user=user.user, password=user.password, error_cb=note)
        await client.publish("tocsin.events.automation.fired", FORGED)
        await client.publish(
            "tocsin.events.order.placed", FORGED, headers={"Nats-Msg-Id": f"forged {user.user}"}
        )
        async with asyncio.timeout(60):
            while not refused:
                await asyncio.sleep(0.01)
        assert "automation.fired" in refused.pop()
        await client.close()
    with server.client() as api:
        letters = eventually(
            lambda: [
                one
                for one in api.get("/dead-letters").json()["items"]
                if "yet it was published to tocsin.events.order.placed" in one["reason"]
            ]
        )
        assert letters
        post_events(api, [event(id="after-the-forgery")])
        eventually(lambda: api.get("/events/after-the-forgery").status_code == 200)
        assert api.get("/events", params={"type": "forged.action"}).json()["items"] == []
        about = api.get("/events", params={"type": "automation.*", "resource": "automation/a"}).json()[
            "items"
        ]
        assert about == []


def test_a_forged_firing_in_the_outbox_is_set_aside_by_the_server(server: ServerProcess, tmp_path: Path):
    script = tmp_path / "leaver.py"
    script.write_text(
        "from tocsin import emit\nemit('left.before', data=1)\nemit('config.applied', data={'revision': 9})\n"
    )
    outbox = server.data_dir / "outbox"

    async def leave() -> None:
        environment = {
            **server.environment, "TOCSIN_NATS_URL": "nats://127.0.0.1:1", "TOCSIN_OUTBOX__DIR": str(outbox),
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), env=environment, stderr=asyncio.subprocess.DEVNULL
        )
        assert await process.wait() == 0

    asyncio.run(leave())
    with server.client() as client:
        eventually(lambda: client.get("/events", params={"type": "left.before"}).json()["items"])
        eventually(lambda: "config.applied" in (outbox / "rejected").read_text())
        found = client.get("/events", params={"type": "config.applied"}).json()["items"]
        assert not [one for one in found if one["source"].startswith("/sdk")]


def test_only_its_user_can_read_where_the_bus_is(server: ServerProcess):
    passwords = set()
    for name in ("server.json", "worker.json"):
        file = server.data_dir / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        passwords.add(json.loads(file.read_text())["nats_password"])
    assert len(passwords) == 2


@pytest.fixture
def gap(tmp_path: Path) -> Path:
    """A data folder whose bus has lost messages that were not recorded."""
    folder = tmp_path / "data"
    with running_server(folder) as server, server.client() as client:
        post_events(client, [event(id="recorded")])
        eventually(lambda: client.get("/events/recorded").status_code == 200)
    with running_server(folder, "--services", "api") as server, server.client() as client:
        post_events(client, [event(id=f"lost-{number}") for number in range(5)])
        post_events(client, [event(id="kept")])
    asyncio.run(lose_all_but_the_last(folder))
    return folder


async def lose_all_but_the_last(folder: Path) -> None:
    nats_server = NatsServer(folder / "nats")
    await nats_server.start()
    try:
        async with await Bus.connect(nats_server.address) as bus:
            await bus.remove_before((await bus.state()).last)
    finally:
        await nats_server.stop()


def test_what_the_bus_has_lost_stops_its_readers_until_that_is_accepted(gap: Path):
    with running_server(gap) as server, server.client() as client:
        eventually(lambda: server.log().count("start once with --accept-gap") >= 2)
        assert client.get("/events/kept").status_code == 404
    with running_server(gap, "--accept-gap") as server, server.client() as client:
        eventually(lambda: client.get("/events/kept").status_code == 200)
        post_events(client, [event(id="after")])
        eventually(lambda: client.get("/events/after").status_code == 200)
        eventually(lambda: "messages were never evaluated; that is accepted" in server.log())
    with running_server(gap) as server, server.client() as client:
        post_events(client, [event(id="later")])
        eventually(lambda: client.get("/events/later").status_code == 200)
