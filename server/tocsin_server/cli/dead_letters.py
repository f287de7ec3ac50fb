"""``tocsin dead-letters``."""

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, local_time, output_option, show_list, show_one


@click.group(name="dead-letters")
def command() -> None:
    """Look at what could not be processed, and replay or drop it."""


@command.command()
@click.option("--limit", default=50, type=click.IntRange(min=1), show_default=True, help="How many at most.")
@output_option
@click.pass_context
def ls(ctx: click.Context, limit: int, output: str) -> None:
    """List dead letters, the newest first."""
    columns: list[Column] = [
        ("CREATED", lambda row: local_time(row["created"])),
        ("SUBJECT", "subject"),
        ("REASON", "reason"),
        ("BYTES", "bytes"),
        ("REPLAYED", lambda row: local_time(row["replayed"])),
        ("ID", "id"),
    ]
    show_list(
        api_of(ctx).pages("/dead-letters", limit=limit), output, columns, name="id", empty="No dead letters."
    )


@command.command()
@click.argument("id", metavar="ID", shell_complete=completing("/dead-letters", "id", "reason"))
@output_option
@click.pass_context
def show(ctx: click.Context, id: str, output: str) -> None:  # noqa: A002 - the argument's name
    """Show one dead letter with what it carried."""
    show_one(api_of(ctx).get("/dead-letters/{}", id), output, name="id")


@command.command()
@click.argument(
    "ids", metavar="ID…", nargs=-1, required=True, shell_complete=completing("/dead-letters", "id", "reason")
)
@click.pass_context
def replay(ctx: click.Context, ids: tuple[str, ...]) -> None:
    """Put messages back where they came from."""
    api = api_of(ctx)
    for one in ids:
        api.post("/dead-letters/{}/replay", one)
        click.echo(f"Replayed {one}.", err=True)


@command.command()
@click.argument(
    "ids", metavar="ID…", nargs=-1, required=True, shell_complete=completing("/dead-letters", "id", "reason")
)
@click.pass_context
def drop(ctx: click.Context, ids: tuple[str, ...]) -> None:
    """Remove dead letters for good."""
    api = api_of(ctx)
    for one in ids:
        api.call("DELETE", "/dead-letters/{}", one)
        click.echo(f"Dropped {one}.", err=True)
