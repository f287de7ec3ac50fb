"""``tocsin apply``."""

from pathlib import Path
from typing import Any

import click

from tocsin.client import ApiError
from tocsin_server.cli.client import Api, api_of, told
from tocsin_server.cli.output import output_option, printable, show_one
from tocsin_server.errors import ExitCode, UserError

_SIGNS = {"create": ("+", "green"), "update": ("~", "yellow"), "delete": ("-", "red")}


@click.command(name="apply")
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--prune", is_flag=True, help="Delete what the files' sections no longer define.")
@output_option
@click.pass_context
def command(ctx: click.Context, paths: tuple[Path, ...], prune: bool, output: str) -> None:
    """Apply deployments, automations, notifiers and variables from files: all or nothing."""
    done = send_files(api_of(ctx), "/config/apply", paths, prune=prune)
    if output == "table":
        show_changes(done)
        click.echo(f"Revision {done['revision']} is in force." if done["changes"] else "Nothing to change.")
    else:
        show_done(done, output)
    if not done["on_the_bus"]:
        click.echo("The bus is away: the engine changes its rules once it is back.", err=True)


def send_files(api: Api, path: str, paths: tuple[Path, ...], *, prune: bool) -> Any:
    """Post files to the server and return its answer; warnings go to stderr.

    Raises:
        UserError: a file can't be read, or something in the files is wrong, each problem a line.

    """
    try:
        done = api.request("POST", path, json={"files": files_of(paths), "prune": prune})
    except ApiError as problem:
        raise refusal_of(problem) from problem
    for warning in done["warnings"]:
        click.secho(printable(warning["text"]), fg="yellow", err=True)
    return done


def invalid_files(lines: list[str]) -> UserError:
    """Return what is wrong with files: each problem on a line of its own."""
    for line in lines:
        click.echo(printable(line), err=True)
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    return UserError(
        f"{count} in the files.",
        "Nothing was applied.",
        "Correct the places named above, and try again.",
        code=ExitCode.INVALID_INPUT,
    )


def show_changes(done: dict[str, Any]) -> None:
    """Print changes, one a line, fields below."""
    for one in done["changes"]:
        sign, colour = _SIGNS[one["change"]]
        click.secho(f"{sign} {one['section'].removesuffix('s').replace('_', ' ')} {one['name']}", fg=colour)
        for field in one["fields"]:
            click.echo(f"    {field['path']}: {_short(field['before'])} → {_short(field['after'])}")
        if one.get("consequence") and one["change"] != "create":
            click.echo(f"    {one['consequence']}")


def show_done(done: dict[str, Any], output: str) -> None:
    """Print a plan or what was applied for programs; names are those of what changes, as ``automations/NAME``."""
    if output != "name":
        show_one(done, output)
        return
    for one in done["changes"]:
        click.echo(f"{one['section']}/{one['name']}")


def _short(value: Any) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return printable(text if len(text) <= 100 else f"{text[:99]}…")


def _decoded(name: str, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise invalid_files([f"{name}:{line}:1: error: this is not UTF-8"]) from None


def files_of(paths: tuple[Path, ...]) -> list[dict[str, str]]:
    """Return files as the server takes them.

    Raises:
        UserError: one can't be read.

    """
    from tocsin_automations.sources import read_sources

    sources, problems = read_sources(paths)
    if problems:
        raise invalid_files([str(problem) for problem in problems])
    return [
        {"name": name, "folder": str(Path(name).absolute().parent), "text": _decoded(name, content)}
        for name, content in sources
    ]


def refusal_of(problem: ApiError) -> UserError:
    """Return what the server found wrong with files, each problem a line."""
    extra = problem.problem.extra if problem.problem is not None else {}
    lines = [str(one["text"]) for one in extra.get("errors", ()) if "text" in one]
    return invalid_files(lines) if lines else told(problem)
