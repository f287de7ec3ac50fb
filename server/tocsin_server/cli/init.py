"""``tocsin init``."""

import shlex
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from tocsin_server.errors import ExitCode, UserError


@click.command(name="init")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=Path())
def command(folder: Path) -> None:
    """Write a starter project into FOLDER: a flow, a deployment, two rules and their tests."""
    wanted = dict(starter_files())
    there = [path for path in wanted if (folder / path).exists()]
    if there:
        raise UserError(
            f"{folder / there[0]} is there already.",
            "A starter project does not write over files.",
            "Choose an empty folder: tocsin init my-project",
            code=ExitCode.INVALID_INPUT,
        )
    try:
        for path, text in wanted.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
            click.echo(str(file))
    except OSError as problem:
        raise UserError(
            f"The starter project cannot be written into {folder}.",
            f"{problem.filename}: {problem.strerror}.",
            "Choose a folder that you may write to: tocsin init my-project",
        ) from None
    lines = [] if folder == Path() else [f"cd {shlex.quote(str(folder))}"]
    lines += [
        "tocsin test .                      # needs no server",
        "tocsin server start                # in another terminal",
        "tocsin apply .",
        "python flows/orders.py --broken",
        "tocsin inbox ls",
    ]
    click.echo("\nNext:\n" + "\n".join(f"  {line}" for line in lines), err=True)


def starter_files() -> list[tuple[str, str]]:
    """Return the starter project: each file's path below its folder, and its text."""
    return sorted(_below(files("tocsin_server") / "starter", ""))


def _below(folder: Traversable, path: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for one in folder.iterdir():
        if one.is_dir() and one.name != "__pycache__":
            found += _below(one, f"{path}{one.name}/")
        elif one.name.endswith((".py", ".yaml", ".md")):
            found.append((f"{path}{one.name}", one.read_text(encoding="utf-8")))
    return found
