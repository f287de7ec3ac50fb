from importlib import import_module
from pathlib import Path

import click
import pytest

from server_process import ServerProcess
from tocsin_server.cli import COMMANDS
from tocsin_server.settings import known_names

DOCS = Path(__file__).parents[2] / "docs" / "reference"


def commands(command: click.Command, path: str) -> list[str]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        names = command.list_commands(context)
        return [
            one for name in names for one in commands(command.get_command(context, name), f"{path} {name}")
        ]
    return [path]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_reference(name: str):
    text = (DOCS / "cli.md").read_text()
    module = import_module(f"tocsin_server.cli.{COMMANDS[name][0]}")
    for path in commands(module.command, f"tocsin {name}"):
        assert f"`{path}" in text


def test_every_setting_is_in_the_reference_with_what_it_is():
    text = (DOCS / "settings.md").read_text()
    for name, field in known_names().items():
        section, _, key = name.partition(".")
        part = text.partition(f"## `[{section}]`")[2].partition("\n## ")[0]
        (row,) = [line for line in part.splitlines() if line.startswith(f"| `{key}` |")]
        assert field.description in row


def test_every_operation_is_in_the_reference(server: ServerProcess):
    text = (DOCS / "http-api.md").read_text()
    with server.client() as client:
        document = client.get(f"{server.url}/api/openapi.json").json()
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"`{method.upper()} {path}`" in text
