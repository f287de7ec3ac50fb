"""The embedded nats-server: started, kept alive, stopped, and never left behind."""

import asyncio
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin_events.address import BusAddress
from tocsin_events.bus import Bus, BusNotUsable, BusUnavailable, StreamLimits
from tocsin_events.nats_binary import find_nats_server
from tocsin_events.nats_server import NatsServer, NatsServerError


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


async def until_ended(pid: int) -> None:
    async with asyncio.timeout(60):
        while alive(pid):
            await asyncio.sleep(0.01)


async def test_it_starts_on_a_free_port_of_loopback_and_leaves_nothing_behind(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    assert server.url.startswith("nats://127.0.0.1:")
    pid = server.pid
    assert pid is not None
    async with await Bus.connect(server.address) as bus:
        await bus.prepare()
    await server.stop()
    assert not alive(pid)
    await server.stop()


async def test_nobody_gets_in_without_its_password(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    try:
        for address in (BusAddress(server.url), BusAddress(server.url, "service", "wrong")):
            with pytest.raises(BusUnavailable, match=r"(?i)authorization"):
                await Bus.connect(address)
    finally:
        await server.stop()
    assert stat.S_IMODE((tmp_path / "nats" / "nats.conf").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "nats" / "secret").stat().st_mode) == 0o600
    assert str(server.address.password) not in repr(server.address)


async def test_its_data_its_port_and_its_password_survive_a_restart(tmp_path: Path) -> None:
    first = NatsServer(tmp_path / "nats")
    await first.start()
    async with await Bus.connect(first.address) as bus:
        await bus.prepare()
        await bus.publish(b"{}", type="a", key="1")
    await first.stop()
    second = NatsServer(tmp_path / "nats")
    await second.start()
    assert second.address == first.address
    async with await Bus.connect(second.address) as bus:
        assert (await bus.state()).messages == 1
    await second.stop()


async def test_a_new_port_is_taken_when_somebody_has_the_old_one(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    port = int(server.url.rpartition(":")[2])
    await server.stop()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        again = NatsServer(tmp_path / "nats")
        await again.start()
        assert again.url != server.url
        await again.stop()


async def test_a_fixed_port_that_is_taken_is_a_clear_error(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(NatsServerError, match=f"port {port} .* in use"):
            await NatsServer(tmp_path / "nats", port=port).start()


async def test_two_servers_do_not_share_a_folder(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    await server.start()
    with pytest.raises(NatsServerError, match=r"another Tocsin server uses the data folder"):
        await NatsServer(tmp_path / "nats").start()
    assert server.pid is not None
    await server.stop()
    again = NatsServer(tmp_path / "nats")
    await again.start()
    await again.stop()


async def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(NatsServerError, match=r"can't be used .*--data-dir"):
        await NatsServer(tmp_path / "file" / "nats").start()


async def test_it_comes_back_when_it_dies_and_the_connection_with_it(
    nats_server: NatsServer, bus: Bus
) -> None:
    first = nats_server.pid
    assert first is not None
    await bus.publish(b"{}", type="a", key="1")
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(60):
        while True:
            try:
                assert await bus.publish(b"{}", type="a", key="2") == 2
                break
            except BusUnavailable:
                await asyncio.sleep(0.01)
    assert nats_server.pid not in (None, first)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux's kernel for it")
@pytest.mark.parametrize("loop", ["asyncio.run", "uvloop.run"])
async def test_a_service_that_is_killed_leaves_no_nats_server_behind(tmp_path: Path, loop: str) -> None:
    script = (
        "import asyncio, os, signal, sys, uvloop\nfrom pathlib import Path\nfrom tocsin_events.nats_server import NatsServer\n"
        "async def main():\n server = NatsServer(Path(sys.argv[1]))\n await server.start()\n"
        " print(server.pid, flush=True)\n os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{loop}(main())"
    )
    parent = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", script, str(tmp_path / "nats")],
        capture_output=True,
        check=False,
    )
    await until_ended(int(parent.stdout))


async def test_what_outlived_its_service_is_stopped_at_the_next_start(tmp_path: Path) -> None:
    first = NatsServer(tmp_path / "nats")
    await first.start()
    await first.stop()
    orphan = await asyncio.create_subprocess_exec(
        find_nats_server(), "-c", tmp_path / "nats" / "nats.conf", stdout=subprocess.DEVNULL
    )
    (tmp_path / "nats" / "nats.pid").write_text(str(orphan.pid))
    second = NatsServer(tmp_path / "nats")
    await second.start()
    async with asyncio.timeout(60):
        await orphan.wait()
    assert second.pid not in (None, orphan.pid)
    await second.stop()


async def test_a_stranger_with_the_pid_of_an_old_server_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)  # noqa: ASYNC220
    try:
        (tmp_path / "nats").mkdir()
        (tmp_path / "nats" / "nats.pid").write_text(str(stranger.pid))
        server = NatsServer(tmp_path / "nats")
        await server.start()
        assert stranger.poll() is None
        await server.stop()
    finally:
        stranger.communicate(b"\n")


async def test_stopping_while_it_starts_leaves_no_process(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    starting = asyncio.create_task(server.start())
    pid_file = tmp_path / "nats" / "nats.pid"
    async with asyncio.timeout(60):
        while not pid_file.exists():
            await asyncio.sleep(0)
    pid = int(pid_file.read_text())
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await until_ended(pid)


async def test_a_server_without_jetstream_is_a_clear_error(tmp_path: Path) -> None:
    plain = await asyncio.create_subprocess_exec(
        find_nats_server(), "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", str(tmp_path),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while not (found := list(tmp_path.glob("*.ports"))) or not found[0].read_text():
                await asyncio.sleep(0.01)
        url = found[0].read_text().split('"')[3]
        async with await Bus.connect(BusAddress(url)) as bus:
            with pytest.raises(BusNotUsable, match=r"no JetStream .* start it with -js"):
                await bus.prepare()
    finally:
        plain.terminate()
        await plain.wait()


async def test_no_server_at_all_is_a_clear_error() -> None:
    with pytest.raises(BusUnavailable, match=r"no connection to the NATS server at nats://127.0.0.1:1 "):
        await Bus.connect(BusAddress("nats://127.0.0.1:1"))


def test_an_address_takes_its_credentials_out_of_the_url() -> None:
    address = BusAddress.parse("nats://me:p%40ss@example.org, other.example.org:5000")
    assert address == BusAddress("nats://example.org:4222,nats://other.example.org:5000", "me", "p@ss")
    assert address.servers == ["nats://example.org:4222", "nats://other.example.org:5000"]
    assert "p@ss" not in repr(address)
    for wrong in ("", "http://example.org", "nats://me:secret@", "nats://host:99999"):
        with pytest.raises(ValueError, match="no address of a NATS server") as caught:
            BusAddress.parse(wrong)
        assert "secret" not in str(caught.value)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs prlimit(2)")
async def test_a_bus_that_could_not_write_is_started_again_when_it_can(
    nats_server: NatsServer, bus: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    first = nats_server.pid
    assert first is not None
    await bus.publish(b"{}", type="a", key="1")
    # From now on a write beyond the first 100,000 bytes of any file fails; the next process may write again.
    resource.prlimit(first, resource.RLIMIT_FSIZE, (100_000, 100_000))
    with pytest.raises(BusUnavailable):
        await bus.publish(b"x" * 200_000, type="a", key="2")
    async with asyncio.timeout(60):
        while True:
            try:
                assert await bus.publish(b"x" * 200_000, type="a", key="2") == 2
                break
            except BusUnavailable:
                await asyncio.sleep(0.01)
    assert nats_server.pid not in (None, first)
    assert "it is started again, now that its disk has room" in caplog.text


async def test_all_streams_share_a_small_disk_at_the_first_start_and_at_the_next(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = tmp_path / "nats.conf"
    config.write_text(f'jetstream {{ store_dir: "{tmp_path}", max_file_store: 120MB }}\n')
    process = await asyncio.create_subprocess_exec(
        find_nats_server(), "-c", config, "-a", "127.0.0.1", "-p", "-1", "--ports_file_dir", tmp_path,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60):
            while not (found := list(tmp_path.glob("*.ports"))) or not found[0].read_text():
                await asyncio.sleep(0.01)
        async with await Bus.connect(BusAddress(found[0].read_text().split('"')[3])) as bus:
            await bus.prepare()
            assert "its streams get one part in 128 of that" in caplog.text
            await bus.publish(b"{}", type="a", key="1")
            await bus.publish_to("tocsin.logs.run", b"line", key="2")
            await bus.prepare()
            with pytest.raises(BusNotUsable, match="no room for our streams"):
                await bus.prepare(StreamLimits(events_bytes=2 * 10**8))
    finally:
        process.terminate()
        await process.wait()
