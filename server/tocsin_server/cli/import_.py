"""``tocsin import``: take over what was written for other services."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tocsin_server.cli.output import printable
from tocsin_server.errors import ExitCode, UserError

if TYPE_CHECKING:
    from tocsin_server.prefect_import import Translated


@click.group(name="import")
def command() -> None:
    """Turn what was written for another service into Tocsin's files."""


@command.command(name="prefect")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@click.option(
    "--name", "names", multiple=True, metavar="ID=NAME",
    help="What a deployment, work pool, block or automation with this id in Prefect is called here; may be repeated.",
)  # fmt: skip
@click.pass_context
def prefect(ctx: click.Context, file: Path, names: tuple[str, ...]) -> None:
    """Turn Prefect's automations into ours.

    FILE is JSON of Prefect 3: an automation or a list of them, as `prefect automation inspect NAME --output json` and its
    API give it (- is stdin). The YAML goes to stdout; what changed in meaning, and what could not be carried over, to
    stderr. Exits with 1 when an automation is refused, with 4 when the file holds none.
    """
    from tocsin_automations.plugins import action_kinds, trigger_kinds
    from tocsin_server.prefect_import import NotPrefect, Vocabulary, translate

    try:
        text = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as problem:
        raise UserError(
            f"{file} can't be read.",
            str(problem.strerror),
            "Name a file of JSON.",
            code=ExitCode.INVALID_INPUT,
        ) from problem
    try:
        imported = translate(text, Vocabulary(action_kinds(), trigger_kinds()), _given(names))
    except NotPrefect as problem:
        raise UserError(
            f"{file} holds no automations of Prefect.",
            str(problem),
            "Write it with: prefect automation inspect NAME --output json",
            code=ExitCode.INVALID_INPUT,
        ) from problem
    click.echo(imported.yaml, nl=False)
    _tell(imported.automations)
    if not imported.complete:
        ctx.exit(ExitCode.FAILED)


def _given(names: Iterable[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for one in names:
        id_, separator, name = one.partition("=")
        if not separator or not id_ or not name:
            raise click.UsageError(f"--name is ID=NAME; this is {one!r}")
        given[id_] = name
    return given


def _tell(automations: "Iterable[Translated]") -> None:
    for one in automations:
        title = printable(one.title)
        heading = title if one.name in (None, one.title) else f"{one.name} (from {title!r})"
        click.echo(f"{heading}:" if one.remarks else f"{heading}: nothing changed in meaning", err=True)
        for remark in one.remarks:
            click.echo(f"  {remark.kind:<9} {printable(remark.text)}", err=True)
