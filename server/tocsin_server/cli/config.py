"""``tocsin config show``."""

import os
from pathlib import Path

import click
from pydantic import BaseModel, SecretStr

from tocsin_server.cli.output import output_option, show_list
from tocsin_server.settings import known_names, load_settings


@click.group(name="config")
def command() -> None:
    """Look at the service's settings."""


@command.command()
@click.option("--sources", is_flag=True, help="Say where each setting comes from.")
@click.option("--config", "file", type=click.Path(path_type=Path), help="The settings file.")
@output_option
def show(sources: bool, file: Path | None, output: str) -> None:
    """Print every setting in force."""
    loaded = load_settings({}, os.environ, file=file)
    rows = []
    for name in known_names():
        section, _, key = name.partition(".")
        part = getattr(loaded.settings, section)
        assert isinstance(part, BaseModel)
        value = getattr(part, key)
        shown = value if isinstance(value, int | bool | None) else _plain(value)
        row = {"name": name, "value": shown}
        if sources:
            row["source"] = loaded.places.get(name, "default")
        rows.append(row)
    columns = [("SETTING", "name"), ("VALUE", "value"), *([("SOURCE", "source")] if sources else [])]
    show_list(rows, output, columns)


def _plain(value: object) -> object:
    if isinstance(value, SecretStr):
        return "(set, not shown)"
    return list(value) if isinstance(value, tuple) else str(value)
