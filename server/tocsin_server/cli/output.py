"""How commands show what they read: a table for people, JSON, YAML or names for programs."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_WHOLE: Final = 40
_NARROWEST: Final = 20
_WIDE: Final = 200
_WIDEST: Final = 10_000

Column = tuple[str, str | Callable[[Mapping[str, Any]], Any]]
"""A heading and what stands below it: a dotted path into the item, or a function of it."""


def output_option(command: F) -> F:
    """Give a command ``--output``."""
    return click.option(
        "--output", "-o", type=click.Choice(["table", "json", "yaml", "name"]), default="table", show_default=True,
        help="How to print the result.",
    )(command)  # fmt: skip


def show_list(
    items: Iterable[Mapping[str, Any]],
    output: str,
    columns: Sequence[Column],
    *,
    name: str = "name",
    empty: str = "",
) -> None:
    """Print a list on stdout; ``empty`` goes to stderr when a table would have no row."""
    rows = list(items)
    match output:
        case "json":
            click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        case "yaml":
            click.echo(_yaml(rows), nl=False)
        case "name":
            for row in rows:
                click.echo(_text(_at(row, name)))
        case _ if rows:
            _table(rows, columns)
        case _:
            click.echo(empty or "Nothing.", err=True)


def show_one(item: Mapping[str, Any], output: str, *, name: str = "name") -> None:
    """Print one thing on stdout."""
    match output:
        case "json":
            click.echo(json.dumps(item, indent=2, ensure_ascii=False))
        case "name":
            click.echo(_text(_at(item, name)))
        case _:
            click.echo(_yaml(item), nl=False)


def local_time(text: str | None) -> str:
    """Return an RFC 3339 time in the local zone, for a table."""
    if not text:
        return ""
    return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str) -> str:
    """Return a text without control characters: what an event says must not steer the terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    texts = [[_text(_cell(row, cell)) for _, cell in columns] for row in rows]
    for number, (heading, _) in enumerate(columns):
        longest = max(len(heading), *(len(text[number]) for text in texts))
        # Ids, names and times stay whole, so that they can be copied; long texts give way.
        least = longest if longest <= _WHOLE else max(len(heading), _NARROWEST)
        table.add_column(heading, overflow="fold", min_width=least)
    for text in texts:
        table.add_row(*map(Text, text))
    console = Console(no_color="NO_COLOR" in os.environ or None, highlight=False)
    wanted = console.measure(table, options=console.options.update(width=_WIDEST))
    room = console.width if sys.stdout.isatty() else _WIDE
    # Where even that does not fit, the terminal breaks the lines.
    console.width = max(min(room, wanted.maximum), wanted.minimum)
    console.print(table)


def _cell(row: Mapping[str, Any], cell: str | Callable[[Mapping[str, Any]], Any]) -> Any:
    return _at(row, cell) if isinstance(cell, str) else cell(row)


def _at(row: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(row, Mapping):
            return None
        row = row.get(part)
    return row


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(_text(one) for one in value)
        case dict():
            return ", ".join(f"{key}={_text(one)}" for key, one in value.items())
        case _:
            return printable(str(value))


def _yaml(value: Any) -> str:
    import yaml

    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
