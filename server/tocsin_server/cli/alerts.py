"""``tocsin alerts``."""

import click

from tocsin_server.cli.client import api_of
from tocsin_server.cli.completion import completing
from tocsin_server.cli.output import Column, local_time, output_option, show_list, show_one


@click.group(name="alerts")
def command() -> None:
    """Look at alerts, acknowledge and end them."""


@command.command()
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(["open", "acknowledged", "resolved", "withdrawn"]),
    help="Only those in a state; may be repeated.",
)
@click.option("--automation", help="Only alerts of this automation.")
@click.option("--limit", default=50, type=click.IntRange(min=1), show_default=True, help="How many at most.")
@output_option
@click.pass_context
def ls(ctx: click.Context, states: tuple[str, ...], automation: str | None, limit: int, output: str) -> None:
    """List alerts, the last changed first."""
    columns: list[Column] = [
        ("STATE", "state"),
        ("SEVERITY", "severity"),
        ("AUTOMATION", "automation"),
        ("KEY", "key"),
        ("TITLE", "title"),
        ("COUNT", "count"),
        ("OPENED", lambda row: local_time(row["opened"])),
        ("ID", "id"),
    ]
    found = api_of(ctx).pages("/alerts", limit=limit, state=list(states) or None, automation=automation)
    show_list(found, output, columns, name="id", empty="No alert.")


@command.command()
@click.argument("id", metavar="ID", shell_complete=completing("/alerts", "id", "title"))
@output_option
@click.pass_context
def show(ctx: click.Context, id: str, output: str) -> None:  # noqa: A002 - the argument's name
    """Show an alert: history, who was told or not and why, each delivery."""
    show_one(api_of(ctx).get("/alerts/{}", id), output, name="id")


@command.command()
@click.argument("id", metavar="ID", shell_complete=completing("/alerts", "id", "title"))
@click.pass_context
def ack(ctx: click.Context, id: str) -> None:  # noqa: A002 - the argument's name
    """Acknowledge an alert: reminders and escalation stop."""
    alert = api_of(ctx).post("/alerts/{}/ack", id)
    click.echo(f"Acknowledged by {alert['acknowledged_by']}.", err=True)


@command.command()
@click.argument("id", metavar="ID", shell_complete=completing("/alerts", "id", "title"))
@click.option("--reason", default="", help="Why; those who were told will read it.")
@click.pass_context
def resolve(ctx: click.Context, id: str, reason: str) -> None:  # noqa: A002 - the argument's name
    """End an alert by hand."""
    api_of(ctx).post("/alerts/{}/resolve", id, json={"reason": reason})
    click.echo("Resolved.", err=True)
