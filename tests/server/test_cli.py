"""The promises of docs/reference/cli.md: exit codes, where output goes, and what errors say."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml

from server_process import ServerProcess, clean_environment, eventually, tocsin
from tocsin_server.cli import COMMANDS

_SLOW_FLOW = (
    "import time\nfrom tocsin import flow\n\n@flow\ndef slow(seconds: int = 60):\n    time.sleep(seconds)\n"
)
_SLOW = "deployments:\n  slow:\n    flow: slow.py:slow\n"


def leaves(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    inner = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [leaf for name, one in inner if one for leaf in leaves(one, (*path, name))]


ALL = [
    leaf
    for name, (module, _) in COMMANDS.items()
    for leaf in leaves(import_module(f"tocsin_server.cli.{module}").command, (name,))
]
READS = [path for path, _ in ALL if path[-1] in ("ls", "types")] + [
    ("config", "show"),
    ("version",),
    ("server", "status"),
]


@pytest.fixture(scope="module")
def slow(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A deployment whose runs take a minute."""
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.py").write_text(_SLOW_FLOW)
    (folder / "slow.yaml").write_text(_SLOW)
    assert server.cli("apply", str(folder / "slow.yaml")).returncode == 0
    return "slow"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nonsense",), 2, "nonsense"),
        (("alert", "ls"), 2, "Did you mean 'alerts'?"),
        (("alerts", "ls", "--output", "xml"), 2, "xml"),
        (("alerts", "ls", "--state", "bogus"), 2, "resolved"),
        (("alerts", "ls", "--limit", "0"), 2, "--limit"),
        (("alerts", "show", "nope"), 3, "`tocsin alerts ls`"),
        (("runs", "show", "nope"), 3, "`tocsin runs ls`"),
        (("runs", "logs", "nope"), 3, "'nope'"),
        (("run", "nope"), 3, "`tocsin deployments ls`"),
        (("automations", "pause", "nope"), 3, "`tocsin automations ls`"),
        (("events", "show", "nope"), 3, "`tocsin events ls`"),
        (("inbox", "show", "99999"), 3, "`tocsin inbox ls`"),
        (("silences", "rm", "nope"), 3, "`tocsin silences ls`"),
        (("notifiers", "test", "nope"), 3, "`tocsin notifiers ls`"),
        (("secrets", "rm", "nope"), 3, "`tocsin secrets ls`"),
        (("keys", "revoke", "nope"), 3, "`tocsin keys ls`"),
        (("dead-letters", "show", "nope"), 3, "`tocsin dead-letters ls`"),
        (("rollback", "99999"), 3, "99999"),
        (("apply", "nope.yaml"), 4, "nope.yaml"),
        (("plan", "nope.yaml"), 4, "nope.yaml"),
        (("events", "ls", "--since", "yesterday"), 4, "yesterday"),
        (("events", "ls", "--where", "flow.name =="), 4, "column 13"),
        (("events", "emit", "x.y", "--resource", "ab"), 4, "KIND/ID"),
        (("keys", "create", "somebody"), 4, "role"),
        (("--url", "http://127.0.0.1:1", "alerts", "ls"), 5, "tocsin server start"),
    ],
)
def test_a_mistake_ends_with_its_code_and_says_on_stderr_what_to_do(
    server: ServerProcess, arguments: tuple[str, ...], code: int, said: str
):
    done = server.cli(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "mistake" not in done.stderr
    assert done.stdout == ""


def test_a_wrong_key_is_denied_with_6(server: ServerProcess):
    done = tocsin("alerts", "ls", environment={**server.environment, "TOCSIN_API_KEY": "tsk_wrong"})
    assert done.returncode == 6
    assert "TOCSIN_API_KEY" in done.stderr
    assert "tsk_wrong" not in done.stderr


def test_a_key_that_may_only_read_is_denied_what_changes_with_6(server: ServerProcess):
    key = server.read("keys", "create", "reader", "--scope", "read")["key"]
    environment = {**server.environment, "TOCSIN_API_KEY": key}
    assert tocsin("alerts", "ls", environment=environment).returncode == 0
    assert tocsin("secrets", "set", "x", environment=environment, stdin="y").returncode == 6


def test_where_no_server_runs_every_command_says_how_to_start_one(tmp_path: Path):
    done = tocsin("alerts", "ls", environment=clean_environment(tmp_path))
    assert done.returncode == 5
    assert len(done.stderr.splitlines()) == 3
    assert "tocsin server start" in done.stderr


def test_waiting_for_a_run_in_vain_ends_with_7(server: ServerProcess, slow: str):
    done = server.cli("run", slow, "--watch", "--timeout", "1")
    assert done.returncode == 7
    assert "tocsin runs cancel" in done.stderr


@pytest.mark.parametrize("arguments", [("events", "tail"), ("run", "slow", "--watch")])
def test_ctrl_c_ends_a_waiting_command_with_130(server: ServerProcess, slow: str, arguments: tuple[str, ...]):
    command = [sys.executable, "-m", "tocsin_server.cli", *arguments]
    with subprocess.Popen(
        command, env={**server.environment, "PYTHONUNBUFFERED": "1"}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        while not select.select([process.stdout], [], [], 0.2)[0]:
            # Nobody is told when the tail has begun: what comes before that is not shown.
            server.cli("events", "emit", "test.tailed", "--resource", "test/1")
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("path", READS, ids=" ".join)
def test_every_read_prints_json_yaml_and_names(server: ServerProcess, path: tuple[str, ...]):
    assert isinstance(json.loads(server.cli(*path, "-o", "json").stdout), list | dict)
    yaml.safe_load(server.cli(*path, "-o", "yaml").stdout)
    assert server.cli(*path, "-o", "name").returncode == 0
    assert "\x1b" not in server.cli(*path).stdout


@pytest.mark.parametrize("path", [path for path, _ in ALL], ids=" ".join)
def test_every_command_says_what_it_is_for(path: tuple[str, ...]):
    command = dict(ALL)[path]
    assert command.help
    assert all(
        option.help for option in command.params if isinstance(option, click.Option) and not option.hidden
    )


def test_help_and_version_need_no_heavy_library():
    script = (
        "import sys\nsys.argv = ['tocsin', '--help']\n"
        "from tocsin_server.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('fastapi', 'sqlalchemy', 'httpx2', 'nats', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_in_a_narrow_terminal_ids_stay_in_one_piece(server: ServerProcess):
    emitted = server.cli("events", "emit", "test.narrow", "--resource", "test/1").stdout.strip()
    eventually(lambda: server.cli("events", "show", emitted).returncode == 0)
    shown = on_terminal(server, 80, "events", "ls", "--type", "test.narrow")
    assert emitted in shown


def test_no_color_means_none_in_a_terminal_either(server: ServerProcess):
    eventually(lambda: server.read("events", "ls"))
    shown = on_terminal(server, 120, "events", "ls", "--limit", "3")
    assert not re.search(r"\x1b\[(3|4|9|10)[0-7]", shown)


def test_names_of_the_server_are_completed(server: ServerProcess, slow: str):
    environment = {
        **server.environment,
        "_TOCSIN_COMPLETE": "bash_complete",
        "COMP_WORDS": "tocsin run sl",
        "COMP_CWORD": "2",
    }
    found = eventually(lambda: run_entry(environment).strip())
    assert found.strip() == "plain,slow"


def test_where_no_server_answers_nothing_is_completed(tmp_path: Path):
    environment = {
        **clean_environment(tmp_path),
        "TOCSIN_API_URL": "http://127.0.0.1:1",
        "_TOCSIN_COMPLETE": "bash_complete",
        "COMP_WORDS": "tocsin run sl",
        "COMP_CWORD": "2",
    }
    assert run_entry(environment).strip() == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_of_each_shell_is_printed(tmp_path: Path, shell: str):
    done = tocsin("completion", shell, environment=clean_environment(tmp_path))
    assert done.returncode == 0
    assert f"{shell}_complete" in done.stdout


def test_settings_tell_where_they_come_from(tmp_path: Path):
    (tmp_path / "tocsin.toml").write_text("[server]\nport = 4300\n")
    environment = {**clean_environment(tmp_path), "TOCSIN_LOG__LEVEL": "debug"}
    done = tocsin(
        "config", "show", "--sources", "--config", str(tmp_path / "tocsin.toml"), "-o", "json",
        environment=environment,
    )  # fmt: skip
    sources = {row["name"]: row["source"] for row in json.loads(done.stdout)}
    assert sources["server.port"] == f"{tmp_path}/tocsin.toml:2"
    assert sources["log.level"] == "environment TOCSIN_LOG__LEVEL"
    assert sources["server.host"] == "default"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path):
    line = f"{sys.executable} -m tocsin_server.cli schema | head -1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], check=False, env=clean_environment(tmp_path), capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["{", "0"]
    assert done.stderr == ""


def on_terminal(server: ServerProcess, width: int, *arguments: str) -> str:
    """Return what a command writes to a terminal."""
    terminal, inside = pty.openpty()
    environment = {**server.environment, "COLUMNS": str(width), "TERM": "xterm-256color"}
    with subprocess.Popen(
        [sys.executable, "-m", "tocsin_server.cli", *arguments], env=environment, stdout=inside
    ) as process:
        os.close(inside)
        shown = b""
        while True:
            try:
                part = os.read(terminal, 65536)
            except OSError:  # the other side is closed
                part = b""
            if not part:
                break
            shown += part
    os.close(terminal)
    assert process.returncode == 0
    return shown.decode()


def run_entry(environment: dict[str, str]) -> str:
    """Run ``tocsin`` by the name that completion goes by."""
    program = Path(sys.executable).parent / "tocsin"
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False)
    return done.stdout
