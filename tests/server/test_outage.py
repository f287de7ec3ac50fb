import os
import signal
from pathlib import Path

import httpx2

from server_process import event, eventually, post_events, running_server


def test_a_bus_that_hangs_gives_503_and_readiness_and_work_come_back(tmp_path: Path):
    with running_server(tmp_path) as server, server.client() as client:
        nats = int((tmp_path / "nats" / "nats.pid").read_text())
        os.kill(nats, signal.SIGSTOP)
        try:
            answer = post_events(client, [event(id="refused")])
        finally:
            os.kill(nats, signal.SIGCONT)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert eventually(lambda: post_events(client, [event(id="refused")]).status_code == 202)
        assert eventually(lambda: client.get("/events/refused").status_code == 200)


def test_a_bus_that_dies_comes_back_and_nothing_accepted_is_lost(tmp_path: Path):
    with running_server(tmp_path) as server, server.client() as client:
        assert post_events(client, [event(id=f"before-{number}") for number in range(50)]).status_code == 202
        os.kill(int((tmp_path / "nats" / "nats.pid").read_text()), signal.SIGKILL)
        assert eventually(lambda: post_events(client, [event(id="after")]).status_code == 202, seconds=60)
        found = eventually(lambda: len(client.get("/events", params={"limit": 100}).json()["items"]) >= 51)
        assert found
        assert eventually(lambda: httpx2.get(f"{server.url}/readyz").status_code == 200)


def test_a_lost_database_is_filled_again_from_the_bus(tmp_path: Path):
    with running_server(tmp_path) as server, server.client() as client:
        post_events(client, [event(id="one")])
        eventually(lambda: client.get("/events/one").status_code == 200)
    (tmp_path / "tocsin.db").rename(tmp_path / "kept.db")
    for beside in tmp_path.glob("tocsin.db-*"):
        beside.unlink()
    # The log begins anew with the oldest event that the bus keeps.
    with running_server(tmp_path) as server, server.client() as client:
        assert eventually(lambda: client.get("/events/one").status_code == 200)
