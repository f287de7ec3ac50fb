"""The page about triggers, typed along on a real server: each command as it stands there, and what it prints."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from server_process import ServerProcess, eventually, running_server
from tocsin_automations.plugins import trigger_kinds
from tocsin_server.cli import tocsin

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "use-each-trigger.md"
MINUTE = {"Deadline"}
"""Sections that take up to a minute, since cron knows nothing shorter."""


@dataclass(frozen=True)
class Command:
    """A line typed, and the lines that it is to print, among others."""

    line: str
    printed: tuple[str, ...]

    @property
    def repeatable(self) -> bool:
        return self.line.startswith(("tocsin inbox", "tocsin why"))


def sections() -> dict[str, str]:
    """Return the text of each section of the page by its heading."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def block(text: str, language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return str(found)


def commands(text: str) -> Iterator[Command]:
    for part in block(text, "console").split("$ ")[1:]:
        line, *printed = part.rstrip("\n").split("\n")
        yield Command(line, tuple(printed))


def prints(printed: str, wanted: tuple[str, ...]) -> bool:
    """Tell whether all wanted lines were printed, in their order; … stands for anything, blanks are all one."""
    lines = iter(" ".join(line.split()) for line in printed.splitlines())
    patterns = [
        ".*".join(re.escape(part) for part in " ".join(line.split()).replace(" …", "…").replace("… ", "…").split("…"))
        for line in wanted
    ]  # fmt: skip
    return all(any(re.fullmatch(pattern, line) for line in lines) for pattern in patterns)


def type_in(command: Command, environment: Mapping[str, str]) -> None:
    """Type a command; what only looks is typed again until it shows what is to come."""
    arguments = shlex.split(command.line)[1:]

    def once() -> bool:
        done = CliRunner().invoke(tocsin, arguments, env=dict(environment))
        if not command.repeatable:
            assert done.exit_code == 0, (command.line, done.output, done.exception)
        answers.append(done.output)
        return done.exit_code == 0 and prints(done.stdout, command.printed)

    answers: list[str] = []
    try:
        eventually(once, seconds=75 if "milk" in str(command.printed) else 60)
    except AssertionError:
        pytest.fail(f"{command.line}\nwas to print {command.printed}, and printed last\n{answers[-1]}")


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for the rules of this page alone."""
    with running_server(tmp_path_factory.mktemp("howtos") / "data") as running:
        yield running


@pytest.mark.parametrize(
    "section", [pytest.param(one, marks=pytest.mark.soak if one in MINUTE else ()) for one in sections()]
)
def test_a_trigger_fires_as_the_page_says(
    section: str, own_server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = sections()[section]
    Path("rule.yaml").write_text(block(text, "yaml"))
    for command in commands(text):
        type_in(command, own_server.environment)


def test_every_trigger_has_a_section() -> None:
    titles = {title.lower().replace(" ", "_").removesuffix("_state") for title in sections()}
    assert titles == set(trigger_kinds())
