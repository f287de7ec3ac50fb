"""``tocsin silences``."""

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, local_time, output_option, show_list


@click.group(name="silences")
def command() -> None:
    """Keep alerts quiet for a time."""


@command.command()
@click.option("--all", "all_", is_flag=True, help="Those that are over, too.")
@output_option
@click.pass_context
def ls(ctx: click.Context, all_: bool, output: str) -> None:
    """List silences."""
    columns: list[Column] = [
        ("STATE", "state"),
        ("MATCHER", "matcher"),
        ("STARTS", lambda row: local_time(row["starts"])),
        ("ENDS", lambda row: local_time(row["ends"])),
        ("AUTHOR", "author"),
        ("COMMENT", "comment"),
        ("ID", "id"),
    ]
    found = api_of(ctx).get("/silences", all_=all_ or None)["items"]
    show_list(found, output, columns, name="id", empty="No silence.")


@command.command()
@click.argument("matcher", metavar="CEL")
@click.option("--for", "duration", help="How long: 2h, 1d.")
@click.option("--starts", metavar="T", help="When it begins (RFC 3339); now by default.")
@click.option("--ends", metavar="T", help="When it ends (RFC 3339), instead of --for.")
@click.option("--comment", default="", help="Why.")
@click.option("--everything", is_flag=True, help="Allow a matcher that is true of every alert.")
@click.pass_context
def create(ctx: click.Context, /, **wanted: object) -> None:
    """Keep alerts that CEL is true of quiet."""
    made = api_of(ctx).post("/silences", json=wanted)
    click.echo(made["id"])
    count = made["matches"]
    met = (
        f"It is true of {count} open alert{'s' * (count != 1)}."
        if count
        else "No open alert is like that now."
    )
    click.echo(f"{met} It ends at {local_time(made['ends'])}.", err=True)


@command.command()
@click.argument(
    "ids", metavar="ID…", nargs=-1, required=True, shell_complete=completing("/silences", "id", "matcher")
)
@click.pass_context
def rm(ctx: click.Context, ids: tuple[str, ...]) -> None:
    """End silences before their time."""
    api = api_of(ctx)
    for one in ids:
        api.call("DELETE", "/silences/{}", one)
        click.echo(f"Ended {one}.", err=True)
