"""``tocsin keys``."""

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import local_time, output_option, show_list, show_one


@click.group(name="keys")
def command() -> None:
    """Make and end API keys."""


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="read, events:write, runs:write, automations:write, secrets:read, admin.",
)
@click.option(
    "--role", type=click.Choice(["viewer", "operator", "editor", "admin"]), help="Stands for several scopes."
)
@click.option("--expires-in", help="For example 90d; never by default.")
@output_option
@click.pass_context
def create(
    ctx: click.Context,
    name: str,
    scopes: tuple[str, ...],
    role: str | None,
    expires_in: str | None,
    output: str,
) -> None:
    """Make a key; it is shown this once."""
    wanted = {"name": name, "scopes": scopes, "role": role, "expires_in": expires_in}
    made = api_of(ctx).post("/keys", json=wanted)
    if output == "table":
        click.echo(made["key"])
        click.echo("Keep it now: it is not shown again.", err=True)
    else:
        show_one(made, output)


@command.command()
@output_option
@click.pass_context
def ls(ctx: click.Context, output: str) -> None:
    """List the keys."""
    show_list(
        api_of(ctx).get("/keys")["items"],
        output,
        [
            ("NAME", "name"),
            ("KEY", lambda row: f"{row['hint']}…"),
            ("ROLE", "role"),
            ("SCOPES", "scopes"),
            ("CREATED", lambda row: local_time(row["created_at"])),
            ("EXPIRES", lambda row: local_time(row["expires_at"])),
            ("REVOKED", lambda row: local_time(row["revoked_at"])),
        ],
    )


@command.command()
@click.argument("name", shell_complete=completing("/keys"))
@click.pass_context
def revoke(ctx: click.Context, name: str) -> None:
    """End the keys with this name or id."""
    ended = api_of(ctx).call("DELETE", "/keys/{}", name)
    click.echo(f"Revoked {ended['revoked']} of that name.", err=True)
