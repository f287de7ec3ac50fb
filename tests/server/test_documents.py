"""README.md and the tutorials, as a stranger follows them: every file as printed, every command as printed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from server_process import ServerProcess, eventually, running_server

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Shell:
    """A folder and an environment to run commands in, as they are printed in a document."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, line: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True,
            check=False, timeout=60, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def read(self, line: str) -> str:
        done = self(line)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(document: str) -> list[str]:
    """Return the lines of a document's shell blocks, without prompts, output and comments."""
    found = []
    for language in ("sh", "console", ""):
        for block in blocks(document, language):
            found += [
                line.removeprefix("$ ").partition("  #")[0].strip()
                for line in block.splitlines()
                if language == "sh" or line.startswith(("$ ", "tocsin ", "python "))
            ]
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with running_server(tmp_path_factory.mktemp("alone") / "data") as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, server: ServerProcess) -> Shell:
    return shell_of(tmp_path, server.environment)


def shell_of(folder: Path, environment: dict[str, str]) -> Shell:
    programs = Path(sys.executable).parent
    (folder / ".venv").symlink_to(programs.parent)
    return Shell(folder, {**environment, "PATH": f"{programs}{os.pathsep}{environment['PATH']}"})


def test_the_rule_of_the_readme_works_as_printed(tmp_path: Path, alone: ServerProcess):
    shell = shell_of(tmp_path, alone.environment)
    said = commands("README.md")
    shell.write("etl.py", blocks("README.md", "python")[0])
    shell.write("tocsin.yaml", blocks("README.md", "yaml")[0])
    for line in ("tocsin apply tocsin.yaml", "python etl.py", "tocsin alerts ls", "tocsin inbox ls"):
        assert line in said
    shell.read("tocsin apply tocsin.yaml")
    failed = shell("python etl.py")
    assert failed.returncode == 1
    assert failed.stderr.rstrip().endswith("ConnectionError: the warehouse does not answer")
    assert eventually(lambda: shell.read("tocsin inbox ls -o name"))
    assert "etl failed" in shell.read("tocsin alerts ls")
    assert "etl failed" in shell.read("tocsin inbox ls")
    (events,) = (line for line in said if line.startswith("tocsin events ls"))
    eventually(lambda: "flow-run.failed" in shell.read(events))
    event = shell.read("tocsin events ls --type flow-run.failed --output name").split()[0]
    (why,) = (line for line in said if line.startswith("tocsin why"))
    assert 'flow.name == "etl" is true' in shell.read(why.replace("ID", event))


def test_the_notifier_of_the_readme_is_one_that_can_be_planned(shell: Shell):
    shell.write("notifier.yaml", blocks("README.md", "yaml")[1])
    assert (
        shell("printf %s https://hooks.slack.com/services/x | tocsin secrets set slack-url").returncode == 0
    )
    planned = shell("tocsin plan notifier.yaml")
    assert planned.returncode == 0, planned.stderr
    assert "oncall" in planned.stdout


def test_what_a_flow_did_before_the_server_started_is_there_afterwards(tmp_path: Path):
    """The tutorial's first steps, with the data folder that a server has by default."""
    home = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("TOCSIN_", "XDG_"))},
        "HOME": str(tmp_path),
    }
    shell = shell_of(tmp_path, home)
    shell.write("etl.py", blocks("docs/tutorial/first-flow.md", "python")[0])
    ran = shell("python etl.py")
    assert ran.returncode == 0
    assert "loaded 60" in ran.stdout + ran.stderr
    assert shell("tocsin events ls").returncode == 5
    assert list((tmp_path / ".local/state/tocsin/outbox").iterdir())
    with subprocess.Popen(
        ["tocsin", "server", "start", "--port", "0", "--output", "json"],
        env=shell.environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            eventually(lambda: "flow-run.completed" in shell.read("tocsin events ls"))
            assert "orders.loaded" in shell.read("tocsin events ls")
        finally:
            process.terminate()
            process.wait(60)


def test_the_test_of_the_first_flow_passes_as_printed(shell: Shell):
    python = blocks("docs/tutorial/first-flow.md", "python")
    shell.write("etl.py", python[0])
    shell.write("test_etl.py", python[1])
    done = shell(f"{sys.executable} -m pytest -q -p no:cacheprovider -p no:xdist test_etl.py")
    assert done.returncode == 0, done.stdout


def test_the_rule_of_the_first_flow_is_valid(shell: Shell):
    shell.write("rules.yaml", blocks("docs/tutorial/first-flow.md", "yaml")[0])
    planned = shell("tocsin plan rules.yaml")
    assert planned.returncode == 0, planned.stderr


def test_the_first_rule_works_as_printed(tmp_path: Path):
    with running_server(tmp_path / "data") as server:
        folder = tmp_path / "mine"
        folder.mkdir()
        shell = shell_of(folder, server.environment)
        document = "docs/tutorial/first-rule.md"
        rules, test = blocks(document, "yaml")[:2]
        shell.write("flows.py", blocks(document, "python")[0])
        shell.write("tocsin.yaml", rules)
        shell.write("etl.tocsin-test.yaml", test)
        assert shell("python flows.py").returncode == 0
        said = commands(document)
        ends = {"tocsin run etl --param rows=200 --watch": 1}
        waits = {
            "tocsin inbox ls": ("tocsin inbox ls -o name", "1"),
            "tocsin alerts ls": ("tocsin alerts ls", "etl failed"),
        }
        for line in said:
            if line in ("tocsin server start", "python flows.py"):
                continue
            if "ID" in line:
                event = eventually(
                    lambda: shell.read("tocsin events ls --type flow-run.completed -o name").split()
                )[0]
                eventually(lambda line=line, event=event: "resolved" in shell.read(line.replace("ID", event)))
                continue
            if line in waits:
                ask, word = waits[line]
                eventually(lambda ask=ask, word=word: word in shell.read(ask))
            done = shell(line)
            assert done.returncode == ends.get(line, 0), f"{line}: {done.stderr}"
        eventually(lambda: "resolved" in shell.read("tocsin alerts ls"))


def test_the_tests_of_the_examples_pass(shell: Shell):
    done = shell(f"tocsin test {ROOT / 'examples'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((ROOT / "examples" / "automations").iterdir())) <= done.stdout.count("ok ")


def test_the_examples_can_be_planned(shell: Shell):
    planned = shell(f"tocsin plan {ROOT / 'examples'}")
    assert planned.returncode == 0, planned.stderr


@pytest.mark.parametrize(
    "document",
    sorted(
        str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
        if "decisions" not in path.parts
    ),
)  # fmt: skip
def test_every_link_of_a_document_leads_somewhere(document: str):
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    folder = (ROOT / document).parent
    assert [one for one in targets if "://" not in one and not (folder / one).exists()] == []


@pytest.mark.parametrize(
    "document",
    sorted(str(path.relative_to(ROOT)) for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]),
)
def test_every_command_in_a_document_exists(document: str):
    from click import Context, Group

    from tocsin_server.cli import tocsin

    for line in commands(document):
        words = re.sub(r"^(\w+=\S+ )*(\S*/)?(?=tocsin )", "", line).split()
        if words[0] != "tocsin" or len(words) < 2 or not re.fullmatch(r"[a-z-]+", words[1]):
            continue
        command = tocsin.get_command(Context(tocsin), words[1])
        assert command is not None, line
        if isinstance(command, Group):
            command = command.get_command(Context(command), words[2])
            assert command is not None, line
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
        for word in words:
            if word.startswith("--") and word != "--help":
                assert word.partition("=")[0] in known, line
