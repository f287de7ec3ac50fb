import json
import os
import signal
import socket
import stat
from pathlib import Path

import httpx2
import pytest

from server_process import (
    ServerProcess,
    clean_environment,
    event,
    eventually,
    post_events,
    ready_server,
    running_server,
    start_server,
    tocsin,
)
from tocsin_events.nats_server import NatsServer


def test_a_server_leaves_its_state_and_key_in_its_data_folder_for_its_user_alone(server: ServerProcess):
    state = json.loads((server.data_dir / "server.json").read_text())
    assert state["url"] == server.url
    assert state["pid"] == server.process.pid
    assert state["key_file"] == str(server.data_dir / "api-key")
    for name in ("server.json", "api-key", "secrets.key"):
        assert stat.S_IMODE((server.data_dir / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_leaves_no_state_file_and_no_process(tmp_path: Path, number: int):
    with running_server(tmp_path) as server:
        nats = int((tmp_path / "nats" / "nats.pid").read_text())
        assert server.stop(number) == 0
    assert not (tmp_path / "server.json").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(nats, 0)


def test_a_live_stream_does_not_hold_up_the_end(tmp_path: Path):
    with (
        running_server(tmp_path) as server,
        server.client() as client,
        client.stream("GET", "/events/stream") as stream,
    ):
        assert stream.status_code == 200
        lines = stream.iter_lines()
        assert next(lines).startswith("retry")
        assert server.stop() == 0


def test_a_port_in_use_is_said_before_anything_starts(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = tocsin(
            "server", "start", "--port", str(port), "--data-dir", str(tmp_path / "data"),
            environment=clean_environment(tmp_path),
        )  # fmt: skip
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert not (tmp_path / "data").exists()


def test_a_second_server_on_the_same_data_folder_is_refused(tmp_path: Path):
    with running_server(tmp_path):
        done = tocsin(
            "server",
            "start",
            "--port",
            "0",
            "--data-dir",
            str(tmp_path),
            environment=clean_environment(tmp_path),
        )
        assert done.returncode == 1
        assert "--data-dir" in done.stderr
        assert (tmp_path / "server.json").exists()


def test_an_address_that_others_reach_is_refused_without_a_key_for_them(tmp_path: Path):
    done = tocsin(
        "server", "start", "--host", "0.0.0.0", "--port", "0", "--data-dir", str(tmp_path),
        environment=clean_environment(tmp_path),
    )  # fmt: skip
    assert done.returncode == 6
    assert "refuses to listen on 0.0.0.0" in done.stderr


def test_an_admin_key_from_a_file_opens_it_to_other_machines(tmp_path: Path):
    key = tmp_path / "admin-key"
    key.write_text("tsk_" + "x" * 43)
    environment = {"TOCSIN_AUTH__ADMIN_KEY_FILE": str(key)}
    with running_server(tmp_path / "data", "--host", "0.0.0.0", environment=environment) as server:
        with server.client(key.read_text()) as client:
            assert client.get("/keys").status_code == 200
        answer = httpx2.get(f"{server.url}/healthz", headers={"Host": "tocsin.example.com"})
        assert answer.status_code == 200


def test_an_unknown_setting_ends_it_with_4_and_the_nearest_name(tmp_path: Path):
    (tmp_path / "tocsin.toml").write_text("[server]\nprot = 1\n")
    done = tocsin(
        "server", "start", "--config", str(tmp_path / "tocsin.toml"), environment=clean_environment(tmp_path)
    )
    assert done.returncode == 4
    assert "tocsin.toml:2" in done.stderr
    assert "server.port" in done.stderr


def test_what_was_accepted_survives_kill_9(tmp_path: Path):
    process = start_server(tmp_path)
    server = ready_server(process, tmp_path)
    with server.client() as client:
        assert post_events(client, [event(id=f"e{number}") for number in range(500)]).status_code == 202
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    with running_server(tmp_path) as again, again.client() as client:
        count = eventually(lambda: len(client.get("/events", params={"limit": 1000}).json()["items"]) >= 500)
        assert count


def test_two_servers_do_not_disturb_each_other(server: ServerProcess, tmp_path: Path):
    with running_server(tmp_path) as other, other.client(server.key) as client:
        assert client.get("/events").status_code == 401


async def test_a_bus_and_a_postgres_of_ones_own_are_used(tmp_path: Path, postgres_url: str):
    nats = NatsServer(tmp_path / "bus", durability="relaxed")
    await nats.start()
    try:
        host = nats.url.removeprefix("nats://")
        environment = {
            "TOCSIN_NATS_URL": f"nats://{nats.address.user}:{nats.address.password}@{host}",
            "TOCSIN_DATABASE_URL": postgres_url,
        }
        with running_server(tmp_path / "data", environment=environment) as server, server.client() as client:
            assert not (tmp_path / "data" / "nats").exists()
            assert not (tmp_path / "data" / "tocsin.db").exists()
            assert post_events(client, [event()]).status_code == 202
            assert eventually(lambda: client.get("/events/e1").status_code == 200)
    finally:
        await nats.stop()


def test_a_bus_that_is_not_there_is_named_without_its_password(tmp_path: Path):
    done = tocsin(
        "server", "start", "--port", "0", "--data-dir", str(tmp_path),
        environment={**clean_environment(tmp_path), "TOCSIN_NATS_URL": "nats://me:geheim@127.0.0.1:1"},
    )  # fmt: skip
    assert done.returncode == 5
    assert "nats://127.0.0.1:1" in done.stderr
    assert "geheim" not in done.stderr
