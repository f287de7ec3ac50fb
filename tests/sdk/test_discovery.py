"""Finding the server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tocsin.discovery import Server, data_directory, find_bus, find_server
from tocsin_events.address import BusAddress


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """The data folder of a server that runs: this process."""
    (tmp_path / "key").write_text("tsk_local\n")
    state = {
        "url": "http://127.0.0.1:4200", "pid": os.getpid(), "key_file": str(tmp_path / "key"),
        "nats_url": "nats://127.0.0.1:5555", "nats_user": "flows", "nats_password": "hush-hush",
    }  # fmt: skip
    (tmp_path / "server.json").write_text(json.dumps(state))
    return tmp_path


def test_a_local_server_is_found_through_its_state_file(local: Path) -> None:
    found = find_server(environ={"TOCSIN_DATA_DIR": str(local)})
    assert found == Server(
        "http://127.0.0.1:4200", "tsk_local", "nats://127.0.0.1:5555", "flows", "hush-hush"
    )
    assert find_bus({"TOCSIN_DATA_DIR": str(local)}) == BusAddress(
        "nats://127.0.0.1:5555", "flows", "hush-hush"
    )
    assert find_server(data_dir=local, environ={}) == found


def test_the_environment_comes_before_the_state_file(local: Path) -> None:
    environ = {
        "TOCSIN_DATA_DIR": str(local),
        "TOCSIN_API_URL": "https://else.where/",
        "TOCSIN_API_KEY": "tsk_other",
    }
    assert find_server(environ=environ) == Server("https://else.where", "tsk_other")
    assert find_bus(environ) is None
    assert find_bus({**environ, "TOCSIN_NATS_URL": "nats://u:p@h:1"}) == BusAddress("nats://h:1", "u", "p")


def test_the_local_servers_own_url_finds_its_key_and_bus(local: Path) -> None:
    found = find_server("http://127.0.0.1:4200/", environ={"TOCSIN_DATA_DIR": str(local)})
    assert found is not None
    assert found.api_key == "tsk_local"
    assert found.nats_url is not None


def test_a_state_file_of_a_server_that_is_gone_is_passed_over(local: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    state = json.loads((local / "server.json").read_text())
    (local / "server.json").write_text(json.dumps({**state, "pid": gone.pid}))
    assert find_server(environ={"TOCSIN_DATA_DIR": str(local)}) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pid": "1"}', '{"pid": 1}', "\x00"])
def test_a_state_file_that_makes_no_sense_is_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert find_server(environ={"TOCSIN_DATA_DIR": str(tmp_path)}) is None


def test_no_secret_is_shown(local: Path) -> None:
    shown = repr(find_server(environ={"TOCSIN_DATA_DIR": str(local)}))
    assert "hush-hush" not in shown
    assert "tsk_" not in shown


def test_the_default_folder_follows_xdg() -> None:
    assert data_directory({"XDG_DATA_HOME": "/x"}) == Path("/x/tocsin")
    assert data_directory({}) == Path("~/.local/share/tocsin").expanduser()
